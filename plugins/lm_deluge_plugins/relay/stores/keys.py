"""The names of a stream's keys in Redis, all in one slot of a cluster."""

from __future__ import annotations

from attrs import frozen

__all__ = ["Keys", "as_bytes", "key_of_name"]


@frozen
class Keys:
    """``log``: the frames. ``alive``: there while the producer lives. ``readers``: processes that read it,
    with the time until which that holds. ``stop``: why it is to end. ``seen``: which pieces readers told of.
    ``news``, ``ask``: channels on which frames are told, and the producer is asked.
    """

    log: str
    alive: str
    readers: str
    stop: str
    seen: str
    news: str
    ask: str

    @classmethod
    def of(cls, prefix: str, stream_id: str) -> Keys:
        """Return the keys of a stream."""
        names = ("log", "alive", "readers", "stop", "seen", "news", "ask")
        return cls(*(f"{prefix}{{{stream_id}}}:{name}" for name in names))


def key_of_name(prefix: str, key: str) -> str:
    """Return where it is said which stream a key stands for."""
    return f"{prefix}{{{key}}}:id"


def as_bytes(value: bytes | str) -> bytes:
    """Return what Redis said as bytes, whether the client decodes it or not."""
    return value.encode() if isinstance(value, str) else value
