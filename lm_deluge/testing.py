"""Fixtures of pytest for the tests of programs that stream: ``simulator``, ``replay`` and ``proxy``.

Register them in ``conftest.py``::

    pytest_plugins = ["lm_deluge.testing"]

They serve from a thread of their own: a plain ``def`` test with a client that blocks is served as well
as an ``async`` one, in whatever event loop. Nothing else of lm_deluge imports this module, or pytest.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

try:
    import pytest
except ModuleNotFoundError as error:
    message = f"lm_deluge.testing needs {error.name}: pip install pytest"
    raise ModuleNotFoundError(message, name=error.name) from None

from lm_deluge.proxy import Proxy
from lm_deluge.simulator import Simulator

if TYPE_CHECKING:
    from typing import Self

__all__ = ["Replayed", "StartProxy", "StartReplay", "proxy", "replay", "simulator"]


class Replayed(Simulator):
    """A running ``Simulator`` that serves a recording; ``await`` gives it, too."""

    def __await__(self) -> Generator[Any, None, Self]:
        yield from ()
        return self


StartReplay = Callable[..., Replayed]
"""``replay(path, speed="max", by="order")``, or ``await replay(...)``: a running ``Replayed``."""


StartProxy = Callable[..., Proxy]
"""``proxy(upstream=None, handlers=[…], …)``: a running ``Proxy``."""


@pytest.fixture
def simulator(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Simulator]:
    """A running ``Simulator``; ``OPENAI_BASE_URL`` and ``OPENAI_API_KEY`` lead to it.

    Its arguments can be given by markers: ``@pytest.mark.simulator("reset:2", text="Hi")``; the one
    that may stand without a name is ``faults``. Markers of a parameter, function, class and module add
    up; for an argument that several give, the closest one counts.
    """
    with Simulator(**_arguments(request.node)) as running:
        _lead(monkeypatch, running)
        yield running


@pytest.fixture
def replay(monkeypatch: pytest.MonkeyPatch) -> Iterator[StartReplay]:
    """Serve a recording: ``server = replay("answers.rec")``, in an ``async`` test with ``await`` or
    without.

    ``speed``: ``"max"`` by default; 1 for the recorded pace. ``by``: ``"order"``, ``"hash"`` or
    ``"loop"``. ``OPENAI_BASE_URL`` and ``OPENAI_API_KEY`` lead to the one that was started last.
    """
    with ExitStack() as stack:

        def start(
            path: str | os.PathLike[str], *, speed: Any = "max", by: Any = "order"
        ) -> Replayed:
            running = stack.enter_context(Replayed(replay=path, speed=speed, replay_by=by))
            _lead(monkeypatch, running)
            return running

        yield start


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[StartProxy]:
    """Watch what the program under test streams: ``running = proxy(handlers=[collector])``.

    Arguments are those of ``Proxy``. Without an upstream it stands before whatever ``OPENAI_BASE_URL``
    leads to, as the fixture ``simulator``, or else before the providers. That variable,
    ``ANTHROPIC_BASE_URL`` and ``GOOGLE_GEMINI_BASE_URL`` lead to the one that was started last.
    """
    with ExitStack() as stack:

        def start(upstream: str | None = None, **arguments: Any) -> Proxy:
            if upstream is None:
                upstream = os.environ.get("OPENAI_BASE_URL") or None
            running = stack.enter_context(Proxy(upstream, **arguments))
            monkeypatch.setenv("OPENAI_BASE_URL", running.base_url)
            monkeypatch.setenv("ANTHROPIC_BASE_URL", running.url)
            monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", running.url)
            return running

        yield start


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line(
        "markers",
        "simulator(faults, **arguments): the arguments of the fixture `simulator`",
    )


_ACCEPTED = tuple(
    name for name in inspect.signature(Simulator.__init__).parameters if name != "self"
)


def _arguments(node: pytest.Item) -> dict[str, Any]:
    """Return what the test's markers say, the farthest first. Raises ``pytest.UsageError``."""
    markers = list(node.iter_markers("simulator"))
    # A parameter's own marker is closer than that of its function; pytest lists it behind.
    callspec = getattr(node, "callspec", None)
    own = [mark for mark in getattr(callspec, "marks", ()) if mark.name == "simulator"]
    markers = [*own, *(mark for mark in markers if mark not in own)]
    arguments: dict[str, Any] = {}
    for mark in reversed(markers):
        arguments |= _arguments_of(mark, node.nodeid)
    return arguments


def _arguments_of(mark: pytest.Mark, test: str) -> dict[str, Any]:
    given = dict(mark.kwargs)
    if len(mark.args) > 1:
        message = f"{len(mark.args)} arguments without a name: only the first, faults, needs none"
    elif mark.args and "faults" in given:
        message = f"faults is given twice, as {mark.args[0]!r} and {given['faults']!r}"
    elif unknown := [name for name in given if name not in _ACCEPTED]:
        message = f"no argument {unknown[0]!r}; it takes {', '.join(_ACCEPTED)}"
    else:
        return {"faults": mark.args[0], **given} if mark.args else given
    raise pytest.UsageError(f"@pytest.mark.simulator of {test}: {message}")


def _lead(monkeypatch: pytest.MonkeyPatch, simulator: Simulator) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", simulator.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-simulated")
