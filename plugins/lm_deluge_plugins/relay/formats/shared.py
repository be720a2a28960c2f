"""What a frame comes to is worked out once for all readers that get all frames of a log."""

from __future__ import annotations

from collections.abc import Mapping

from lm_deluge_plugins.relay.formats.format import Encoder
from lm_deluge_plugins.relay.frames import Frame

__all__ = ["SharedEncoder"]


class SharedEncoder:
    """An encoder for any number of readers, each of which asks for the frames in order from the first."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._encoded: list[bytes] = []

    @property
    def headers(self) -> Mapping[str, str]:
        """Of the response."""
        return self._encoder.headers

    @property
    def is_resumable(self) -> bool:
        """Whether a reader may begin behind a frame."""
        return False

    def encode(self, frame: Frame) -> bytes:
        """Return what a frame comes to."""
        if frame.number > len(self._encoded):
            self._encoded.append(self._encoder.encode(frame))
        return self._encoded[frame.number - 1]

    def heartbeat(self) -> bytes:
        """Return bytes that say nothing."""
        return self._encoder.heartbeat()

    def unavailable(self, message: str) -> bytes:
        """Return what says that the log cannot be read on for now."""
        return self._encoder.unavailable(message)
