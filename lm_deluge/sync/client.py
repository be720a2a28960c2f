"""``LLMClient`` for code without ``async``."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Generator, Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast

from lm_deluge.client.configured import ConfiguredClient
from lm_deluge.client.default_printer import PRINT, checked_printer
from lm_deluge.client.many import Outcome, Tags
from lm_deluge.client.options import (
    ManyOptions,
    StreamOptions,
    ToolsOptions,
    check_names,
    check_options,
)
from lm_deluge.sync.background import running_background
from lm_deluge.sync.bridge import result_of
from lm_deluge.sync.many import outcomes_of
from lm_deluge.sync.streams import Stream
from lm_deluge.values.conversation import Prompt
from lm_deluge.values.response import APIResponse

if TYPE_CHECKING:
    from typing import Self, Unpack

    from lm_deluge.client.tool_calls import Approve
    from lm_deluge.tools.tool import Tool
    from lm_deluge.values.rounds import ToolsResponse

__all__ = ["LLMClient"]


class LLMClient(ConfiguredClient):
    """Streams answers of one model, for code without ``async``. Cheap to make; need not be closed.

    The arguments are those of ``lm_deluge.LLMClient``, and so are the methods, their arguments and what
    they raise. One client serves all threads.
    """

    _kind = Stream

    def stream(
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

        Ctrl-C ends the stream, and is raised. Raises before anything is sent: ``ValueError`` or
        ``TypeError`` for arguments that make no sense, ``UnsupportedModelError`` for a model that is not
        served, ``AuthenticationError`` for a missing key. Afterwards the ``StreamError`` that ended the
        stream, with what was received in ``.partial``; for an answer that is not what ``schema`` asks for, a
        ``SchemaError``.
        """
        checked = check_options(options, "stream", ("printer",))
        stream = cast(
            "Stream",
            self._opened(
                prompt,
                checked,
                self.printer if printer is PRINT else checked_printer(printer),
            ),
        )
        try:
            response = stream.wait()
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
        return cast("Stream", self._opened(prompt, check_options(options, "open_stream"), None))

    def run_tools(
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

        As ``run_tools`` of ``lm_deluge.LLMClient``, with the same arguments. Sync functions, and a sync
        ``approve``, run in threads of their own, ``async`` ones in the background thread. Ctrl-C ends
        the run.
        """
        # Most programs run no tools.
        from lm_deluge.client.tools_given import run_of

        return result_of(
            run_of(
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
        )

    def stream_many(
        self,
        prompts: Iterable[Prompt] | AsyncIterable[Prompt],
        *,
        concurrency: int = 32,
        tags: Tags | None = None,
        **options: Unpack[ManyOptions],
    ) -> Generator[tuple[int, Outcome], None, None]:
        """Yield ``(index, APIResponse | StreamError)`` as the answers end; nothing is printed.

        Arguments:
            prompts: an iterable; a prompt is taken when there is room for it, in the thread that loops
                over the outcomes, while it waits for the next. One that is async runs in the background
                thread.
            concurrency: at most so many streams at a time.
            tags: added to the client's: a dict, or a function of index and prompt that returns one; it
                is called in the background thread.

        The options (``ManyOptions``) are those of ``stream``. No failure stops the others: it is
        yielded, a prompt that makes no sense as a ``PromptError`` (``lm_deluge.errors``). Raises at the
        first step what ``stream`` raises before anything is sent because of the other arguments;
        whatever ``prompts`` itself or ``tags`` raises, after the outcomes of the streams that ran by
        then (``KeyboardInterrupt`` and ``SystemExit`` at once). Leaving the loop ends all.
        """
        check_names(options, "stream_many", ("concurrency",))
        return outcomes_of(self.open_stream, prompts, concurrency=concurrency, tags=tags, **options)

    def close(self) -> None:
        """End its streams and close its connections. Not needed; the client can be used again afterwards."""
        if running_background() is not None:
            result_of(self._close)

    async def _close(self) -> None:
        await self._running.end("its client was closed")
        await self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
