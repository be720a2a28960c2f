"""Makes the recordings in this folder: ``python make.py``.

The bodies are those that the simulator sends for what is asked below; what a client has to get of them
is what was asked for, with the ids and counts that only a body tells. Framing that the simulator does not
use is put around a body afterwards. ``sse_cases.json`` is written by hand, from the rules of the WHATWG's
standard of server-sent events.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import attrs

from lm_deluge.simulator import Simulator

HERE = Path(__file__).parent
TEXT = ["Once", " upon", " a", " time", ",", " there", " was", " a", " fox", "."]
WORLD = ["Grüße", ", ", "世界", "! ", "👩‍👩‍👧", " और ", "e\u0301", "\n\n", '"\\u00e9"', "\t|"]
CALLS = [("weather", {"city": "Zürich", "days": 3}), ("clock", '{"zone": "UTC"}')]


def crlf(body: bytes) -> bytes:
    return body.replace(b"\n", b"\r\n")


def cr_and_a_mark(body: bytes) -> bytes:
    return b"\xef\xbb\xbf" + body.replace(b"\n", b"\r")


def terse(body: bytes) -> bytes:
    """No space after the colon, fields of no use, comments, and two blank lines."""
    return b": hi\n\n" + body.replace(b"data: ", b"event\nid: 1\nretry: 10\ndata:").replace(
        b"\n\n", b"\n\n\n:\n"
    )


@attrs.frozen(kw_only=True)
class Ask:
    """What is asked of the simulator, and what has to come: of every choice, unless it is told apart."""

    text: str = ""
    finish: str | None = "stop"
    refusal: str = ""
    reasoning: str = ""
    calls: Sequence[tuple[str, Any]] = ()
    done: bool = True
    error: str | None = None
    choices: int = 1
    body: Mapping[str, Any] = attrs.Factory(dict)
    given: dict[str, Any]
    framed: Callable[[bytes], bytes] = bytes


WHOLE = "".join(TEXT)
ASKED = {
    "text": Ask(given={"text": TEXT}, text=WHOLE),
    "text_of_many_scripts": Ask(given={"text": WORLD}, text="".join(WORLD)),
    "text_in_halves_of_characters": Ask(
        given={"text": TEXT, "faults": "surrogates"}, text="Once upon a🙂 time, there was a fox."
    ),
    "text_that_is_cut_at_the_limit": Ask(
        given={"text": TEXT},
        body={"max_completion_tokens": 4},
        text="Once upon a time",
        finish="length",
    ),
    "without_usage": Ask(given={"text": TEXT, "usage": False}, text=WHOLE),
    "without_done": Ask(given={"text": TEXT, "faults": "no-done"}, text=WHOLE, done=False),
    "two_choices": Ask(given={"text": TEXT}, body={"n": 2}, text=WHOLE, choices=2),
    "three_choices_out_of_order": Ask(
        given={"text": TEXT, "faults": "unordered-choices"}, body={"n": 3}, text=WHOLE, choices=3
    ),
    "reasoning": Ask(
        given={"text": TEXT, "reasoning": "Let me see."}, text=WHOLE, reasoning="Let me see."
    ),
    "reasoning_under_another_name": Ask(
        given={"text": TEXT, "reasoning": "Let me see.", "reasoning_field": "reasoning"},
        text=WHOLE,
        reasoning="Let me see.",
    ),
    "refusal": Ask(given={"refusal": "I can't help with that."}, refusal="I can't help with that."),
    "two_tool_calls": Ask(
        given={"text": [], "tool_calls": CALLS}, calls=CALLS, finish="tool_calls"
    ),
    "text_and_a_tool_call": Ask(
        given={"text": TEXT, "tool_calls": CALLS[:1]},
        text=WHOLE,
        calls=CALLS[:1],
        finish="tool_calls",
    ),
    "an_error_after_three_pieces": Ask(
        given={"text": TEXT, "faults": "error-frame:object:3"},
        text="Once upon a",
        finish=None,
        done=False,
        error="told",
    ),
    "an_end_after_three_pieces": Ask(
        given={"text": TEXT, "faults": "eof:3"},
        text="Once upon a",
        finish=None,
        done=False,
        error="cut",
    ),
    "lines_that_end_in_crlf": Ask(given={"text": WORLD}, text="".join(WORLD), framed=crlf),
    "lines_that_end_in_cr_after_a_byte_order_mark": Ask(
        given={"text": WORLD}, text="".join(WORLD), framed=cr_and_a_mark
    ),
    "fields_of_no_use": Ask(given={"text": TEXT}, text=WHOLE, framed=terse),
}

#: Faults that are error replies, and what the official client raises for their status.
REFUSED = {
    "status:400": "BadRequestError",
    "status:401": "AuthenticationError",
    "status:403": "PermissionDeniedError",
    "status:404": "NotFoundError",
    "status:409": "ConflictError",
    "status:422": "UnprocessableEntityError",
    "status:429:retry-after=7": "RateLimitError",
    "status:500": "InternalServerError",
    "status:503": "InternalServerError",
}


async def asked(
    given: dict[str, Any], body: Mapping[str, Any]
) -> tuple[int, dict[str, str], bytes]:
    request = {
        "model": "gpt-4o",
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
        "stream_options": {"include_usage": True},
        **({"tools": [tool(name) for name, _ in CALLS]} if "tool_calls" in given else {}),
        **body,
    }
    async with Simulator(seed=1, **given) as simulator, aiohttp.ClientSession() as session:
        headers = {"Authorization": "Bearer test"}
        url = f"{simulator.base_url}/chat/completions"
        async with session.post(url, json=request, headers=headers) as reply:
            return (
                reply.status,
                {k.lower(): v for k, v in reply.headers.items()},
                await reply.read(),
            )


def tool(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}}


def expected_of(ask: Ask, body: bytes) -> dict[str, Any]:
    """What was asked for, with the ids and counts that only the body tells."""
    lines = [line[6:] for line in body.split(b"\n") if line.startswith(b"data: {")]
    chunks = [json.loads(line) for line in lines]
    usage = [chunk["usage"] for chunk in chunks if chunk.get("usage")]
    ids = [
        call["id"]
        for chunk in chunks
        for choice in chunk.get("choices", ())
        for call in choice["delta"].get("tool_calls") or ()
        if call.get("id")
    ]
    calls = [
        {
            "id": call_id,
            "name": name,
            "arguments": given if isinstance(given, str) else json.dumps(given, ensure_ascii=False),
        }
        for call_id, (name, given) in zip(ids, ask.calls, strict=True)
    ]
    error = None
    if ask.error == "cut":
        error = {"type": "cut"}
    elif ask.error is not None:
        (told,) = (chunk["error"] for chunk in chunks if "error" in chunk)
        error = {"type": "told", "message": told["message"], "code": told["code"], "body": told}
    return {
        "provider": "simulator",
        "error": error,
        "choices": {
            str(index): {
                "text": ask.text,
                "finish_reason": ask.finish,
                "refusal": ask.refusal,
                "reasoning": ask.reasoning,
                "tool_calls": calls,
            }
            for index in range(ask.choices)
        },
        "usage": usage[-1] if usage else None,
        "saw_DONE": ask.done,
    }


async def main() -> None:
    expected = {}
    for name, ask in ASKED.items():
        _, _, body = await asked(ask.given, ask.body)
        expected[f"openai_chat/{name}.sse"] = expected_of(ask, body)
        written(f"openai_chat/{name}.sse", ask.framed(body))
    refused = {}
    for spec, raised in REFUSED.items():
        status, headers, body = await asked({"faults": spec}, {})
        error = json.loads(body)["error"]
        name = f"{status}{'_with_a_wait' if 'retry-after' in headers else ''}.json"
        kept = ("content-type", "x-request-id", "retry-after")
        reply = {
            "status": status,
            "response_headers": {k: v for k, v in headers.items() if k in kept},
            "body_text": body.decode(),
        }
        written(f"openai_errors/{name}", as_json(reply))
        fields = {field: error[field] for field in ("code", "type", "param")}
        refused[name] = {"raised": raised, "status_code": status, "body": error, **fields}
    written("expected.json", as_json(expected))
    written("expected_errors.json", as_json(refused))


def as_json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=1).encode() + b"\n"


def written(name: str, data: bytes) -> None:
    path = HERE / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)


if __name__ == "__main__":
    asyncio.run(main())
