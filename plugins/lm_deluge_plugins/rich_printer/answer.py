"""One stream's answer on a terminal: its parts, and when they are drawn."""

from __future__ import annotations

import asyncio
from collections import deque
from time import monotonic
from typing import Any, Final, TypeAlias

from lm_deluge import Delta, Stream
from lm_deluge_plugins.rich_printer.documents import Document
from lm_deluge_plugins.rich_printer.drawing import DrawnLine, MarkdownPainter
from lm_deluge_plugins.rich_printer.stage import stage_of
from lm_deluge_plugins.terminals import harmless

__all__ = ["DrawnAnswer"]

#: What a part is: the kind of its pieces, and what else tells it from the next.
Kind: TypeAlias = tuple[str, object]

#: How many times longer than a drawing took nothing is drawn: it has a fifth of the event loop at most.
_REST: Final = 4

#: Characters of a call's arguments that are kept to be shown: no window is wider.
_CALL: Final = 2000


class _Stretch:
    """A stretch of one kind: a text, or a call."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.document = Document()
        self.call = ""
        self.is_begun = False

    @property
    def is_call(self) -> bool:
        return self.kind[0] not in ("answer", "refusal", "reasoning")


class DrawnAnswer:
    """What one stream says: ``say`` and ``call`` take it, and it is drawn now or soon."""

    def __init__(
        self, stream: Stream, file: Any, painter: MarkdownPainter, interval: float
    ) -> None:
        self._stream: Stream | None = stream
        self._file = file
        self._painter = painter
        self._interval = interval
        self._stage = stage_of(file)
        self._parts: deque[_Stretch] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._next_at = 0.0
        self._over = False
        self._last_kind: Kind | None = None
        self._has_shown = False
        self._failure: BaseException | None = None
        self._play_once = self._play  # one object: by it the stage knows it
        self._stage.enter(self._play_once)

    def say(self, kind: Kind, text: str) -> None:
        """Take a piece of text."""
        self._part(kind).document.feed(text)
        self._touch()

    def call(self, delta: Delta) -> None:
        """Take a piece of a call, or of what comes of one."""
        part = self._part((delta.kind, delta.index))
        if not part.call:
            part.call = f"[{delta.kind.replace('_', ' ')}] {delta.name or ''}".rstrip()
            part.call += "(" if delta.kind == "tool_call" else " "
        if len(part.call) < _CALL:
            part.call += delta.text or delta.arguments or ""
        self._touch()

    def end(self) -> None:
        """Draw what is left; when those who began before are over."""
        self._over = True
        self._draw()
        self._stream = None
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def _part(self, kind: Kind) -> _Stretch:
        if not self._parts or self._parts[-1].kind != kind:
            self._parts.append(_Stretch(kind))
        return self._parts[-1]

    def _touch(self) -> None:
        """Draw, now or when it is time."""
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure
        wait = self._next_at - monotonic()
        if wait <= 0:
            self._draw()
        elif self._timer is None:
            try:
                loop = asyncio.get_running_loop()
            except RuntimeError:  # a signal sent by hand, where no loop runs
                self._draw()
            else:
                self._timer = loop.call_later(wait, self._tick)

    def _tick(self) -> None:
        self._timer = None
        try:
            self._draw()
        except Exception as error:  # noqa: BLE001 - the stream's next piece tells of it
            self._failure = error

    def _draw(self) -> None:
        begun = monotonic()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        try:
            self._stage.step(self._play_once)
        except OSError as error:
            # Its traceback would keep the stream.
            cause = error.with_traceback(None)
            stream = self._stream
            if stream is not None:
                stream.cancel(f"the output cannot be written ({error})", cause=cause)
        now = monotonic()
        self._next_at = now + max(self._interval, _REST * (now - begun))

    def _play(self) -> bool:
        """Draw once; return whether there is nothing more to come."""
        width = self._stage.width
        done: list[DrawnLine] = []
        while self._parts:
            final = self._over or len(self._parts) > 1
            done += self._whole(self._parts[0], width, final=final)
            if not final:
                break
            self._parts.popleft()
        live = self._growing(self._parts[0], width) if self._parts else []
        self._stage.show(done, live)
        return self._over

    def _whole(self, part: _Stretch, width: int, *, final: bool) -> list[DrawnLine]:
        if part.is_call:
            return self._apart(part, [self._called(part, width, final=True)]) if final else []
        dim = part.kind[0] == "reasoning"
        lines = self._painter.draw(part.document.take(final=final), width, dim=dim)
        return self._apart(part, lines)

    def _growing(self, part: _Stretch, width: int) -> list[DrawnLine]:
        before = part.is_begun, self._has_shown, self._last_kind
        if part.is_call:
            lines = [self._called(part, width, final=False)]
        else:
            dim = part.kind[0] == "reasoning"
            lines = self._painter.draw(part.document.rest(), width, dim=dim)
            if dim:
                lines.append(self._painter.plain(self._thinking(), width, dim=True))
        lines = self._apart(part, lines)
        part.is_begun, self._has_shown, self._last_kind = before
        return lines

    def _apart(self, part: _Stretch, lines: list[DrawnLine]) -> list[DrawnLine]:
        """Put an empty line between parts, but not between two calls."""
        if not lines or part.is_begun:
            return lines
        part.is_begun = True
        calls = part.is_call and self._last_kind is not None and self._last_kind[0] == part.kind[0]
        gap = [DrawnLine("", 0, is_sure=True)] if self._has_shown and not calls else []
        self._has_shown, self._last_kind = True, part.kind
        return [*gap, *lines]

    def _called(self, part: _Stretch, width: int, *, final: bool) -> DrawnLine:
        end = ")" if final and part.kind[0] == "tool_call" else ""
        text = harmless(" ".join((part.call + end).split()))
        return self._painter.plain(text, width)

    def _thinking(self) -> str:
        wide = "utf" in (getattr(self._file, "encoding", None) or "").lower()
        return "thinking…" if wide else "thinking..."
