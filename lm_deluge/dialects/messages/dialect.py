"""Messages as a ``Dialect``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from lm_deluge.config import Limits
from lm_deluge.dialects.asked import key_header, versioned
from lm_deluge.dialects.dialect import Ask, Dialect, Written
from lm_deluge.dialects.messages.answer import MessagesAnswer
from lm_deluge.dialects.messages.request import build_body, version_for
from lm_deluge.errors import APIStatusError, ProviderError
from lm_deluge.values.redaction import Redactor
from lm_deluge.wire.refusals import error_from_reply

__all__ = ["MESSAGES"]

_KEY_HEADER: Final = "x-api-key"
_VERSION_HEADER: Final = "anthropic-version"

#: A spending limit that stays until its month is over, told with the status of a passing one.
_SPENT: Final = "enforced_spend_limit_reached"


class _Messages:
    """Anthropic's, and whoever speaks it."""

    name: Final = "messages"

    def auth(self, key: str, header: str | None) -> Mapping[str, str]:
        """Return the bare key in the usual header or another, ``Bearer <key>`` in ``Authorization``."""
        return key_header(key, header or _KEY_HEADER)

    def write(self, ask: Ask) -> Written:
        """Return the request, in which ``extra_body`` has the last word."""
        version = version_for(ask)
        body, dropped, assumed = build_body(ask, version)
        return Written(
            path=versioned(ask.info.base_url, "v1", "/messages"),
            body=body,
            headers={_VERSION_HEADER: version},
            dropped=dropped,
            assumed=assumed,
        )

    def answer(
        self, *, choices: int, limits: Limits, accept_eof: bool, redactor: Redactor
    ) -> MessagesAnswer:
        """Return the reader of one attempt's body; ``choices`` is 1."""
        return MessagesAnswer(
            choices=choices, limits=limits, accept_eof=accept_eof, redactor=redactor
        )

    def refusal(
        self, status: int, headers: Mapping[str, str], body: bytes, *, shown_url: str
    ) -> APIStatusError:
        """Return the exception for a reply whose status is no answer's."""
        return error_from_reply(status, headers, body, shown_url=shown_url)

    def is_passing(self, error: APIStatusError | ProviderError) -> bool | None:
        """A spending limit does not pass; for the rest status and words decide."""
        details = error.body.get("details") if isinstance(error.body, Mapping) else None
        code = details.get("error_code") if isinstance(details, Mapping) else None
        return False if code == _SPENT else None


MESSAGES: Final[Dialect] = _Messages()
