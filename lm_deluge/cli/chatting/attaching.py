"""Files that go along with a message."""

from __future__ import annotations

from pathlib import Path

from lm_deluge import Message

__all__ = ["FilesWaiting"]

_IMAGES = (".png", ".jpg", ".jpeg", ".gif", ".webp")


class FilesWaiting:
    """What waits for the next message."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._images: list[Path] = []

    def add(self, name: str) -> str:
        """Take a file; return what to say of it. Raises ``OSError``, ``ValueError`` for what is no text."""
        path = Path(name.strip("'\"")).expanduser()
        if path.suffix.lower() in _IMAGES:
            Message.user("", images=[path])  # what cannot be read is told now
            self._images.append(path)
            return f"{path.name}: an image, sent with the next message"
        data = path.read_bytes()
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise ValueError(
                f"{path} is neither text nor an image ({', '.join(_IMAGES)})"
            ) from None
        if "\0" in text:
            raise ValueError(f"{path} holds zero bytes: it is no text")
        marks = "`" * max([3, *(len(run) + 1 for run in _runs(text))])
        self._texts.append(f"{path.name}:\n{marks}\n{text.rstrip()}\n{marks}")
        return f"{path.name}: {len(text)} characters, sent with the next message"

    def take(self, message: str) -> Message:
        """Return the message with all that waited; nothing waits any more."""
        text = "\n\n".join([*self._texts, message])
        images = [*self._images]
        self._texts.clear()
        self._images.clear()
        return Message.user(text, images=images) if images else Message.user(text)


def _runs(text: str) -> list[str]:
    """Return the runs of backticks in a text, so that a fence around it is longer."""
    return [run for run in "".join(c if c == "`" else " " for c in text).split() if run]
