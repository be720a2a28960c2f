"""lm_deluge.sync in whole programs: Ctrl-C, forks, and the end of the interpreter."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from lm_deluge.simulator import Simulator
from support.programs import Finished, simulated

pytestmark = pytest.mark.program

#: What every program begins with: a handler that says each ending.
HEAD = """
import os, sys, threading, time
import lm_deluge
from lm_deluge.sync import LLMClient, stream_chat

class Telling:
    def on_token(self, stream, token):
        print("token", flush=True)
    def on_complete(self, stream, response):
        print("complete", flush=True)
    def on_error(self, stream, error):
        print("error:", type(error).__name__, flush=True)

client = LLMClient("gpt-4o", printer=None, handlers=[Telling()])
"""


def started(program: str, server: Simulator, stdin: int | None = None) -> subprocess.Popen[str]:
    """Start a program in development mode, where the interpreter tells of all that is left open."""
    source = HEAD + textwrap.dedent(program)
    return subprocess.Popen(
        [sys.executable, "-X", "dev", "-W", "ignore:This process:DeprecationWarning", "-c", source],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=simulated(server),
    )


def run(program: str, server: Simulator) -> list[str]:
    """Run a program to its end, without noise; return the lines it printed."""
    process = started(program, server)
    out, err = process.communicate(timeout=60)
    done = Finished(process.returncode, out, err)
    assert (done.code, done.complaints) == (0, "")
    return out.splitlines()


LONG = ["word "] * 2000

WAITS = {
    "stream": "client.stream('Hi')",
    "loop": "for token in client.open_stream('Hi'): pass",
    "pieces": "for piece in client.open_stream('Hi').pieces(): pass",
    "with": "with client.open_stream('Hi') as stream: stream.wait()",
    "chat": "for text in stream_chat('gpt-4o', 'Hi', client=client): pass",
    "many": "for outcome in client.stream_many(['Hi', 'Hi']): pass",
    "body": "for token in client.open_stream('Hi'): time.sleep(60)",
}


@pytest.mark.parametrize("how", WAITS)
def test_ctrl_c_ends_the_stream_and_is_raised(how: str) -> None:
    program = f"""
    def main():
        {WAITS[how]}
    try:
        main()
    except KeyboardInterrupt as interrupt:
        import traceback
        lines = [frame.lineno for frame in traceback.extract_tb(interrupt.__traceback__)]
        print("interrupted", threading.active_count(), len(lines) > 1, flush=True)
    """
    with Simulator(text=LONG, gap=0.01) as server:
        process = started(program, server)
        assert process.stdout is not None
        assert process.stdout.readline() == "token\n"
        begun = time.monotonic()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        took = time.monotonic() - begun
        assert server.open_connections == 0
    endings = [line for line in out.splitlines() if line != "token"]
    ended = ["error: StreamCancelled"] * (2 if how == "many" else 1)
    done = Finished(process.returncode, out, err)
    assert (endings, done.complaints, done.code) == ([*ended, "interrupted 2 True"], "", 0)
    assert took < 5


@pytest.mark.parametrize("many", [False, True])
def test_ctrl_c_without_a_handler_ends_the_program_as_usual(many: bool) -> None:
    with Simulator(text=LONG, gap=0.01) as server:
        process = started(WAITS["many" if many else "stream"], server)
        assert process.stdout is not None
        assert process.stdout.readline() == "token\n"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT
    assert err.count("Traceback") == 1
    assert err.splitlines()[-1] == "KeyboardInterrupt"
    assert 'File "<string>"' in err


ENDS = {
    "a stream that nobody waits for": """
        client.open_stream("Hi").start()
        while client.open_stream("Hi").start() or threading.active_count() < 2: pass
        time.sleep(0.2)
        print("end")
    """,
    "a loop in a daemon thread": """
        def loop():
            for token in client.open_stream("Hi"): pass
            print("never here")
        for _ in range(3):
            threading.Thread(target=loop, daemon=True).start()
        time.sleep(0.3)
        print("end")
    """,
    "waits in daemon threads, one after the other": """
        def loop():
            while True:
                client.stream("Hi")
        for _ in range(3):
            threading.Thread(target=loop, daemon=True).start()
        time.sleep(0.3)
        print("end")
    """,
    "stream_many in a daemon thread": """
        def loop():
            list(client.stream_many(["Hi"] * 5))
        threading.Thread(target=loop, daemon=True).start()
        time.sleep(0.3)
        print("end")
    """,
    "a generator that is left open": """
        tokens = iter(client.open_stream("Hi"))
        next(tokens)
        outcomes = client.stream_many(["Hi"] * 3)
        import builtins
        builtins.kept = [tokens, outcomes]
        print("end")
    """,
    "sys.exit in a loop": """
        for token in client.open_stream("Hi"):
            print("end")
            sys.exit()
    """,
    "a client and streams that were used up": """
        lm_deluge.sync.LLMClient("gpt-4o", printer=None).open_stream("Hi").start()
        for token in client.open_stream("Hi"):
            break
        client.close()
        print("end")
    """,
}


@pytest.mark.parametrize("how", ENDS)
def test_the_program_ends_at_once_and_without_noise(how: str) -> None:
    with Simulator(text=LONG, gap=0.01) as server:
        begun = time.monotonic()
        lines = run(ENDS[how], server)
        took = time.monotonic() - begun
        end = time.monotonic() + 5
        while server.open_connections and time.monotonic() < end:
            time.sleep(0.01)
        assert server.open_connections == 0
    assert "end" in lines
    assert "never here" not in lines
    assert "error: StreamCancelled" in lines  # handlers hear of it
    assert took < 8


def test_threads_of_the_program_go_on_after_its_main_thread() -> None:
    program = """
    def work():
        time.sleep(0.3)
        print(client.stream("Hi").completion)
    threading.Thread(target=work).start()
    """
    with Simulator(text="Hello") as server:
        assert run(program, server)[-1] == "Hello"


def test_functions_that_run_at_exit_can_stream() -> None:
    program = """
    import atexit
    @atexit.register
    def last():
        print(client.stream("Hi").completion)
    client.stream("Hi")
    """
    with Simulator(text="Hello") as server:
        assert run(program, server)[-1] == "Hello"


def test_a_log_has_the_streams_that_the_end_of_the_program_cut(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    program = f"""
    from lm_deluge_plugins import FileLogger
    logger = FileLogger({str(log)!r})
    with lm_deluge.attach(logger):
        pass
    lm_deluge.attach(logger)
    client.open_stream("Hi").start()
    time.sleep(0.3)
    """
    with Simulator(text=LONG, gap=0.01) as server:
        run(program, server)
    assert '"StreamCancelled"' in log.read_text("utf-8")


FORKS = {
    "before": "pass",
    "after a stream": "client.stream('Hi')",
    "beside a stream": "running = client.open_stream('Hi'); running.start(); time.sleep(0.1)",
}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.parametrize("when", FORKS)
def test_a_child_starts_a_thread_of_its_own(when: str) -> None:
    program = f"""
    client = LLMClient("gpt-4o", printer=None)
    running = None
    {FORKS[when]}
    child = os.fork()
    if child == 0:
        said = client.stream("Hi").completion
        assert len(said) == 200, said
        assert len(list(client.open_stream("Hi"))) == 40
        assert len(list(client.stream_many(["a", "b"]))) == 2
        if running is not None:
            for use in (running.wait, lambda: list(running), running.stop):
                try:
                    use()
                except RuntimeError as error:
                    assert "fork" in str(error), error
                else:
                    raise AssertionError(use)
            running.cancel()
        sys.exit(0)
    _, status = os.waitpid(child, 0)
    print("child", status)
    if running is not None:
        print(len(running.wait().completion))
    print(len(client.stream("Hi").completion))
    """
    with Simulator(text=["word "] * 40, gap=0.02) as server:
        lines = run(program, server)
    assert lines == ["child 0", *(["200"] if when == "beside a stream" else []), "200"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_child_holds_no_connection_of_its_parent_open() -> None:
    program = """
    client = LLMClient("gpt-4o", printer=None)
    tokens = iter(client.open_stream("Hi"))
    next(tokens)
    child = os.fork()
    if child == 0:
        sys.stdin.read()
        print("child:", len(client.stream("short").completion))
        sys.exit(0)
    tokens.close()
    print("left", flush=True)
    os.waitpid(child, 0)
    """
    with Simulator(text=lambda body: ["a"] if "short" in str(body) else LONG, gap=0.01) as server:
        process = started(program, server, stdin=subprocess.PIPE)
        assert process.stdout is not None
        while process.stdout.readline() != "left\n":
            assert process.poll() is None
        end = time.monotonic() + 5
        while server.open_connections and time.monotonic() < end:
            time.sleep(0.01)
        assert server.open_connections == 0
        out, err = process.communicate(timeout=60)
    done = Finished(process.returncode, out, err)
    assert (done.code, done.complaints) == (0, "")
    assert "child: 1" in out


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_loop_that_forks_goes_on_in_the_parent_and_says_so_in_the_child() -> None:
    program = """
    client = LLMClient("gpt-4o", printer=None)
    count = 0
    try:
        for token in client.open_stream("Hi"):
            count += 1
            if count == 3 and (child := os.fork()) == 0:
                parent = False
    except RuntimeError as error:
        print("child:", "forked" in str(error), flush=True)
        sys.exit(0)
    os.waitpid(child, 0)
    print("parent:", count)
    """
    with Simulator(text=["word "] * 40, gap=0.02) as server:
        assert run(program, server) == ["child: True", "parent: 40"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_worker_processes_that_are_forked_while_streams_run() -> None:
    program = """
    import multiprocessing
    client = LLMClient("gpt-4o", printer=None)

    def ask(number):
        return len(client.stream(str(number)).completion)

    if __name__ == "__main__":
        tokens = iter(client.open_stream("Hi"))
        next(tokens)
        with multiprocessing.get_context("fork").Pool(3) as pool:
            print(pool.map(ask, range(6)))
        print(len(list(tokens)))
    """
    with Simulator(text=["word "] * 40, gap=0.01) as server:
        assert run(program, server) == [str([200] * 6), "39"]
