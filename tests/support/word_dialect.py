"""A dialect that no provider has: each event's data is a token, an event ``end`` ends the answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lm_deluge.dialects.dialect import Ask, Dropped, Written
from lm_deluge.errors import APIStatusError, ProviderError, StreamError, status_error
from lm_deluge.values.arrivals import Arrivals
from lm_deluge.values.pieces import Delta, Token, make_token
from lm_deluge.values.response import Choice
from lm_deluge.values.usage import Usage
from lm_deluge.wire.sse import EventDecoder


class WordFacts:
    """What the server says of the answer: its length."""

    usage: Usage | None = None
    model_external: str | None = None
    response_id: str | None = None
    system_fingerprint: str | None = None
    service_tier: str | None = None
    extra: dict[str, Any] | None = None


class WordAnswer:
    """An answer of one choice."""

    evidence = b""
    end_word = "end"
    may_be_over = False

    def __init__(self) -> None:
        self.done = False
        self.error: StreamError | None = None
        self.facts = WordFacts()
        self.arrivals = Arrivals()
        self._events = EventDecoder(1_000_000)
        self._words: list[str] = []
        self._reads = 0

    @property
    def finished(self) -> bool:
        return self.done

    @property
    def whole(self) -> bool:
        return self.done and self.error is None

    @property
    def has_output(self) -> bool:
        return bool(self._words)

    has_chunks = says_something = has_output

    def feed(self, data: bytes, arrived: float) -> list[Token | Delta]:
        words = []
        for event in self._events.feed(data):
            if event.event == "end":
                self.done = True
                self.facts.response_id = event.data.decode()
            elif event.event == "failure":
                self.error = ProviderError(event.data.decode(), type="invalid_words")
                break
            else:
                words.append(event.data.decode())
        first = len(self._words)
        self._words += words
        self._reads += 1
        if words:
            self.arrivals.add_visible(words, arrived, self._reads - 1)
        return [
            make_token(word, first + at, arrived, self._reads - 1, 0)
            for at, word in enumerate(words)
        ]

    def feed_json(self, data: bytes, arrived: float) -> list[Token | Delta]:
        raise NotImplementedError

    def close(self, arrived: float) -> list[Token | Delta]:
        return []

    def give_up(self) -> list[Token | Delta]:
        return []

    def choices(self) -> list[Choice]:
        end = "stop" if self.done else None
        return [Choice(completion="".join(self._words), finish_reason=end)]


class WordDialect:
    """``is_passing`` finds that all passes but what the server names ``final``."""

    name = "words"

    def auth(self, key: str, header: str | None) -> Mapping[str, str]:
        return {header or "X-Word-Key": key}

    def write(self, ask: Ask) -> Written:
        said = [message["content"] for message in ask.messages]
        return Written(
            path=f"/{ask.info.model_id}/say",
            body={"words": said},
            query={"v": "1"},
            headers={"Word-Version": "7", "Accept": "text/words"},
            choices=1,
            dropped=[Dropped("seed", "words know none")] if ask.params.seed is not None else [],
        )

    def answer(self, **settings: object) -> WordAnswer:
        return WordAnswer()

    def refusal(
        self, status: int, headers: Mapping[str, str], body: bytes, *, shown_url: str
    ) -> APIStatusError:
        return status_error(status)(f"no words: {body.decode()}", status_code=status)

    def is_passing(self, error: APIStatusError | ProviderError) -> bool:
        return "final" not in error.message
