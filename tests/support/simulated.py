"""A simulated answer with everything in it, and what our client has to hear of that in any dialect."""

from __future__ import annotations

from lm_deluge import APIResponse

CALLS = [("weather", {"city": "東京"}), ("now", {})]


def check_heard(response: APIResponse) -> None:
    """Of a simulator with the text "Hel", "lo", the reasoning "Well," and ``CALLS``."""
    assert (response.completion, response.reasoning) == ("Hello", "Well,")
    called = [(call.name, call.parsed()) for call in response.tool_calls]
    assert called == CALLS
    assert response.finish_reason == "tool_calls"
    usage = response.usage
    assert usage is not None
    assert usage.reasoning_tokens == 2
    assert usage.output_tokens is not None
    assert usage.output_tokens > 4
