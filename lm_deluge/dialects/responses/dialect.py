"""Responses as a ``Dialect``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from lm_deluge.config import Limits
from lm_deluge.dialects.asked import key_header
from lm_deluge.dialects.dialect import Ask, Dialect, Written
from lm_deluge.dialects.responses.answer import ResponsesAnswer
from lm_deluge.dialects.responses.request import build_body
from lm_deluge.errors import APIStatusError, ProviderError
from lm_deluge.values.redaction import Redactor
from lm_deluge.wire.refusals import error_from_reply

__all__ = ["RESPONSES"]

_AUTHORIZATION: Final = "Authorization"

#: What to say beside an error message with some words in it.
_HINTS: Final = (
    (
        "ncrypted content is not supported",
        'this model has no reasoning to send back: extra_body={"include": []} asks for none, '
        'dialect="chat" asks by chat completions',
    ),
)


class _Responses:
    """OpenAI's, and whoever speaks it."""

    name: Final = "responses"

    def auth(self, key: str, header: str | None) -> Mapping[str, str]:
        """Return ``Bearer <key>`` in ``Authorization``, the bare key in any other header (Azure)."""
        return key_header(key, header or _AUTHORIZATION)

    def write(self, ask: Ask) -> Written:
        """Return the request, in which ``extra_body`` has the last word."""
        body, dropped = build_body(ask)
        return Written(path="/responses", body=body, dropped=dropped)

    def answer(
        self, *, choices: int, limits: Limits, accept_eof: bool, redactor: Redactor
    ) -> ResponsesAnswer:
        """Return the reader of one attempt's body; ``choices`` is 1."""
        return ResponsesAnswer(
            choices=choices, limits=limits, accept_eof=accept_eof, redactor=redactor
        )

    def refusal(
        self, status: int, headers: Mapping[str, str], body: bytes, *, shown_url: str
    ) -> APIStatusError:
        """Return the exception for a reply whose status is no answer's."""
        return error_from_reply(
            status, headers, body, shown_url=shown_url, hints=_HINTS, usual_path="/v1"
        )

    def is_passing(self, error: APIStatusError | ProviderError) -> None:
        """Nothing: its servers are told by status and by words that many share."""
        return


RESPONSES: Final[Dialect] = _Responses()
