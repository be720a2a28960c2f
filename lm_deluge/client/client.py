"""``LLMClient``: a model, how to reach it, and who observes its streams."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from lm_deluge.client.configured import ConfiguredClient
from lm_deluge.client.default_printer import PRINT, checked_printer
from lm_deluge.client.many import Outcome, Tags, stream_many
from lm_deluge.client.options import (
    ManyOptions,
    StreamOptions,
    ToolsOptions,
    check_names,
    check_options,
)
from lm_deluge.observers.stream import Stream, outcome_of
from lm_deluge.values.conversation import Prompt
from lm_deluge.values.response import APIResponse

if TYPE_CHECKING:
    from typing import Self, Unpack

    from lm_deluge.client.tool_calls import Approve
    from lm_deluge.tools.tool import Tool
    from lm_deluge.values.rounds import ToolsResponse


__all__ = ["LLMClient"]


class LLMClient(ConfiguredClient):
    """Streams answers of one model. Cheap to make; need not be closed; works in any event loop.

    Arguments:
        model: the model's name. Any is accepted here; ``stream()`` says if it is not served. A prefix
            names a provider's API: ``openai:``, ``openai-responses:``, ``anthropic:``, ``gemini:``.
        sampling_params: how answers are drawn; ``temperature``, ``top_p``, ``max_new_tokens``,
            ``json_mode`` and ``reasoning_effort`` set single fields of it.
        reasoning_summary: what is shown of a model's thinking where it is asked by Responses, ``"auto"``,
            ``"concise"`` or ``"detailed"``; ``None``: nothing. A server that refuses is asked without it.
        resume: go on with an answer after a lost connection; by Responses alone, where the provider then
            keeps it (``store``).
        dialect: the API to ask it by, ``"chat"``, ``"responses"``, ``"messages"``, ``"gemini"`` or another
            package's; the name is then sent as written.
        api_key: instead of the environment variable (its provider's, or the registered one).
        base_url: where its server is, up to ``/v1``; instead of the registration's or of the provider's
            variable (``OPENAI_BASE_URL``).
        extra_headers, extra_body: added to every request, and win over what the client sends; in the
            words of the provider of ``model``.
        query: added to the URL (Azure: ``{"api-version": "..."}``).
        auth_header: the header that carries the key; ``"Authorization"`` takes ``Bearer <key>``, any
            other the bare key (Azure: ``"api-key"``).
        organization, project: instead of ``OPENAI_ORG_ID`` and ``OPENAI_PROJECT_ID``.
        timeouts, retries, limits: ``Timeouts`` (seconds), ``RetryPolicy``, ``Limits``.
        fallback_models: asked in order, before any output, when the one before cannot answer. One of
            another provider gets no key, address, header, query or ``extra_body`` of this client or call,
            and no tool in the first one's provider's own words (``web_search``).
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
        prices: what an answer costs: ``f(model, usage)`` returns US dollars, ``None`` where it does not
            know; ``model``: the name as the server knows it. ``None``: by the built-in list, or as
            registered. When it fails, the logger is told once and the cost is ``None``.
        max_concurrent_streams: at most so many at a time in each event loop; the others wait in order.
        connector: an ``aiohttp`` connector of your own, which you close; for one event loop. Whom it
            trusts is its own affair.
        ssl_context: instead of the default one, and of what the environment says of authorities.
        trust_env: use the proxies (``HTTPS_PROXY``, ``NO_PROXY``, ...) and trust the authorities
            (``SSL_CERT_FILE``, ``REQUESTS_CA_BUNDLE``, ...) that the environment names.

    Raises ``ValueError`` or ``TypeError`` naming the argument that makes no sense, and
    ``AuthenticationError`` for a fallback of another provider whose key is not known.
    """

    async def stream(
        self,
        prompt: Prompt,
        *,
        printer: object | None = PRINT,
        **options: Unpack[StreamOptions],
    ) -> APIResponse:
        """Print the answer's tokens as they arrive and return the whole response.

        Arguments:
            prompt: text, a ``Message``, a ``Conversation``, or a list of OpenAI message dicts.
            printer: instead of the client's; ``None`` for silence. It adds nothing to the text, no
                newline at the end.
            options: those of ``StreamOptions``, beside the client's or instead of them.

        Raises before anything is sent: ``ValueError`` or ``TypeError`` for arguments that make no
        sense, ``UnsupportedModelError`` for a model that is not served, ``AuthenticationError`` for a
        missing key. Afterwards the ``StreamError`` that ended the stream, with what was received in
        ``.partial``; for an answer that is not what ``schema`` asks for, a ``SchemaError``.
        """
        checked = check_options(options, "stream", ("printer",))
        stream = self._opened(
            prompt,
            checked,
            self.printer if printer is PRINT else checked_printer(printer),
        )
        try:
            response = await outcome_of(stream)
        finally:
            del stream
        if checked.shape is not None:
            _ = response.parsed  # or it raises
        return response

    def open_stream(self, prompt: Prompt, **options: Unpack[StreamOptions]) -> Stream:
        """Return a ``Stream`` that has not started; nothing is printed.

        ``prompt`` and the options (``StreamOptions``) are those of ``stream``. Raises what ``stream``
        raises before anything is sent.
        """
        return self._opened(prompt, check_options(options, "open_stream"), None)

    async def run_tools(
        self,
        prompt: Prompt,
        tools: Sequence[Callable[..., Any] | Tool | Mapping[str, Any]],
        *,
        max_rounds: int = 10,
        max_cost: float | None = None,
        approve: Approve | None = None,
        tool_timeout: float | None = 60.0,
        concurrency: int = 16,
        max_result_chars: int | None = 100_000,
        printer: object | None = PRINT,
        **options: Unpack[ToolsOptions],
    ) -> ToolsResponse:
        """Stream answers and run the functions that they call, until one calls none; return the last.

        Every round is a stream of its own with the same handlers and printer. Its tags are ``call``, the same
        for all rounds, ``round``, 1-based, and ``after``, the names of the functions whose results it
        carries; its handlers hear these as ``on_delta`` of the kind ``"tool_result"`` after ``on_start``.

        Arguments:
            prompt: as in ``stream``. A ``Conversation`` holds the answers and results afterwards.
            tools: functions of any kind, ``async`` ones too, whose hints and docstrings say what they take,
                ``Tool`` where they do not; dicts for what the caller or the provider answers, which
                end the run when the model calls one.
            max_rounds: at most so many streams. The functions that the last one calls are run, too.
            max_cost: US dollars; no further stream is begun once all rounds cost as much, or a cost is
                not known.
            approve: asked before each call with its ``ToolCall``, sync (in a thread) or ``async``: ``True``
                runs it, ``False`` or a text, the reason, refuses it, a dict is given in place of its
                arguments. What it raises ends the run.
            tool_timeout: seconds that a call may take; ``None``: no limit.
            concurrency: at most so many calls at a time.
            max_result_chars: what of a result is sent, in characters; ``None``: all.
            printer: as in ``stream``, for all rounds.
            options: those of ``stream``. A ``tool_choice`` that demands a call holds until there was one.

        A sync function runs in a thread of its own, which is left alone when it is too slow or the run is
        cancelled. What a tool raises, and all that is wrong with a call, is told to the model as its result;
        ``KeyboardInterrupt`` and ``SystemExit`` go on. Raises what ``stream`` raises; a ``StreamError`` has
        the rounds before it in ``.rounds``.
        """
        # Most programs run no tools.
        from lm_deluge.client.tools_given import run_of

        run = run_of(
            self,
            prompt,
            tools,
            max_rounds=max_rounds,
            max_cost=max_cost,
            approve=approve,
            tool_timeout=tool_timeout,
            concurrency=concurrency,
            max_result_chars=max_result_chars,
            printer=printer,
            options=options,
        )
        return await run()

    def stream_many(
        self,
        prompts: Iterable[Prompt] | AsyncIterable[Prompt],
        *,
        concurrency: int = 32,
        tags: Tags | None = None,
        **options: Unpack[ManyOptions],
    ) -> AsyncGenerator[tuple[int, Outcome], None]:
        """Yield ``(index, APIResponse | StreamError)`` as the answers end; nothing is printed.

        Arguments:
            prompts: an iterable or async iterable; a prompt is taken when there is room for it.
            concurrency: at most so many streams at a time.
            tags: added to the client's: a dict, or a function of index and prompt that returns one.

        The options (``ManyOptions``) are those of ``stream``. No failure stops the others: it is
        yielded, a prompt that makes no sense as a ``PromptError`` (``lm_deluge.errors``). Raises at the
        first step what ``stream`` raises before anything is sent because of the other arguments;
        whatever ``prompts`` itself or ``tags`` raises, after the outcomes of the streams that ran by
        then (``KeyboardInterrupt`` and ``SystemExit`` at once). Leaving the loop ends all.
        """
        check_names(options, "stream_many", ("concurrency",))
        return stream_many(self.open_stream, prompts, concurrency=concurrency, tags=tags, **options)

    async def close(self) -> None:
        """End the streams of the running event loop, and the tools that run there, and close its connections.

        The same for event loops that are closed. Those of others go on. Not needed; the client can be
        used again afterwards.
        """
        await self._running.end("its client was closed")
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
