"""Read recordings, damage included."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from attrs import define, field

from lm_deluge.recording.format import VERSION, CloseLine, HeadLine, ReadLine, RequestLine

__all__ = ["Exchange", "Read", "Recording", "read_recording"]


@define
class Read:
    """One network read: ``t`` seconds from the stream's t0 to its arrival, and its bytes."""

    t: float
    data: bytes = field(repr=False)


@define(kw_only=True)
class Exchange:
    """One request and its answer, as they were recorded.

    ``stream``: the stream's id. ``attempt``: 1-based number within it. ``sent``: seconds from t0 to the
    request; ``head_at`` to the response's head. ``hash``, ``url``, ``body``: of the request; no body
    where it was left out. ``streams``: whether the answer was asked for as a stream. ``status``:
    ``None`` where no head came. ``how``, ``closed_at``: how and when it ended (see
    ``lm_deluge.recording.format``); ``None`` where the recording broke off. ``choices``: the ``n``
    asked for.
    """

    stream: str
    attempt: int
    sent: float
    url: str
    hash: str
    choices: int = 1
    streams: bool = True
    body: str | None = field(default=None, repr=False)
    status: int | None = None
    headers: dict[str, str] = field(factory=dict)
    head_at: float | None = None
    reads: list[Read] = field(factory=list)
    how: str | None = None
    closed_at: float | None = None

    @property
    def data(self) -> bytes:
        """The body of the response."""
        return b"".join(read.data for read in self.reads)


@define
class Recording:
    """What a file holds.

    Its ``exchanges`` are in the order in which their requests were sent; ``skipped_lines`` is how
    many lines could not be read.
    """

    exchanges: list[Exchange] = field(factory=list)
    skipped_lines: int = 0

    def __iter__(self) -> Iterator[Exchange]:
        return iter(self.exchanges)

    def __len__(self) -> int:
        return len(self.exchanges)


class _Any(msgspec.Struct):
    v: int
    e: str


_LINES: dict[str, msgspec.json.Decoder[Any]] = {
    "request": msgspec.json.Decoder(RequestLine),
    "head": msgspec.json.Decoder(HeadLine),
    "read": msgspec.json.Decoder(ReadLine),
    "close": msgspec.json.Decoder(CloseLine),
}
_kind_of = msgspec.json.Decoder(_Any).decode


def read_recording(path: str | os.PathLike[str]) -> Recording:
    """Read a file of recordings into memory.

    Half lines (of a killed process) and lines of other events are left out; the former are counted. Raises
    ``OSError`` if the file cannot be read, ``ValueError`` if it holds no request.
    """
    recording = Recording()
    known: dict[tuple[str, int], Exchange] = {}
    with Path(path).open("rb") as file:
        for line in file:
            if line.isspace():
                continue
            try:
                head = _kind_of(line)
                decoder = _LINES.get(head.e) if head.v == VERSION else None
                if decoder is not None:
                    _take(decoder.decode(line), known, recording)
            except (ValueError, RecursionError):  # msgspec's errors, bad UTF-8, bad base64
                recording.skipped_lines += 1
    if not recording.exchanges:
        message = f"{os.fspath(path)} is no recording: no request is in it"
        raise ValueError(message)
    return recording


def _take(line: Any, known: dict[tuple[str, int], Exchange], recording: Recording) -> None:
    key = (line.s, line.x)
    if isinstance(line, RequestLine):
        exchange = known[key] = Exchange(
            stream=line.s, attempt=line.x, sent=line.t, url=line.url, hash=line.hash,
            choices=line.n, body=line.body, streams=_streams(line),
        )  # fmt: skip
        recording.exchanges.append(exchange)
        return
    found = known.get(key)
    if found is None:
        raise ValueError("its request is missing")
    if isinstance(line, HeadLine):
        found.status, found.headers, found.head_at = line.status, line.headers, line.t
    elif isinstance(line, ReadLine):
        found.reads.append(Read(line.t, line.data))
    else:
        found.how, found.closed_at = line.how, line.t


def _streams(line: RequestLine) -> bool:
    """Whether a stream was asked for: as the body says, where it was kept."""
    try:
        body = None if line.body is None else msgspec.json.decode(line.body)
    except (msgspec.DecodeError, RecursionError):
        return line.stream
    return body.get("stream") is True if isinstance(body, dict) else line.stream
