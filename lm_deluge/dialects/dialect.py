"""What a provider's API has to say for itself, so that nobody else need know it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from attrs import field, frozen

from lm_deluge.config import Limits, SamplingParams
from lm_deluge.errors import APIStatusError, ProviderError, StreamError
from lm_deluge.models.registry import ModelInfo
from lm_deluge.values.arrivals import Arrivals
from lm_deluge.values.pieces import Delta, Token
from lm_deluge.values.redaction import Redactor
from lm_deluge.values.response import Choice
from lm_deluge.values.usage import Usage

if TYPE_CHECKING:
    from lm_deluge.structured.shape import Shape

__all__ = ["AnswerFacts", "AnswerReader", "Ask", "Dialect", "Dropped", "Written"]


@frozen(kw_only=True)
class Ask:
    """What is asked of one model, in the library's words.

    ``messages``, ``tools``, ``tool_choice``, ``response_format``: dicts of OpenAI's form.
    ``extra_body`` is merged into the body last and wins. ``stream_options``, ``max_tokens_field``:
    as in ``LLMClient``; ``None``: as ``info`` has them. ``shape``: what the answer shall be; a dialect that
    does not look at it finds the same in ``response_format``. ``reasoning_summary``: ``None`` asks for none.
    ``resume``: the answer is to be made whoever reads it, so that a stream of it can be taken up again.
    """

    info: ModelInfo
    messages: Sequence[Mapping[str, Any]]
    params: SamplingParams
    tools: Sequence[Mapping[str, Any]] | None = None
    tool_choice: str | Mapping[str, Any] | None = None
    response_format: Mapping[str, Any] | None = None
    extra_body: Mapping[str, Any] | None = None
    stream_options: bool | None = None
    max_tokens_field: str | None = None
    reasoning_summary: str | None = None
    resume: bool = False
    shape: Shape | None = None


@frozen
class Dropped:
    """A field of ``SamplingParams`` that was set and is not sent, and ``why``, as a clause."""

    parameter: str
    why: str


@frozen(kw_only=True)
class Written:
    """A request as the server understands it.

    ``path`` follows the base URL and begins with a slash. ``body`` is sent as JSON. ``query`` and
    ``headers`` give way to what the model's registration and the client add. ``choices``: how many
    answers are asked for; ``logprobs``: whether log probabilities are. ``assumed``: what had to be said
    and nobody gave, a clause each.
    """

    path: str
    body: Mapping[str, Any]
    query: Mapping[str, str] = field(factory=dict)
    headers: Mapping[str, str] = field(factory=dict)
    choices: int = 1
    logprobs: bool = False
    dropped: Sequence[Dropped] = ()
    assumed: Sequence[str] = ()


class AnswerFacts(Protocol):
    """What the server says of an answer as a whole; ``None``: nothing. As in ``APIResponse``."""

    @property
    def usage(self) -> Usage | None: ...
    @property
    def model_external(self) -> str | None: ...
    @property
    def response_id(self) -> str | None: ...
    @property
    def system_fingerprint(self) -> str | None: ...
    @property
    def service_tier(self) -> str | None: ...
    @property
    def extra(self) -> dict[str, Any] | None: ...


class AnswerReader(Protocol):
    """The answer of one attempt: bytes in, pieces out. Nothing that a server sends is raised.

    ``arrived``: seconds from t0 to the arrival of the bytes; the pieces that became whole with them
    carry it.
    """

    @property
    def end_word(self) -> str:
        """How the server says that the answer is over, for the error of an answer that was cut."""

    @property
    def done(self) -> bool:
        """The server said that the answer is over; what follows is ignored."""

    @property
    def finished(self) -> bool:
        """Nothing of the answer is missing, though more may be said of it."""

    @property
    def may_be_over(self) -> bool:
        """It looks ended and cannot be trusted: the end of the bytes or a long silence decides."""

    @property
    def whole(self) -> bool:
        """It may end here without anything missing."""

    @property
    def error(self) -> StreamError | None:
        """Why it cannot become whole; the pieces before it were returned."""

    @property
    def has_output(self) -> bool:
        """A piece of any kind arrived."""

    @property
    def has_chunks(self) -> bool:
        """An event of any answer arrived."""

    @property
    def says_something(self) -> bool:
        """Less is an empty reply and no answer."""

    @property
    def evidence(self) -> bytes:
        """The beginning of the first event that nobody understands, redacted."""

    @property
    def facts(self) -> AnswerFacts:
        """What the server said beside the choices."""

    @property
    def arrivals(self) -> Arrivals:
        """When its pieces arrived."""

    def feed(self, data: bytes, arrived: float) -> list[Token | Delta]:
        """Take one network read; return what became whole with it, in order."""

    def feed_json(self, data: bytes, arrived: float) -> list[Token | Delta]:
        """Take the JSON body of a server that did not stream: an answer, or an error object."""

    def close(self, arrived: float) -> list[Token | Delta]:
        """Take the end of the bytes: the last event may lack its blank line."""

    def give_up(self) -> list[Token | Delta]:
        """Return the half characters held back: nobody waits for the end of the bytes."""

    def choices(self) -> list[Choice]:
        """Return what was received of every choice, ordered by index."""


class Dialect(Protocol):
    """A provider's API. Pure: no clock, no log, no environment, no state beside an ``AnswerReader``'s.

    ``name``: what a model's registration and a recording call it.
    """

    @property
    def name(self) -> str: ...

    def auth(self, key: str, header: str | None) -> Mapping[str, str]:
        """Return the headers that carry the key; ``header``: in which one, if not the usual."""

    def write(self, ask: Ask) -> Written:
        """Return the request. Raises ``TypeError`` or ``ValueError`` naming the argument at fault."""

    def answer(
        self, *, choices: int, limits: Limits, accept_eof: bool, redactor: Redactor
    ) -> AnswerReader:
        """Return the reader of one attempt's body.

        ``choices``: how many were asked for. ``accept_eof``: the end of the connection ends an answer.
        ``redactor`` takes secrets out of an error's evidence before it is cut.
        """

    def refusal(
        self, status: int, headers: Mapping[str, str], body: bytes, *, shown_url: str
    ) -> APIStatusError:
        """Return the exception for a reply whose status is no answer's; the caller redacts it."""

    def is_passing(self, error: APIStatusError | ProviderError) -> bool | None:
        """Whether what the server reports may pass by itself; ``None``: the status and words decide."""
