"""``BEINGS``: whole objects that are handlers nobody would write on purpose."""

from __future__ import annotations

import functools
import types
from collections.abc import Callable
from typing import Any
from unittest.mock import AsyncMock, MagicMock, Mock, NonCallableMagicMock, create_autospec

from lm_deluge import StreamHandler
from support.hostile_methods import METHODS, SAME


class Props:
    """Its methods are properties, new at each look."""

    @property
    def on_token(self) -> Any:
        return lambda stream, token: None

    @property
    def on_start(self) -> Any:
        return functools.partial(lambda extra, stream: None, 1)


class Slotted:
    __slots__ = ("on_delta", "on_token")

    def __init__(self) -> None:
        self.on_token = lambda *_: 1 / 0

    def __eq__(self, other: object) -> bool:
        raise ValueError("no equality")

    def __hash__(self) -> int:
        raise ValueError("no hash")

    def __bool__(self) -> bool:
        raise ValueError("no truth")

    def __repr__(self) -> str:
        raise ValueError("no text")


class Impostor:
    """Says that it is a class."""

    @property
    def __class__(self) -> Any:  # type: ignore[override]
        return type

    def on_token(self, stream: Any, token: Any) -> None:
        """Hear nothing."""


class Everything:
    """Has every attribute there is."""

    def __getattr__(self, name: str) -> Any:
        return Everything()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return Everything()


class BadSignature:
    """Its signature is none."""

    @staticmethod
    def on_token(*args: Any) -> None:
        """Hear nothing."""

    on_token.__signature__ = "none"  # type: ignore[attr-defined]


class MetaHash(type):
    def __hash__(cls) -> int:
        raise ValueError("no hash")


class Unhashable(metaclass=MetaHash):
    def on_token(self, stream: Any, token: Any) -> None:
        """Hear nothing."""


class Kinds:
    """Methods of every kind that a class may hold."""

    @staticmethod
    def on_start(stream: Any) -> None:
        """Hear nothing."""

    @classmethod
    async def on_token(cls, stream: Any, token: Any) -> None:
        """Hear nothing."""

    on_delta = functools.partialmethod(lambda self, extra, stream, delta: 1 / 0, 1)

    @functools.singledispatchmethod
    def on_complete(self, stream: Any, response: Any) -> None:
        """Hear nothing."""


def namespace() -> Any:
    return types.SimpleNamespace(
        on_token=functools.partial(functools.partial(lambda *a, **k: 1 / 0, x=1), y=2)
    )


def mock_of_a_class() -> Any:
    mock = Mock(spec=type)
    mock.on_token = Mock()
    return mock


BEINGS: dict[str, Callable[[], object]] = {
    "Mock": Mock,
    "MagicMock": MagicMock,
    "AsyncMock": AsyncMock,
    "NonCallableMagicMock": NonCallableMagicMock,
    "Mock(spec=StreamHandler)": lambda: Mock(spec=StreamHandler),
    "Mock(spec=StreamHandler())": lambda: Mock(spec=StreamHandler()),
    "Mock(spec=type)": mock_of_a_class,
    "Mock that fails": lambda: Mock(**{f"{name}.side_effect": SAME for name in METHODS}),
    "AsyncMock that fails": lambda: AsyncMock(**{f"{name}.side_effect": SAME for name in METHODS}),
    "autospec": lambda: create_autospec(StreamHandler, instance=True),
    "properties": Props,
    "slots": Slotted,
    "impostor": Impostor,
    "everything": Everything,
    "bad signature": BadSignature,
    "unhashable class": Unhashable,
    "kinds of methods": Kinds,
    "namespace": namespace,
}
