"""Conversations kept on this machine, readable by their owner alone."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lm_deluge import Conversation, Message

__all__ = ["Keeper", "as_markdown", "folder", "last_kept", "write_new"]


def folder() -> Path:
    """Return where the platform keeps what programs remember (``XDG_STATE_HOME`` and the like).

    Raises ``OSError`` where the package that knows is missing.
    """
    try:
        import platformdirs
    except ImportError:
        raise OSError("it takes platformdirs: pip install platformdirs") from None
    return platformdirs.user_state_path("lm-deluge", appauthor=False) / "chats"


class Keeper:
    """Writes one conversation, whole, each time it has grown: what is there is never half a file."""

    def __init__(self, path: Path | None = None) -> None:
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
        self.path = path or folder() / f"{stamp}-{os.getpid()}.json"

    def keep(self, conversation: Conversation, model: str) -> None:
        """Write it; raises ``OSError``."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _replace(self.path, as_json(conversation, model))


def as_json(conversation: Conversation, model: str) -> str:
    """Return a conversation as its file has it."""
    messages = [message.to_openai() for message in conversation.messages]
    return json.dumps({"model": model, "messages": messages}, ensure_ascii=False, indent=1) + "\n"


def as_markdown(conversation: Conversation) -> str:
    """Return a conversation for people to read."""
    return "\n".join(
        f"## {message.role}\n\n{message.completion or message.refusal or ''}\n"
        for message in conversation.messages
    )


def last_kept() -> tuple[Path, Conversation, str] | None:
    """Return the conversation kept last, its file and its model; raises ``ValueError`` for a spoilt file."""
    with contextlib.suppress(FileNotFoundError):
        paths = sorted(folder().glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
        if paths:
            return (paths[-1], *_read(paths[-1]))
    return None


def write_new(path: Path, text: str) -> None:
    """Write a file that is not there yet; raises ``OSError``."""
    with path.open("x", encoding="utf-8", errors="replace") as file:
        file.write(text)


def _read(path: Path) -> tuple[Conversation, str]:
    try:
        kept: Any = json.loads(path.read_text("utf-8"))
        conversation = Conversation()
        for message in kept["messages"]:
            conversation.add(Message.from_openai(message))
        return conversation, str(kept["model"])
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{path} holds no conversation ({error})") from None


def _replace(path: Path, text: str) -> None:
    number, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".new")  # mode 0600
    try:
        with os.fdopen(number, "w", encoding="utf-8", errors="replace") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise
