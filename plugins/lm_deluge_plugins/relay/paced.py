"""``PacedPublication``: a publication whose readers get text as a steady flow."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from lm_deluge_plugins.relay.publication import Publication
from lm_deluge_plugins.smooth import Smooth

if TYPE_CHECKING:
    from lm_deluge import APIResponse, Delta, Retry, Stream, Token
    from lm_deluge.errors import StreamError

__all__ = ["PacedPublication"]


class PacedPublication(Publication):
    """Hears by way of ``Smooth``, which holds text back for ``max_delay`` seconds at most.

    The other arguments are those of ``Publication``; raises what ``Smooth`` raises.
    """

    def __init__(self, *arguments: Any, max_delay: float, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        hears = SimpleNamespace(
            on_start=super().on_start,
            on_token=super().on_token,
            on_delta=super().on_delta,
            on_retry=super().on_retry,
            on_complete=super().on_complete,
            on_error=super().on_error,
        )
        self._pace = Smooth(hears, max_delay=max_delay)

    def on_start(self, stream: Stream) -> Any:
        """A step begins."""
        return self._pace.on_start(stream)

    def on_token(self, stream: Stream, token: Token) -> None:
        """A piece of text: it is written soon, cut after words."""
        self._pace.on_token(stream, token)

    def on_delta(self, stream: Stream, delta: Delta) -> Any:
        """A piece of anything else: what waits goes first."""
        return self._pace.on_delta(stream, delta)

    def on_retry(self, stream: Stream, retry: Retry) -> Any:
        """Another attempt follows: what waits goes first."""
        return self._pace.on_retry(stream, retry)

    def on_complete(self, stream: Stream, response: APIResponse) -> Any:
        """The answer, or one step of it, is whole: what waits goes first."""
        return self._pace.on_complete(stream, response)

    def on_error(self, stream: Stream, error: StreamError) -> Any:
        """The answer, or one step of it, ended any other way: what waits goes first."""
        return self._pace.on_error(stream, error)
