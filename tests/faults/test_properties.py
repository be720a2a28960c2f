"""Any answer, cut at any byte, in any pieces, followed by any end: the promises hold."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable
from typing import Any, TypeAlias

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lm_deluge import APIResponse, LLMClient, RetryPolicy, Timeouts
from lm_deluge.errors import (
    AnswerCutError,
    APITimeoutError,
    ConnectionLostError,
    ProtocolError,
    ProviderError,
    StreamError,
)
from support.aftermath import Aftermath
from support.bare_server import BareServer
from support.consumers import CONSUMERS, HANDLERS, consume
from support.promises import KEY, check_no_key, consumed_check
from support.scripted import CLOSE, END, HANG, HEADERS, RESET, delta, http, reply

#: Text that a server may send: any character, and surrogate halves for pieces that cut one in two.
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    [
        "",
        " ",
        "\n",
        "\r\n",
        "\u2028",
        "\x85",
        "\ufeff",
        "🙂",
        "e\u0301",
        "data: [DONE]\n\n",
        '"}',
        "\x00",
    ]
)

#: Attempts that fail without output and without a wait.
BEFORE = {
    "refused": reply("503 Busy", '{"error": {"message": "busy"}}'),
    "closed": [CLOSE],
    "reset": [HEADERS, RESET],
    "malformed": [HEADERS + http(b"data: {oops\n\n"), HANG],
    "cut": [HEADERS + END],
}

#: Where something has to be waited for; elsewhere a busy machine must not make a timeout of it.
SHORT = Timeouts(first_token=0.2, between_tokens=0.2, tail=0.1)
PATIENT = Timeouts(first_token=20, between_tokens=20, tail=20)


Check: TypeAlias = Callable[["Case", APIResponse | StreamError, str], None]


@attrs.frozen
class Case:
    """One answer on the wire. ``events``: bytes of each event, and the text it adds.

    ``upto``: how many bytes of them are sent, ``reads``: where they are cut into writes, ``end``: what
    follows them. ``is_one_read``: head, body and what is wrong with it go out in one write. ``before``:
    how the attempts before it fail.
    """

    events: tuple[tuple[bytes, str, str], ...]
    upto: int
    reads: tuple[int, ...]
    end: str
    is_one_read: bool = False
    before: tuple[str, ...] = ()

    @property
    def body(self) -> bytes:
        return b"".join(data for data, _, _ in self.events)[: self.upto]

    def arrived(self, *, unterminated: bool) -> list[tuple[str, str]]:
        """Text and kind of the events that are whole within the bytes sent.

        ``unterminated``: an event whose blank line is missing counts, too, if its data is all there.
        """
        found = []
        at = 0
        for data, text, kind in self.events:
            at += len(data)
            stripped = data.rstrip(b"\r\n")
            blank = len(data) - len(stripped)
            # A CR ends its line at once: the LF of the last CRLF is not needed.
            needed = at - (1 if data.endswith(b"\r\n") else 0)
            if unterminated:
                needed = at - blank
            if needed > self.upto:
                break
            found.append((text, kind))
        return found


def encoded(chunk: object, line: bytes, ascii_only: bool, style: int) -> bytes:
    text = json.dumps(chunk, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    prefix = (b"data: ", b"data:")[style % 2]
    lines = [b": a comment"] if style == 2 else [b"event: message"] if style == 3 else []
    return line.join([*lines, prefix + text, b"", b""])


@st.composite
def cases(draw: st.DrawFn) -> Case:
    line = draw(st.sampled_from([b"\n", b"\r\n", b"\r"]))
    pieces = draw(st.lists(st.tuples(TEXT, st.booleans(), st.integers(0, 3)), max_size=6))
    events = []
    if draw(st.booleans()):
        events.append((encoded(delta("", role="assistant"), line, True, 0), "", "role"))
    for text, ascii_only, style in pieces:
        kind = draw(st.sampled_from(["content"] * 4 + ["reasoning", "refusal", "halves"]))
        if kind == "content":
            events.append((encoded(delta(text), line, ascii_only, style), text, "text"))
        elif kind == "halves":
            events.append((encoded(delta("a\ud83d"), line, True, style), "a", "half"))
            events.append((encoded(delta("\ude42z"), line, True, style), "🙂z", "text"))
        else:
            events.append((encoded(delta(**{kind: text}), line, ascii_only, style), "", "other"))
    finish = draw(st.sampled_from(["both", "finish", "done", "neither", "error"]))
    if finish in ("both", "finish"):
        events.append((encoded(delta(finish="stop"), line, True, 0), "", "finish"))
        usage = {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": None}}
        events.append((encoded(usage, line, True, 0), "", "usage"))
    if finish == "error":
        events.append((encoded({"error": {"message": "boom"}}, line, True, 0), "", "error"))
    if finish in ("both", "done"):
        events.append((b"data: [DONE]" + line * 2, "", "done"))
    size = sum(len(data) for data, _, _ in events)
    upto = draw(st.just(size) | st.integers(0, size))
    cuts = draw(st.lists(st.integers(0, upto), max_size=8))
    end = draw(st.sampled_from(["end", "fin", "hang", "garbage", "bad chunk", "reset"]))
    before = draw(st.just([]) | st.lists(st.sampled_from(sorted(BEFORE)), max_size=2))
    return Case(tuple(events), upto, tuple(sorted(cuts)), end, draw(st.booleans()), tuple(before))


def script(case: Case) -> list[Any]:
    steps = paced_script(case)
    if not case.is_one_read:
        return steps
    written = [step for step in steps if isinstance(step, bytes)]
    return [b"".join(written), *(step for step in steps if not isinstance(step, bytes))]


def paced_script(case: Case) -> list[Any]:
    edges = [0, *case.reads, case.upto]
    writes = [case.body[a:b] for a, b in itertools.pairwise(edges)]
    steps: list[Any] = [HEADERS, *(http(data) for data in writes if data)]
    if case.end == "end":
        return [*steps, END]
    if case.end == "garbage":
        return [*steps, http(b"\n\ndata: {garbage\n\n"), HANG]
    if case.end == "bad chunk":
        return [*steps, b"zz\r\n", HANG]
    return [*steps, {"fin": CLOSE, "hang": HANG, "reset": RESET}[case.end]]


async def run(
    case: Case, how: str, kind: str, *, wire: str = "chat", check: Check | None = None
) -> None:
    async with Aftermath() as after:
        scripts = [*(BEFORE[name] for name in case.before), script(case)]
        async with BareServer(*scripts, paced=3) as server:
            make, strict = HANDLERS[kind]
            client = LLMClient(
                "gpt-4o",
                base_url=server.base_url,
                dialect=wire,
                api_key=KEY,
                timeouts=SHORT if case.end in ("hang", "garbage", "bad chunk") else PATIENT,
                # The last attempt that there is: what passes ends the stream all the same.
                retries=RetryPolicy(max_attempts=1 + len(case.before), initial_delay=0),
                strict=strict,
                handler_wait=0.02 if kind == "hanging" else 5.0,
            )
            async with asyncio.timeout(30):
                seen = await consume(how, client, "hi", make() if make else None, kind)
            await client.close()
            await server.all_gone()
        after.watch(seen)
        consumed_check(seen)
        check_no_key(seen)
        if kind in ("none", "raising", "slow"):
            assert seen.ears[0].endings[0].attempts == 1 + len(case.before)
            (check or check_outcome)(case, seen.ears[0].endings[0], seen.ears[0].text())


def check_outcome(case: Case, ending: APIResponse | StreamError, heard: str) -> None:
    """What an independent reading of the same bytes says the stream has to come to."""
    at_least = case.arrived(unterminated=False)
    at_most = case.arrived(unterminated=True)
    whole = "".join(text for text, _ in at_most)
    sure = "".join(text for text, kind in at_least)
    kinds = {kind for _, kind in at_least}
    # A reset may throw away what was sent before it; everything else loses nothing.
    if case.end == "reset":
        assert (whole + "\ufffd").startswith(heard)
        if "done" in kinds and "finish" not in kinds and type(ending) is ProtocolError:
            assert not has_output(ending)  # an empty reply
            return
        assert isinstance(ending, (APIResponse, ProviderError, ConnectionLostError))
        return
    assert heard.startswith(sure), (heard, sure)
    if at_most and at_most[-1][1] == "half" and heard != sure:
        whole += "\ufffd" if heard.endswith("\ufffd") else ""
    assert heard in (sure, whole), (heard, sure, whole)
    if "done" in kinds:
        # Without output and without a finish reason it is an empty reply.
        is_answer = has_output(ending) or "finish" in kinds
        assert type(ending) is (APIResponse if is_answer else ProtocolError), repr(ending)
    elif "error" in kinds:
        assert isinstance(ending, ProviderError)
    elif "finish" in kinds and case.end in ("end", "fin", "hang"):
        # A reason before any output may be one of those that stand in every chunk.
        is_answer = has_output(ending) or case.end != "fin"
        assert type(ending) is (APIResponse if is_answer else ConnectionLostError), repr(ending)
    elif not {"done", "error", "finish"} & {kind for _, kind in at_most}:
        expected = {
            "end": AnswerCutError,
            "fin": ConnectionLostError,
            "hang": APITimeoutError,
            "bad chunk": ConnectionLostError,
            # What was cut goes on with the garbage: in one event or in two.
            "garbage": ProtocolError,
        }[case.end]
        assert type(ending) is expected, repr(ending)
    if isinstance(ending, APIResponse) and ending.usage is not None:
        assert (ending.usage.input_tokens, ending.usage.output_tokens) == (3, None)
        assert ending.usage.total_tokens is None


def has_output(ending: APIResponse | StreamError) -> bool:
    received = ending if isinstance(ending, APIResponse) else ending.partial
    assert received is not None
    return bool(received.completion or received.reasoning or received.refusal)


EXAMPLES = {
    "case": cases(),
    "how": st.sampled_from(sorted(CONSUMERS)),
    "kind": st.sampled_from(sorted(HANDLERS)),
}


@pytest.mark.timeout(600)
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(**EXAMPLES)
def test_the_promises_hold_for_any_answer_and_any_fault(case: Case, how: str, kind: str) -> None:
    asyncio.run(run(case, how, kind))


@pytest.mark.slow
@pytest.mark.timeout(900)
@settings(max_examples=800, deadline=None, suppress_health_check=list(HealthCheck))
@given(**EXAMPLES)
def test_the_promises_hold_for_many_more(case: Case, how: str, kind: str) -> None:
    asyncio.run(run(case, how, kind))
