"""What the signals carry: one frozen attrs object each, named for what happened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from attrs import frozen

if TYPE_CHECKING:
    pass

__all__ = ["Delta", "DeltaKind", "Token", "make_token"]

DeltaKind = Literal["reasoning", "refusal", "tool_call", "server_tool", "citation", "tool_result"]


@frozen(weakref_slot=False)
class Token:
    """A piece of visible answer text, as the server cut it; never empty.

    ``text``: the piece. ``index``: 0-based, counted over the stream's tokens of all choices.
    ``arrived``: seconds from t0 to the arrival of its bytes, monotonic clock. ``read``: 0-based
    ordinal of the network read that held it. ``choice``: 0 unless ``n > 1`` was asked for. ``phase``: what
    its message is for, in the provider's word (Responses: ``"commentary"``, ``"final_answer"``), ``None``
    where it says nothing; the texts of all phases join into the completion.
    """

    text: str
    index: int
    arrived: float
    read: int
    choice: int = 0

    @property
    def phase(self) -> str | None:
        """What its message is for; a subclass knows it, as few messages say it."""
        return None

    def __str__(self) -> str:
        return self.text


class _Draft:
    """A ``Token`` in the making, field for field.

    A frozen attrs class fills its fields through ``object.__setattr__``, which costs as much as
    decoding the token. A class of the same slots without that guard, handed over by a change of
    ``__class__``, gives the same frozen object at a third of the price.
    """

    __slots__ = ("arrived", "choice", "index", "read", "text")


def make_token(text: str, index: int, arrived: float, read: int, choice: int) -> Token:
    """Return ``Token(text, index, arrived, read, choice)``, fast."""
    draft: Any = _Draft()
    draft.text = text
    draft.index = index
    draft.arrived = arrived
    draft.read = read
    draft.choice = choice
    draft.__class__ = Token
    return draft  # type: ignore[no-any-return]  # same slots: see _Draft


@frozen(kw_only=True)
class Delta:
    """A piece of anything but visible answer text.

    ``kind``: ``"reasoning"``, ``"refusal"``, ``"tool_call"``; ``"server_tool"``: what a tool does that
    the provider runs; ``"citation"``: where a part of the text is from; ``"tool_result"``: what the
    request tells the model of a call that ``run_tools`` ran, told after ``on_start``: no output.
    ``index``: for a tool call its position in the answer's list of tool calls, for a server's tool its
    position among its calls and results, else the 0-based ordinal of the piece among those of its kind.
    ``text``: the piece of reasoning or refusal; for a tool call the fragment of its arguments; the result.
    ``id``, ``name``: of the tool call, as known so far, or of what a server's tool does; ``arguments``:
    the fragment of the arguments' JSON text; ``None`` for the other kinds.
    ``data``: of a server's tool the call or the result, of a citation all of it, as the provider has it; of
    a tool's result ``is_error``, and ``elapsed``, the seconds it took; ``None`` for a fragment and for the
    other kinds.
    ``arrived``, ``read``, ``choice``: as in ``Token``; of a tool's result 0 and -1, as no read held it.
    """

    kind: DeltaKind
    index: int
    text: str
    arrived: float
    read: int
    choice: int = 0
    id: str | None = None
    name: str | None = None
    arguments: str | None = None
    data: dict[str, Any] | None = None
