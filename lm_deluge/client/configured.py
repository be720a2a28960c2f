"""What a client is told when it is made, checked: a model, how to reach it, who observes it."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import aiohttp

from lm_deluge.client.arguments import (
    checked_body,
    checked_dialect,
    checked_fallbacks,
    checked_handlers,
    checked_header_value,
    checked_recorder,
    checked_resume,
    pricing_by,
)
from lm_deluge.client.default_printer import PRINT, checked_printer
from lm_deluge.client.opening import StreamOpener
from lm_deluge.client.routes import Access
from lm_deluge.config import (
    SUMMARIES,
    Limits,
    ReasoningEffort,
    ReasoningSummary,
    RetryPolicy,
    SamplingParams,
    Timeouts,
)
from lm_deluge.engine.plan import Running, Slots
from lm_deluge.http.transport import Transport
from lm_deluge.models.registry import MAX_TOKENS_FIELDS
from lm_deluge.values.addresses import (
    normalize_base_url,
    redact_url,
    validate_api_key,
    validate_header_name,
    validate_headers,
    validate_query,
)
from lm_deluge.values.checks import (
    checked_flag,
    checked_instance,
    checked_integer,
    checked_number,
    checked_one_of,
    checked_tags,
    checked_text,
)

if TYPE_CHECKING:
    from lm_deluge.engine.prices import Prices
    from lm_deluge.recording import Recorder

__all__ = ["ConfiguredClient"]


_SERVER: Final = "as the model's server knows it"
_DEFAULT_PARAMS: Final = SamplingParams()
_DEFAULT_TIMEOUTS: Final = Timeouts()
_DEFAULT_POLICY: Final = RetryPolicy()
_DEFAULT_LIMITS: Final = Limits()


class ConfiguredClient(StreamOpener):
    """What ``LLMClient`` and the one of ``lm_deluge.sync`` have in common: all but the verbs.

    The arguments are described by ``LLMClient``.
    """

    def __init__(
        self,
        model: str,
        *,
        sampling_params: SamplingParams | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        max_new_tokens: int | None = None,
        json_mode: bool | None = None,
        reasoning_effort: ReasoningEffort | None = None,
        reasoning_summary: ReasoningSummary | None = "auto",
        resume: bool = False,
        dialect: str | None = None,
        api_key: str | None = None,
        base_url: str | None = None,
        extra_headers: Mapping[str, str] | None = None,
        extra_body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
        auth_header: str | None = None,
        organization: str | None = None,
        project: str | None = None,
        timeouts: Timeouts = _DEFAULT_TIMEOUTS,
        retries: RetryPolicy = _DEFAULT_POLICY,
        limits: Limits = _DEFAULT_LIMITS,
        fallback_models: Sequence[str] = (),
        handlers: Sequence[object] = (),
        printer: object | None = PRINT,
        tags: Mapping[str, Any] | None = None,
        stream_options: bool | None = None,
        max_tokens_field: str | None = None,
        accept_eof: bool | None = None,
        strict: bool = False,
        record: str | os.PathLike[str] | Recorder | None = None,
        handler_wait: float = 5.0,
        prices: Prices | None = None,
        max_concurrent_streams: int | None = None,
        connector: aiohttp.BaseConnector | None = None,
        ssl_context: ssl.SSLContext | None = None,
        trust_env: bool = True,
        transport: Transport | None = None,
    ) -> None:
        self.model = checked_text("model", model)
        params = _DEFAULT_PARAMS if sampling_params is None else sampling_params
        self.sampling_params = checked_instance("sampling_params", params, SamplingParams).merged(
            temperature=temperature,
            top_p=top_p,
            max_new_tokens=max_new_tokens,
            json_mode=json_mode,
            reasoning_effort=reasoning_effort,
        )
        self.reasoning_summary: ReasoningSummary | None = checked_one_of(
            "reasoning_summary", reasoning_summary, SUMMARIES, optional=True
        )
        self.resume = checked_resume(resume, dialect)
        self.timeouts = checked_instance("timeouts", timeouts, Timeouts)
        self.retries = checked_instance("retries", retries, RetryPolicy)
        self.limits = checked_instance("limits", limits, Limits)
        self.fallback_models = checked_fallbacks(fallback_models)
        self.handlers = checked_handlers(handlers)
        self.printer = checked_printer(printer)
        self.tags = checked_tags("tags", tags)
        self.strict = checked_flag("strict", strict)
        self._recorder = checked_recorder(record)
        self.handler_wait = float(
            checked_number("handler_wait", handler_wait, 0, unit="a number of seconds,")
        )
        self.prices = prices
        self._pricing = None if prices is None else pricing_by(prices)
        self._access = Access(
            model=self.model,
            dialect=checked_dialect(dialect),
            api_key=None if api_key is None else validate_api_key(api_key),
            base_url=None if base_url is None else normalize_base_url(base_url),
            headers=validate_headers(extra_headers, "extra_headers"),
            query=validate_query(query),
            auth_header=validate_header_name(auth_header, "auth_header"),
            organization=checked_header_value("organization", organization),
            project=checked_header_value("project", project),
            accept_eof=checked_flag("accept_eof", accept_eof, optional="as registered"),
            trust_env=checked_flag("trust_env", trust_env),
            own_connector=connector is not None,
            own_tls=connector is not None or ssl_context is not None,
        )
        self._access.check_fallbacks(self.fallback_models)
        self._extra_body = checked_body(extra_body)
        self._stream_options = checked_flag("stream_options", stream_options, optional=_SERVER)
        self._max_tokens_field = checked_one_of(
            "max_tokens_field", max_tokens_field, MAX_TOKENS_FIELDS, optional=True
        )
        self._slots = Slots(
            checked_integer(
                "max_concurrent_streams", max_concurrent_streams, 1, optional="no bound"
            )
        )
        if connector is not None:
            checked_instance("connector", connector, aiohttp.BaseConnector)
        if ssl_context is not None:
            checked_instance("ssl_context", ssl_context, ssl.SSLContext)
        if transport is not None:
            checked_instance("transport", transport, Transport)
        self._transport = transport or Transport(
            connector=connector,
            ssl_context=ssl_context if ssl_context is not None else True,
        )
        self._running = Running()

    @property
    def context_window(self) -> int | None:
        """Tokens of prompt and answer together that the model takes; ``None`` where it is not known.

        Raises what ``stream`` raises for a model that is not served, or without a key.
        """
        return self._access.route(self.model).info.context_window

    def __repr__(self) -> str:
        base_url = self._access.base_url
        where = f", base_url={redact_url(base_url)!r}" if base_url else ""
        return f"LLMClient({self.model!r}{where})"
