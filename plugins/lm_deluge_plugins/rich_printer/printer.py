"""``RichPrinter``: the answer on the screen, as Markdown, as it arrives."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from lm_deluge import APIResponse, Delta, Stream, StreamHandler, Token
from lm_deluge.config import checked_flag, checked_number, checked_text
from lm_deluge.errors import StreamError
from lm_deluge_plugins.rich_printer.needed import NEEDED
from lm_deluge_plugins.stdout_printer import StdoutPrinter, SupportsWrite
from lm_deluge_plugins.terminals import is_drawable

if TYPE_CHECKING:
    from lm_deluge_plugins.rich_printer.answer import DrawnAnswer

__all__ = ["RichPrinter"]


class RichPrinter(StreamHandler):
    """Draws the answer as Markdown on a terminal while it arrives; elsewhere it is ``StdoutPrinter``.

    What can no longer change is written once and stays, also in what is scrolled back to; the last block
    alone is drawn again. Reasoning is dimmed, a tool call is a line, and control characters of the model
    are shown, not obeyed. Of a last block that is taller than the window its end is seen, and all of it
    once it is whole. Where several streams answer at a time, they come one after the other, in the order
    in which they began to. The cursor ends on a line of its own.

    Into a pipe or file, on a dumb terminal, where ``NO_COLOR`` is set and in a window of less than ten
    columns the text is written as it comes, without a single escape sequence.

    ``file``: where to, ``None`` for ``sys.stdout`` as it is when a stream begins. ``reasoning``: whether
    reasoning is shown. ``code_theme``: the colours of code, a style of Pygments. ``hyperlinks``: ``False``
    writes the address of a link after its text. ``refresh_per_second``: how often, at most, the last block
    is drawn; less often where drawing takes long.

    Raises ``ImportError`` without rich (the extra ``rich``), ``TypeError`` or ``ValueError`` naming an
    argument that makes no sense.
    """

    def __init__(
        self,
        file: SupportsWrite | None = None,
        *,
        reasoning: bool = True,
        code_theme: str = "monokai",
        hyperlinks: bool = True,
        refresh_per_second: float = 12.0,
    ) -> None:
        self._plain = StdoutPrinter(file)
        self._reasoning = checked_flag("reasoning", reasoning)
        self._code_theme = _checked_theme(checked_text("code_theme", code_theme))
        self._hyperlinks = checked_flag("hyperlinks", hyperlinks)
        rate = checked_number("refresh_per_second", refresh_per_second, 0, 1000, above=True)
        self._interval = 1 / rate
        self._file = file
        self._answers: dict[str, DrawnAnswer | None] = {}

    def on_token(self, stream: Stream, token: Token) -> None:
        """Draw a piece of the answer, soon."""
        if token.choice:
            return
        answer = self._answer_of(stream)
        if answer is None:
            self._plain.on_token(stream, token)
        else:
            answer.say(("answer", token.phase), token.text)

    def on_delta(self, stream: Stream, delta: Delta) -> None:
        """Draw a refusal, reasoning, what is called; citations are not shown."""
        if delta.choice:
            return
        answer = self._answer_of(stream)
        if answer is None:
            self._plain.on_delta(stream, delta)
        elif delta.kind == "refusal":
            answer.say(("refusal", None), delta.text)
        elif delta.kind == "reasoning":
            if self._reasoning:
                answer.say(("reasoning", None), delta.text)
        elif delta.kind != "citation":
            answer.call(delta)

    def on_complete(self, stream: Stream, response: APIResponse) -> None:
        """Write what is left."""
        self._end(stream)
        self._plain.on_complete(stream, response)

    def on_error(self, stream: Stream, error: StreamError) -> None:
        """Write what is left; it stays, though the answer broke off."""
        self._end(stream)
        self._plain.on_error(stream, error)

    @contextmanager
    def aside(self) -> Generator[None]:
        """Make room for other output, above what is still to change: ``with printer.aside(): print(...)``."""
        file = self._file_now()
        if not is_drawable(file):
            yield
            return
        from lm_deluge_plugins.rich_printer.stage import stage_of

        with stage_of(file).aside():
            yield

    def _file_now(self) -> Any:
        return self._file if self._file is not None else sys.stdout

    def _answer_of(self, stream: Stream) -> DrawnAnswer | None:
        """Return who draws this stream; ``None`` where its text is written as it comes."""
        try:
            return self._answers[stream.id]
        except KeyError:
            pass
        file = self._file_now()
        answer = None
        if is_drawable(file):
            from lm_deluge_plugins.rich_printer.answer import DrawnAnswer
            from lm_deluge_plugins.rich_printer.drawing import MarkdownPainter

            painter = MarkdownPainter(
                file, code_theme=self._code_theme, hyperlinks=self._hyperlinks
            )
            answer = DrawnAnswer(stream, file, painter, self._interval)
        self._answers[stream.id] = answer
        return answer

    def _end(self, stream: Stream) -> None:
        answer = self._answers.pop(stream.id, None)
        if answer is not None:
            answer.end()


def _checked_theme(name: str) -> str:
    """Return the name of a style that code can be drawn in; this is also where a missing rich is told."""
    try:
        importlib.import_module("rich.markdown")
        find: Any = importlib.import_module("pygments.styles").get_style_by_name
    except ImportError as error:
        message = NEEDED
        raise ImportError(message, name=error.name) from error
    try:
        if name not in ("ansi_dark", "ansi_light"):
            find(name)
    except ValueError:  # ClassNotFound is one
        accepted = "a style of Pygments, as 'monokai', or 'ansi_dark' or 'ansi_light'"
        raise ValueError(f"code_theme must be {accepted}, not {name!r}") from None
    return name
