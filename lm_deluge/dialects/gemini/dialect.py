"""Gemini as a ``Dialect``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote

from lm_deluge.config import Limits
from lm_deluge.dialects.asked import key_header, versioned
from lm_deluge.dialects.dialect import Ask, Dialect, Written
from lm_deluge.dialects.gemini.answer import GeminiAnswer
from lm_deluge.dialects.gemini.request import build_body
from lm_deluge.errors import APIStatusError, ProviderError
from lm_deluge.values.redaction import Redactor
from lm_deluge.wire.refusals import error_from_reply

__all__ = ["GEMINI"]

_KEY_HEADER: Final = "x-goog-api-key"

#: Says a limit that is of a day or a plan, in ``quotaId``; the others pass within a minute.
_PER_DAY: Final = "PerDay"


class _Gemini:
    """Google's, and whoever speaks it."""

    name: Final = "gemini"

    def auth(self, key: str, header: str | None) -> Mapping[str, str]:
        """Return the bare key in the usual header or another, ``Bearer <key>`` in ``Authorization``."""
        return key_header(key, header or _KEY_HEADER)

    def write(self, ask: Ask) -> Written:
        """Return the request, in which ``extra_body`` has the last word; the model is in the path."""
        body, dropped = build_body(ask)
        name = ask.info.model_id
        # Google's lists of models name them with the collection that they are of.
        named = name if name.startswith(("models/", "tunedModels/")) else f"models/{name}"
        path = f"/{quote(named, safe='/')}:streamGenerateContent"
        return Written(
            path=versioned(ask.info.base_url, "v1beta", path),
            query={"alt": "sse"},
            body=body,
            dropped=dropped,
        )

    def answer(
        self, *, choices: int, limits: Limits, accept_eof: bool, redactor: Redactor
    ) -> GeminiAnswer:
        """Return the reader of one attempt's body; ``choices`` is 1."""
        return GeminiAnswer(
            choices=choices, limits=limits, accept_eof=accept_eof, redactor=redactor
        )

    def refusal(
        self, status: int, headers: Mapping[str, str], body: bytes, *, shown_url: str
    ) -> APIStatusError:
        """Return the exception for a reply whose status is no answer's."""
        return error_from_reply(status, headers, body, shown_url=shown_url)

    def is_passing(self, error: APIStatusError | ProviderError) -> bool | None:
        """A limit of a day does not pass; for the rest status and words decide."""
        return False if _PER_DAY in _quota_ids(error.body) else None


def _details(body: Any) -> Iterator[Mapping[str, Any]]:
    """Yield what an error says beside its message."""
    if isinstance(body, list) and body:
        body = body[0]
    error = body.get("error", body) if isinstance(body, Mapping) else None
    details = error.get("details") if isinstance(error, Mapping) else None
    for detail in details if isinstance(details, list) else ():
        if isinstance(detail, Mapping):
            yield detail


def _quota_ids(body: Any) -> str:
    """Return the names of the limits that were met, in one text."""
    return " ".join(
        str(violation.get("quotaId"))
        for detail in _details(body)
        for violation in (detail.get("violations") or ())
        if isinstance(violation, Mapping)
    )


GEMINI: Final[Dialect] = _Gemini()
"""The dialect of ``…:streamGenerateContent?alt=sse``."""
