"""A dialect of a server that says words: events of JSON, ``{"word": …}``, then ``{"over": …}``.

    POST {base_url}/say   {"model": "parrot", "ask": [{"role": "user", "content": "Hi"}]}

    data: {"word": "Good "}
    data: {"word": "day."}
    data: {"over": "done", "counts": {"in": 3, "out": 2}}

An event ``{"fault": "…"}`` says why there is no more.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from lm_deluge.config import Limits
from lm_deluge.dialects.dialect import Ask, Dialect, Dropped, Written
from lm_deluge.errors import APIStatusError, ProviderError
from lm_deluge.values.redaction import Redactor
from lm_deluge.values.usage import Usage
from lm_deluge.wire.answer import Answer
from lm_deluge.wire.choice import ChoiceParts
from lm_deluge.wire.facts import Facts
from lm_deluge.wire.refusals import error_from_reply
from lm_deluge.wire.sse import Event

#: The server's words for why an answer ended, in those of chat completions.
FINISH = {"done": "stop", "full": "length"}


class SayAnswer(Answer[ChoiceParts]):
    """The answer of one attempt: what its events mean. All else is counted and kept by ``Answer``."""

    end_word = "over"

    def new_facts(self) -> Facts:
        return Facts()

    def new_choice(self) -> ChoiceParts:
        return ChoiceParts(self.limits.max_tool_calls)

    def is_whole(self, event: Event) -> bool:
        """Whether an event without its blank line, at the end of the bytes, was not cut."""
        return event.data.endswith(b"}")

    def take_event(self, event: Event, what: str) -> None:
        told = json.loads(event.data)  # what it raises becomes a ProtocolError with the bytes
        if "fault" in told:
            self.error = ProviderError(str(told["fault"]), type="fault", body=told)
            return
        self.chunks += 1
        parts = self.choice(0)
        if "word" in told:
            self.hear(0, parts, parts.say("text", told["word"]))
        if "over" in told:
            parts.finish_reason_raw = told["over"]
            if told["over"] in FINISH:
                parts.finish(FINISH[told["over"]])
            counts: dict[str, Any] = told.get("counts", {})
            if counts:
                usage = Usage(
                    input_tokens=counts.get("in"), output_tokens=counts.get("out"), raw=counts
                )
                self.facts.set_usage(usage, size=len(event.data))
            self.end()


class Say:
    """Pure: no clock, no log, no environment; its state is a ``SayAnswer``'s."""

    name = "say"

    def auth(self, key: str, header: str | None) -> Mapping[str, str]:
        """The headers that carry the key."""
        return {header or "X-Say-Key": key}

    def write(self, ask: Ask) -> Written:
        """The request; what the server does not know is named, and the client warns of it once."""
        params = ask.params
        if params.n > 1:
            raise ValueError(f"n is {params.n}, and this server gives one answer")
        body: dict[str, Any] = {"model": ask.info.model_id, "ask": list(ask.messages)}
        if params.max_new_tokens is not None:
            body["most"] = params.max_new_tokens
        unknown = [
            name for name in ("temperature", "top_p", "seed", "stop") if getattr(params, name)
        ]
        return Written(
            path="/say",
            body=body | dict(ask.extra_body or {}),
            dropped=[Dropped(name, "the server has no such parameter") for name in unknown],
        )

    def answer(
        self, *, choices: int, limits: Limits, accept_eof: bool, redactor: Redactor
    ) -> SayAnswer:
        """The reader of one attempt's body."""
        return SayAnswer(choices=choices, limits=limits, accept_eof=accept_eof, redactor=redactor)

    def refusal(
        self, status: int, headers: Mapping[str, str], body: bytes, *, shown_url: str
    ) -> APIStatusError:
        """The exception for a reply with another status than 200, from the usual shapes of errors."""
        return error_from_reply(status, headers, body, shown_url=shown_url)

    def is_passing(self, error: APIStatusError | ProviderError) -> bool | None:
        """Whether to ask again; ``None``: as the status and the words say."""
        return None


SAY: Dialect = Say()
