"""Chat completions as a ``Dialect``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from lm_deluge.config import Limits
from lm_deluge.dialects.asked import key_header
from lm_deluge.dialects.chat.answer import ChatAnswer
from lm_deluge.dialects.chat.request import build_body
from lm_deluge.dialects.dialect import Ask, Dialect, Written
from lm_deluge.errors import APIStatusError, ProviderError
from lm_deluge.values.redaction import Redactor
from lm_deluge.wire.refusals import error_from_reply

__all__ = ["CHAT"]

_AUTHORIZATION: Final = "Authorization"

#: What to say beside an error message with some words in it.
_HINTS: Final = (
    (
        "must be verified to stream",
        "OpenAI asks organizations to verify themselves before they may stream this model; verify yours "
        "in its settings, or ask a model that needs no verification",
    ),
    (
        "does not support 'system'",
        "register the model with register_model(..., system_role='user-prefix')",
    ),
    (
        "stream_options",
        "a server that does not know stream_options: LLMClient(..., stream_options=False)",
    ),
)


class _ChatCompletions:
    """OpenAI's, and whoever speaks it."""

    name: Final = "chat"

    def auth(self, key: str, header: str | None) -> Mapping[str, str]:
        """Return ``Bearer <key>`` in ``Authorization``, the bare key in any other header (Azure)."""
        return key_header(key, header or _AUTHORIZATION)

    def write(self, ask: Ask) -> Written:
        """Return the request, in which ``extra_body`` has the last word on ``n`` and ``logprobs``."""
        body, dropped = build_body(
            ask.info,
            ask.messages,
            ask.params,
            tools=ask.tools,
            tool_choice=ask.tool_choice,
            response_format=ask.response_format,
            extra_body=ask.extra_body,
            stream_options=ask.stream_options,
            max_tokens_field=ask.max_tokens_field,
        )
        choices = body.get("n")
        return Written(
            path="/chat/completions",
            body=body,
            choices=max(choices, 1) if isinstance(choices, int) else 1,
            logprobs=bool(body.get("logprobs")),
            dropped=dropped,
        )

    def answer(
        self, *, choices: int, limits: Limits, accept_eof: bool, redactor: Redactor
    ) -> ChatAnswer:
        """Return the reader of one attempt's body."""
        return ChatAnswer(choices=choices, limits=limits, accept_eof=accept_eof, redactor=redactor)

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


CHAT: Final[Dialect] = _ChatCompletions()
