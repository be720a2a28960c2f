"""A piece of text of a message that says what it is for."""

from __future__ import annotations

from attrs import frozen

from lm_deluge.values.pieces import Token

__all__ = ["PhasedToken", "phased"]


@frozen(weakref_slot=False)
class PhasedToken(Token):
    """A ``Token`` of a message that names its ``phase``."""

    phase: str | None = None


def phased(token: Token, phase: str) -> PhasedToken:
    """Return a token with its phase."""
    return PhasedToken(
        token.text, token.index, token.arrived, token.read, token.choice, phase=phase
    )
