"""The providers' own packages stream from the simulator."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lm_deluge.simulator import Simulator

CALLS = [("weather", {"city": "東京"})]
SAID: dict[str, Any] = {"text": ["Hel", "lo"], "reasoning": "Well,", "tool_calls": CALLS}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}


def test_openai_streams_responses() -> None:
    openai = pytest.importorskip("openai", reason="openai is not installed (extra test)")
    with Simulator(**SAID) as sim, openai.OpenAI(base_url=sim.base_url, api_key="k") as client:
        tool = {"type": "function", "name": "weather", "parameters": SCHEMA, "strict": False}
        with client.responses.stream(model="o4-mini", input="Hi", tools=[tool]) as stream:
            thought = "".join(
                event.delta
                for event in stream
                if event.type == "response.reasoning_summary_text.delta"
            )
            response = stream.get_final_response()
    assert (thought, response.output_text) == ("Well,", "Hello")
    call = response.output[-1]
    assert (call.name, json.loads(call.arguments)) == ("weather", {"city": "東京"})
    assert response.usage.output_tokens_details.reasoning_tokens == 2


def test_openai_raises_for_an_error_inside_responses() -> None:
    openai = pytest.importorskip("openai", reason="openai is not installed (extra test)")
    with (
        Simulator(text="one two three four", faults="error-frame:object:2") as sim,
        openai.OpenAI(base_url=sim.base_url, api_key="k", max_retries=0) as client,
        pytest.raises(openai.APIError, match="The server had an error"),
    ):
        list(client.responses.create(model="gpt-4o", input="Hi", stream=True))


def test_anthropic_streams_messages_and_sends_thinking_back() -> None:
    anthropic = pytest.importorskip("anthropic", reason="anthropic is not installed (extra test)")
    asked: dict[str, Any] = {
        "model": "claude-sonnet-5",
        "max_tokens": 5000,
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "tools": [{"name": "weather", "input_schema": SCHEMA}],
    }
    messages: list[Any] = [{"role": "user", "content": "Hi"}]
    with Simulator(**SAID) as sim, anthropic.Anthropic(base_url=sim.url, api_key="k") as client:
        with client.messages.stream(messages=messages, **asked) as stream:
            kinds = {event.type for event in stream}
            message = stream.get_final_message()
        thought, text, call = message.content
        result = {"type": "tool_result", "tool_use_id": call.id, "content": "sun"}
        messages += [
            {"role": "assistant", "content": message.content},
            {"role": "user", "content": [result]},
        ]
        with client.messages.stream(messages=messages, **asked) as stream:
            assert stream.get_final_text() == "Hello"
    assert {"text", "thinking", "signature", "input_json", "message_stop"} <= kinds
    assert (thought.thinking, text.text, call.input) == ("Well,", "Hello", {"city": "東京"})
    assert (message.stop_reason, message.usage.output_tokens > 4) == ("tool_use", True)


def test_anthropic_raises_for_an_error_inside_the_stream_and_for_a_429() -> None:
    anthropic = pytest.importorskip("anthropic", reason="anthropic is not installed (extra test)")
    asked: dict[str, Any] = {"model": "claude-sonnet-5", "max_tokens": 50}
    asked["messages"] = [{"role": "user", "content": "Hi"}]
    with (
        Simulator(text="one two three", faults=["error-frame:object:2", "status:429"]) as sim,
        anthropic.Anthropic(base_url=sim.url, api_key="k", max_retries=0) as client,
    ):
        with pytest.raises(anthropic.APIStatusError, match="Overloaded"):
            list(client.messages.create(stream=True, **asked))
        with pytest.raises(anthropic.RateLimitError):
            client.messages.create(stream=True, **asked)


@pytest.mark.filterwarnings("ignore")  # of the package's own, about what it imports
def test_google_genai_streams_gemini_and_sends_signatures_back() -> None:
    genai = pytest.importorskip("google.genai", reason="google-genai is not installed (extra test)")
    tools = [{"function_declarations": [{"name": "weather", "parameters_json_schema": SCHEMA}]}]
    with Simulator(**SAID) as sim:
        client = genai.Client(api_key="k", http_options={"base_url": sim.url})
        try:
            asked = {"model": "gemini-3-pro-preview", "config": {"tools": tools}}
            question = {"role": "user", "parts": [{"text": "Hi"}]}
            parts = [
                part
                for chunk in client.models.generate_content_stream(contents=[question], **asked)
                for part in chunk.candidates[0].content.parts
            ]
            call = next(part for part in parts if part.function_call)
            answer = {"function_response": {"name": "weather", "response": {"it": "sun"}}}
            turns = [
                question,
                {"role": "model", "parts": [call]},
                {"role": "user", "parts": [answer]},
            ]
            again = client.models.generate_content(contents=turns, **asked)
        finally:
            client.close()
    assert "".join(part.text or "" for part in parts if part.thought) == "Well,"
    assert "".join(part.text or "" for part in parts if not part.thought) == "Hello"
    assert (call.function_call.args, call.thought_signature is None) == ({"city": "東京"}, False)
    assert again.text == "Hello"
