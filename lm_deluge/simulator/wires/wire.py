"""What each dialect is to the simulator."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from typing import Any

import attrs

from lm_deluge.servers.errors import openai_status
from lm_deluge.simulator.checks.refusals import Refused, error_reply
from lm_deluge.simulator.saying.answer import SimulatedAnswer
from lm_deluge.simulator.saying.printer import EventPrinter
from lm_deluge.simulator.saying.prompt import Prompt
from lm_deluge.simulator.saying.steps import Reply
from lm_deluge.simulator.serving.received import ReceivedRequest

__all__ = ["Asked", "KeptAnswer", "Served", "Wire"]


@attrs.frozen(kw_only=True)
class Served:
    """What a server accepts and tells, whatever the dialect."""

    seed: int
    """Of ids and signatures."""
    api_key: str | None
    """The only key accepted; ``None`` accepts any."""
    models: Collection[str] | None
    """The names served; ``None`` stands for those of the real services."""
    usage: bool | Mapping[str, Any]
    reasoning_field: str


@attrs.frozen(kw_only=True)
class Asked:
    """A request that passed the checks, and what its answer is written with."""

    prompt: Prompt
    printer: EventPrinter
    streamed: bool


@attrs.frozen(kw_only=True)
class KeptAnswer:
    """What is sent of an answer that goes on whoever reads it."""

    answer: SimulatedAnswer
    is_over: Callable[[], bool]
    """Whether it was cancelled: nothing of it follows."""


@attrs.frozen
class Wire(ABC):
    """One dialect: its paths, its checks, its words."""

    served: Served

    @abstractmethod
    def match(self, path: str) -> str | None:
        """Return what a path of this dialect names (a model, or nothing: ``""``), else ``None``."""

    @abstractmethod
    def ask(self, record: ReceivedRequest, named: str, index: int) -> Asked:
        """Check a request whose path names this, the ``index``-th one, and read it.

        Raises `Refused` for one that the real service would not answer.
        """

    def keep(self, record: ReceivedRequest, answer: SimulatedAnswer) -> KeptAnswer | None:
        """Keep an answer that is about to be sent, if this dialect keeps it."""
        return None

    def names_kept(self, path: str) -> bool:
        """Whether a path names an answer that may have been kept."""
        return False

    def kept(self, record: ReceivedRequest) -> KeptAnswer | Reply:
        """Return what of a kept answer is to be streamed, or the reply to what else is asked of it.

        Raises `Refused`.
        """
        raise NotImplementedError

    @abstractmethod
    def refuse(self, refused: Refused, record: ReceivedRequest) -> Reply:
        """Return the reply to a request that is refused."""

    def error(
        self, record: ReceivedRequest, status: int, message: str | None, headers: Mapping[str, str]
    ) -> Reply:
        """Return an error reply in this dialect's shape, and words where there is no message."""
        return error_reply(openai_status(status, message, headers))
