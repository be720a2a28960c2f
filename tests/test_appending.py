"""What goes wrong below an ``Appender`` is told to whoever waits, and ends nothing that comes after it."""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lm_deluge.appending import Appender


class UncopyableError(Exception):
    """Cannot be made anew from its ``args``."""

    def __init__(self, first: int, second: int) -> None:
        super().__init__(f"{first} and {second}")


def encoded(items: list[bytes]) -> bytes:
    if b"uncopyable" in items:
        raise UncopyableError(1, 2)
    return b"".join(items)


def fail_to_write_and_to_close(appender: Appender[bytes], patch: pytest.MonkeyPatch) -> None:
    """As a network file system does that is full."""
    close = os.close

    def write(descriptor: int, data: bytes) -> int:
        patch.undo()
        patch.setattr(os, "close", fail)
        raise OSError(errno.EDQUOT, "quota exceeded")

    def fail(descriptor: int) -> None:
        patch.undo()
        close(descriptor)
        raise OSError(errno.EIO, "the rest was lost")

    patch.setattr(os, "write", write)


def send_what_cannot_be_encoded(appender: Appender[bytes], patch: pytest.MonkeyPatch) -> None:
    appender.add(b"uncopyable")


FAULTS: list[Callable[[Appender[bytes], pytest.MonkeyPatch], None]] = [
    fail_to_write_and_to_close,
    send_what_cannot_be_encoded,
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def dead_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """The threads that ended by an exception."""
    dead: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", dead.append)
    yield dead
    assert not dead


@pytest.mark.parametrize("follow", [True, False])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_failure_is_told_and_the_next_item_is_written(
    path: Path,
    fault: Callable[..., None],
    follow: bool,
    dead_threads: list[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    appender = Appender(path, encoded, name="test", follow=follow)
    appender.add(b"one\n")
    appender.flush().result(5)
    fault(appender, monkeypatch)
    appender.add(b"two\n")
    with pytest.raises(Exception, match=r"quota|1 and 2"):
        appender.flush().result(5)
    appender.add(b"three\n")
    appender.flush().result(5)
    appender.close()
    assert appender.failures == 1
    assert path.read_bytes() == b"one\nthree\n"


@pytest.mark.parametrize("follow", [True, False])
@pytest.mark.parametrize("is_taken", [True, False])
def test_a_descriptor_closed_by_somebody_else_is_opened_anew_and_not_touched_again(
    path: Path,
    is_taken: bool,
    follow: bool,
    dead_threads: list[Any],
) -> None:
    appender = Appender(path, encoded, name="test", follow=follow)
    appender.add(b"one\n")
    appender.flush().result(5)
    descriptor = appender._descriptor
    assert descriptor is not None
    with path.with_name("other").open("wb", buffering=0) as other:
        os.close(descriptor)  # as a program does that becomes a daemon: os.closerange
        if is_taken:
            os.dup2(other.fileno(), descriptor)
        appender.add(b"two\n")
        appender.flush().result(5)
        appender.close()
        if is_taken:
            os.write(descriptor, b"mine\n")
            os.close(descriptor)
    assert appender.failures == 0
    assert path.read_bytes() == b"one\ntwo\n"
    assert path.with_name("other").read_bytes() == (b"mine\n" if is_taken else b"")


def test_without_a_thread_it_says_so_and_writes_when_it_is_closed(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    appender = Appender(path, encoded, name="test")
    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(RuntimeError, match="can't start"):
        appender.add(b"one\n")
    with pytest.raises(RuntimeError, match="can't start"):
        appender.flush()
    appender.close()
    assert path.read_bytes() == b"one\n"


def test_a_thread_that_could_not_be_started_is_started_for_the_next_item(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    appender = Appender(path, encoded, name="test")
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        with contextlib.suppress(RuntimeError):
            appender.add(b"one\n")
    appender.add(b"two\n")
    appender.flush().result(5)
    appender.close()
    assert path.read_bytes() == b"one\ntwo\n"
