"""A process that goes on while the test looks at what it says."""

from __future__ import annotations

import asyncio
import os
import pty
import signal
import termios
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Self

import pytest


class Running:
    """A program with pipes, or (``terminal=True``) with a terminal of its own for all three, of 80 by 24.

    Its standard input is empty; ``stdin=True`` makes it a pipe that stays open.
    """

    def __init__(
        self,
        command: tuple[str, ...],
        env: Mapping[str, str],
        *,
        terminal: bool = False,
        stdin: bool = False,
    ) -> None:
        self._command = command
        self._env = dict(env)
        self._terminal = terminal
        self._stdin = asyncio.subprocess.PIPE if stdin else asyncio.subprocess.DEVNULL
        self._seen = asyncio.Condition()
        self.out = ""
        self.err = ""

    async def __aenter__(self) -> Self:
        self._readers: list[asyncio.Task[None]] = []
        if self._terminal:
            self._master, slave = pty.openpty()
            self.resize(80, 24)
            self.process = await asyncio.create_subprocess_exec(
                *self._command, stdin=slave, stdout=slave, stderr=slave, env=self._env,
                start_new_session=True, preexec_fn=lambda: _own_terminal(slave),
            )  # fmt: skip
            os.close(slave)
            os.set_blocking(self._master, False)
            asyncio.get_running_loop().add_reader(self._master, self._read_terminal)
        else:
            pipe = asyncio.subprocess.PIPE
            self.process = await asyncio.create_subprocess_exec(
                *self._command, stdin=self._stdin, stdout=pipe, stderr=pipe, env=self._env
            )
            assert self.process.stdout is not None
            assert self.process.stderr is not None
            for name, file in (("out", self.process.stdout), ("err", self.process.stderr)):
                self._readers.append(asyncio.create_task(self._read(name, file)))
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()
        if self._terminal:
            asyncio.get_running_loop().remove_reader(self._master)
            os.close(self._master)
        await asyncio.gather(*self._readers)

    async def until(self, text: str, *, seconds: float = 20.0) -> None:
        """Wait until it has said ``text``, on either output."""
        try:
            async with asyncio.timeout(seconds), self._seen:
                await self._seen.wait_for(lambda: text in self.out or text in self.err)
        except TimeoutError:
            raise AssertionError(f"no {text!r} in {self.out!r}, {self.err!r}") from None

    async def ended(self, *, seconds: float = 20.0) -> int:
        """Wait for the end; return the exit code."""
        async with asyncio.timeout(seconds):
            code = await self.process.wait()
            await asyncio.gather(*self._readers)
        if self._terminal:
            self._read_terminal()
        return code

    def interrupt(self) -> None:
        """Ctrl-C."""
        if self._terminal:
            self.type("\x03")
        else:
            self.process.send_signal(signal.SIGINT)

    def resize(self, columns: int, rows: int) -> None:
        """Give its window another size; the system tells the program (SIGWINCH)."""
        termios.tcsetwinsize(self._master, (rows, columns))

    def type(self, text: str) -> None:
        """Type at its terminal, or write to its standard input."""
        if self._terminal:
            os.write(self._master, text.encode())
        else:
            assert self.process.stdin is not None
            self.process.stdin.write(text.encode())

    async def _read(self, name: str, file: asyncio.StreamReader) -> None:
        data = b""
        while chunk := await file.read(4096):
            data += chunk
            async with self._seen:
                setattr(self, name, data.decode("utf-8", "replace"))
                self._seen.notify_all()

    def _read_terminal(self) -> None:
        try:
            data = os.read(self._master, 65536)
        except (BlockingIOError, OSError):  # nothing there; or the other side is closed (EIO)
            if self.process.returncode is not None:
                asyncio.get_running_loop().remove_reader(self._master)
            return
        self.out += data.decode("utf-8", "replace").replace("\r\n", "\n")
        self._readers.append(asyncio.create_task(self._tell()))

    async def _tell(self) -> None:
        async with self._seen:
            self._seen.notify_all()


def _own_terminal(slave: int) -> None:
    import fcntl

    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)


Start = Callable[..., Awaitable[Running]]


@pytest.fixture
async def start(command_name: tuple[str, ...]) -> AsyncIterator[Start]:
    """``await start("stream", "hi", env=…, terminal=False, stdin=False)``: ``lm-deluge`` with these."""
    async with AsyncExitStack() as stack:

        async def begin(
            *args: str, env: Mapping[str, str], terminal: bool = False, stdin: bool = False
        ) -> Running:
            running = Running((*command_name, *args), env, terminal=terminal, stdin=stdin)
            return await stack.enter_async_context(running)

        yield begin
