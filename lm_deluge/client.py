"""``LLMClient``: a model, how to reach it, and who observes its streams."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

import aiohttp

from lm_deluge.access import Access, redactor_for
from lm_deluge.arguments import (
    checked_bound,
    checked_dict,
    checked_handlers,
    checked_instance,
    checked_names,
    checked_seconds,
    checked_tags,
    listed_handlers,
)
from lm_deluge.config import Limits, ReasoningEffort, RetryPolicy, SamplingParams, Timeouts
from lm_deluge.conversation import Prompt, to_messages
from lm_deluge.endpoint import (
    normalize_base_url,
    redact_url,
    validate_api_key,
    validate_headers,
    validate_query,
)
from lm_deluge.handler_methods import methods_of
from lm_deluge.handlers import attach
from lm_deluge.many import Outcome, Tags, stream_many
from lm_deluge.plain import plain_text
from lm_deluge.plan import Plan, Running, Slots, Target
from lm_deluge.response import APIResponse
from lm_deluge.stream import Stream, outcome_of
from lm_deluge.transport import Transport
from lm_deluge.wire.request import build_body, characters_of

if TYPE_CHECKING:
    from typing import Self

    from lm_deluge.recording import Recorder

__all__ = ["LLMClient"]


class _Unset:
    """Stands for ``StdoutPrinter()``: the client knows no handler until it needs one."""

    def __repr__(self) -> str:
        return "StdoutPrinter()"


_PRINT: Final = _Unset()
_DEFAULT_PARAMS: Final = SamplingParams()
_DEFAULT_TIMEOUTS: Final = Timeouts()
_DEFAULT_POLICY: Final = RetryPolicy()
_DEFAULT_LIMITS: Final = Limits()


class LLMClient:
    """Streams answers of one model. Cheap to make; need not be closed; works in any event loop.

    Arguments:
        model: the model's name. Any is accepted here; ``stream()`` says if it is not served.
        sampling_params: how answers are drawn; ``temperature``, ``top_p``, ``max_new_tokens``,
            ``json_mode`` and ``reasoning_effort`` set single fields of it.
        api_key: instead of the environment variable (``OPENAI_API_KEY``, or the registered one).
        base_url: where an OpenAI-compatible server answers ``/chat/completions``; instead of the
            registration's or ``OPENAI_BASE_URL``.
        extra_headers, extra_body: added to every request, and win over what the client sends.
        query: added to the URL (Azure: ``{"api-version": "..."}``).
        auth_header: the header that carries the key; ``"Authorization"`` takes ``Bearer <key>``, any
            other the bare key (Azure: ``"api-key"``).
        organization, project: instead of ``OPENAI_ORG_ID`` and ``OPENAI_PROJECT_ID``.
        timeouts, retries, limits: ``Timeouts`` (seconds), ``RetryPolicy``, ``Limits``.
        fallback_models: asked in order, before any output, when the one before cannot answer.
        handlers: attached to every stream of this client, in order.
        printer: hears the streams of ``stream()`` first; ``None`` for silence.
        tags: a dict of your own on every stream, response and log line.
        stream_options: whether to ask for usage; ``None``: where the model's server knows it.
        max_tokens_field: ``"max_tokens"`` or ``"max_completion_tokens"``; ``None``: as the model's
            server knows it.
        accept_eof: take the end of the connection for the end of the answer; ``None``: as registered.
        strict: a failing handler ends the stream with ``HandlerError``.
        record: a path, or a ``Recorder``, to append the raw bytes of every stream to.
        handler_wait: seconds the end of a stream waits for ``async`` handlers; at most 1 where whoever
            waits for the stream was cancelled.
        max_concurrent_streams: at most so many at a time in each event loop; the others wait in order.
        connector: an ``aiohttp`` connector of your own, which you close; for one event loop. Whom it
            trusts is its own affair.
        ssl_context: instead of the default one, and of what the environment says of authorities.
        trust_env: use the proxies (``HTTPS_PROXY``, ``NO_PROXY``, ...) and trust the authorities
            (``SSL_CERT_FILE``, ``REQUESTS_CA_BUNDLE``, ...) that the environment names.

    Raises ``ValueError`` or ``TypeError`` naming the argument that makes no sense.
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
        printer: object | None = _PRINT,
        tags: Mapping[str, Any] | None = None,
        stream_options: bool | None = None,
        max_tokens_field: str | None = None,
        accept_eof: bool | None = None,
        strict: bool = False,
        record: str | os.PathLike[str] | Recorder | None = None,
        handler_wait: float = 5.0,
        max_concurrent_streams: int | None = None,
        connector: aiohttp.BaseConnector | None = None,
        ssl_context: ssl.SSLContext | None = None,
        trust_env: bool = True,
        transport: Transport | None = None,
    ) -> None:
        self.model = plain_text(model)
        self.sampling_params = checked_instance(
            "sampling_params", sampling_params or _DEFAULT_PARAMS, SamplingParams
        ).merged(
            temperature=temperature,
            top_p=top_p,
            max_new_tokens=max_new_tokens,
            json_mode=json_mode,
            reasoning_effort=reasoning_effort,
        )
        self.timeouts = checked_instance("timeouts", timeouts, Timeouts)
        self.retries = checked_instance("retries", retries, RetryPolicy)
        self.limits = checked_instance("limits", limits, Limits)
        self.fallback_models = checked_names("fallback_models", fallback_models)
        self.handlers = checked_handlers(handlers)
        self.printer = _checked_printer(printer)
        self.tags = checked_tags("tags", tags)
        self.strict = strict
        self._recorder = _recorder(record)
        self.handler_wait = checked_seconds("handler_wait", handler_wait)
        self._access = Access(
            api_key=None if api_key is None else validate_api_key(api_key),
            base_url=None if base_url is None else normalize_base_url(base_url),
            headers=validate_headers(extra_headers, "extra_headers"),
            query=validate_query(query),
            auth_header=auth_header,
            organization=organization,
            project=project,
            accept_eof=accept_eof,
            trust_env=trust_env,
            own_connector=connector is not None,
            own_tls=connector is not None or ssl_context is not None,
        )
        if auth_header is not None:
            validate_headers({auth_header: ""}, "auth_header")
        self._extra_body = checked_dict("extra_body", extra_body)
        self._stream_options = stream_options
        self._max_tokens_field = max_tokens_field
        self._slots = Slots(checked_bound("max_concurrent_streams", max_concurrent_streams))
        self._transport = transport or Transport(
            connector=connector,
            ssl_context=ssl_context if ssl_context is not None else True,
        )
        self._running = Running()

    def __repr__(self) -> str:
        base_url = self._access.base_url
        where = f", base_url={redact_url(base_url)!r}" if base_url else ""
        return f"LLMClient({self.model!r}{where})"

    async def stream(
        self,
        prompt: Prompt,
        *,
        handlers: Sequence[object] = (),
        printer: object | None = _PRINT,
        tools: Sequence[Mapping[str, Any]] | None = None,
        tool_choice: str | Mapping[str, Any] | None = None,
        response_format: Mapping[str, Any] | None = None,
        sampling_params: SamplingParams | None = None,
        extra_body: Mapping[str, Any] | None = None,
        timeouts: Timeouts | None = None,
        tags: Mapping[str, Any] | None = None,
    ) -> APIResponse:
        """Print the answer's tokens as they arrive and return the whole response.

        Arguments:
            prompt: text, a ``Message``, a ``Conversation``, or a list of OpenAI message dicts.
            handlers: attached to this stream, after the client's.
            printer: instead of the client's; ``None`` for silence. It adds nothing to the text, no
                newline at the end.
            tools, tool_choice, response_format: as in OpenAI's API, verbatim.
            sampling_params, timeouts: instead of the client's.
            extra_body, tags: added to the client's, and win.

        Raises before anything is sent: ``ValueError`` or ``TypeError`` for arguments that make no
        sense, ``UnsupportedModelError`` for a model that is not served, ``AuthenticationError`` for a
        missing key. Afterwards the ``StreamError`` that ended the stream, with what was received in
        ``.partial``.
        """
        stream = self.open_stream(
            prompt,
            handlers=handlers,
            tools=tools,
            tool_choice=tool_choice,
            response_format=response_format,
            sampling_params=sampling_params,
            extra_body=extra_body,
            timeouts=timeouts,
            tags=tags,
            _printer=self.printer if printer is _PRINT else _checked_printer(printer),
        )
        try:
            return await outcome_of(stream)
        finally:
            del stream

    def open_stream(
        self,
        prompt: Prompt,
        *,
        handlers: Sequence[object] = (),
        tools: Sequence[Mapping[str, Any]] | None = None,
        tool_choice: str | Mapping[str, Any] | None = None,
        response_format: Mapping[str, Any] | None = None,
        sampling_params: SamplingParams | None = None,
        extra_body: Mapping[str, Any] | None = None,
        timeouts: Timeouts | None = None,
        tags: Mapping[str, Any] | None = None,
        _printer: object | None = None,
    ) -> Stream:
        """Return a ``Stream`` that has not started; nothing is printed. Arguments as of ``stream``.

        Raises what ``stream`` raises before anything is sent.
        """
        if type(handlers) is not tuple:
            handlers = listed_handlers(handlers)
        messages = to_messages(prompt)
        params = self.sampling_params
        if sampling_params is not None:
            params = checked_instance("sampling_params", sampling_params, SamplingParams)
        times = (
            self.timeouts if timeouts is None else checked_instance("timeouts", timeouts, Timeouts)
        )
        extra = {**self._extra_body, **checked_dict("extra_body", extra_body)}
        recorder = self._recorder.for_stream() if self._recorder is not None else None
        targets = []
        choices = params.n
        routes = [self._access.route(name) for name in (self.model, *self.fallback_models)]
        redactor = redactor_for(routes, extra, tools)
        for route in routes:
            info = route.info
            body = build_body(
                info,
                messages,
                params,
                tools=tools,
                tool_choice=tool_choice,
                response_format=response_format,
                extra_body=extra,
                stream_options=self._stream_options,
                max_tokens_field=self._max_tokens_field,
            )
            choices = body["n"] if isinstance(body.get("n"), int) else 1
            targets.append(
                Target(
                    info=info,
                    request=route.request(body, redactor),
                    timeouts=times.resolved(info.reasoning),
                    recorder=recorder,
                )
            )
        plan = Plan(
            targets=tuple(targets),
            transport=self._transport,
            slots=self._slots,
            running=self._running,
            policy=self.retries,
            limits=self.limits,
            redactor=redactor,
            tags={**self.tags, **checked_tags("tags", tags)},
            choices=max(choices, 1),
            logprobs=bool(body.get("logprobs")),
            prompt_chars=characters_of(messages),
            strict=self.strict,
            handler_wait=self.handler_wait,
        )
        stream = Stream(plan)
        if recorder is not None:
            attach(recorder, stream)
        if _printer is not None:
            attach(_default_printer() if _printer is _PRINT else _printer, stream)
        for handler in (*self.handlers, *handlers):
            attach(handler, stream)
        return stream

    def stream_many(
        self,
        prompts: Iterable[Prompt] | AsyncIterable[Prompt],
        *,
        concurrency: int = 32,
        handlers: Sequence[object] = (),
        tools: Sequence[Mapping[str, Any]] | None = None,
        tool_choice: str | Mapping[str, Any] | None = None,
        response_format: Mapping[str, Any] | None = None,
        sampling_params: SamplingParams | None = None,
        extra_body: Mapping[str, Any] | None = None,
        timeouts: Timeouts | None = None,
        tags: Tags | None = None,
    ) -> AsyncGenerator[tuple[int, Outcome], None]:
        """Yield ``(index, APIResponse | StreamError)`` as the answers end; nothing is printed.

        Arguments:
            prompts: an iterable or async iterable; a prompt is taken when there is room for it.
            concurrency: at most so many streams at a time.
            tags: added to the client's: a dict, or a function of index and prompt that returns one.

        The others are those of ``stream``. No failure stops the others: it is yielded, a prompt that
        makes no sense as a ``PromptError`` (``lm_deluge.errors``). Raises at the first step what
        ``stream`` raises before anything is sent because of the other arguments; whatever ``prompts``
        itself or ``tags`` raises, after the outcomes of the streams that ran by then
        (``KeyboardInterrupt`` and ``SystemExit`` at once). Leaving the loop ends all.
        """
        return stream_many(
            self,
            prompts,
            concurrency=concurrency,
            handlers=handlers,
            tools=tools,
            tool_choice=tool_choice,
            response_format=response_format,
            sampling_params=sampling_params,
            extra_body=extra_body,
            timeouts=timeouts,
            tags=tags,
        )

    async def close(self) -> None:
        """End the streams of the running event loop and close its connections.

        The same for event loops that are closed. Those of others go on. Not needed; the client can be
        used again afterwards.
        """
        loop = asyncio.get_running_loop()
        mine: list[Stream] = []
        for stream in self._running.all():
            its = stream.loop
            if its is loop:
                stream.cancel("its client was closed")
                mine.append(stream)
            elif its is not None and its.is_closed():
                stream.cancel("its event loop was closed")
        for stream in mine:
            await stream.aclose("its client was closed")
        await self._transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()


def _recorder(record: str | os.PathLike[str] | Recorder | None) -> Recorder | None:
    if record is None:
        return None
    from lm_deluge.recording import Recorder

    return record if isinstance(record, Recorder) else Recorder(record)


def _default_printer() -> object:
    from lm_deluge_plugins.stdout_printer import StdoutPrinter

    return StdoutPrinter()


def _checked_printer(printer: object | None) -> object | None:
    if printer is not None and printer is not _PRINT:
        methods_of(printer)
    return printer
