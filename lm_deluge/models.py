"""Which models there are, who serves them, what they take and what they cost.

The facts are data (`models.json`); this module only looks them up. `resolve_model` turns a name
into a `ModelInfo`, `register_model` adds or replaces one.
"""

from __future__ import annotations

import difflib
import fnmatch
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal, Protocol, TypeAlias

import attrs

from lm_deluge.config import EFFORTS, SamplingParams
from lm_deluge.endpoint import normalize_base_url, redact_url, validate_headers, validate_query
from lm_deluge.errors import UnsupportedModelError
from lm_deluge.naming import is_anybodys, model_data, provider_of, without_dialect
from lm_deluge.plain import encodable, plain_number, plain_text

DEFAULT_BASE_URL = "https://api.openai.com/v1"
DEFAULT_API_KEY_ENV = "OPENAI_API_KEY"

SystemRole: TypeAlias = Literal["system", "developer", "user-prefix"]
MaxTokensField: TypeAlias = Literal["max_completion_tokens", "max_tokens"]
SYSTEM_ROLES = ("system", "developer", "user-prefix")
MAX_TOKENS_FIELDS = ("max_completion_tokens", "max_tokens")

_PARAMETERS = frozenset(attrs.fields_dict(SamplingParams))
_OPENAI_SHAPE = re.compile(r"gpt-|chatgpt-|o\d")
_DATED = re.compile(r"(.+)-(?:\d{4}-\d{2}-\d{2}|\d{4})")


@attrs.frozen(kw_only=True)
class ModelInfo:
    """What is known of a model.

    Attributes:
        name, model_id: as the user writes it; as the server knows it, the request's `model`.
        origin: where this comes from: "builtin" (listed, or a snapshot of a listed one), "family"
            (shaped like OpenAI's, parameters by its nearest relatives), "registered", or "unknown"
            (a base URL was given, nothing else is known).
        reasoning: whether it thinks before it answers, so that waiting longer is normal.
        accepts: the fields of SamplingParams that it takes at any effort.
        accepts_at: those that it takes at one reasoning effort besides.
        efforts: the reasoning efforts that it takes; empty if not known (any is sent).
        default_effort: the effort in force when none is asked for; None if not known.
        system_role: what a system message becomes; "user-prefix": part of the first user message.
        max_tokens_field: the request's name of `max_new_tokens`.
        stream_options: whether usage may be asked for with `stream_options`.
        accept_eof: whether the end of the connection alone ends an answer.
        context_window, max_output_tokens: tokens; None if not known.
        input_price, cached_input_price, output_price: USD per 1 million tokens; None if not known.
        priced_up_to: input tokens beyond which these prices do not hold; None: they always do.
        base_url: where it is served; None: decided by `resolve_model`.
        api_key_env: the environment variable with its key; None: it needs no key.
        auth_header: the header of the key: "Authorization" takes `Bearer <key>`, others the key.
        query, headers: sent with each request.
    """

    name: str
    model_id: str
    origin: Literal["builtin", "family", "registered", "unknown"] = "unknown"
    reasoning: bool = False
    accepts: frozenset[str] = _PARAMETERS
    accepts_at: Mapping[str, frozenset[str]] = attrs.field(factory=dict, hash=False)
    efforts: tuple[str, ...] = ()
    default_effort: str | None = None
    system_role: SystemRole = "system"
    max_tokens_field: MaxTokensField = "max_completion_tokens"
    stream_options: bool = True
    accept_eof: bool = False
    context_window: int | None = None
    max_output_tokens: int | None = None
    input_price: float | None = None
    cached_input_price: float | None = None
    output_price: float | None = None
    priced_up_to: int | None = None
    base_url: str | None = attrs.field(default=None, repr=lambda url: repr(url and redact_url(url)))
    api_key_env: str | None = DEFAULT_API_KEY_ENV
    auth_header: str = "Authorization"
    # Either may carry a key.
    query: Mapping[str, str] = attrs.field(factory=dict, hash=False, repr=False)
    headers: Mapping[str, str] = attrs.field(factory=dict, hash=False, repr=False)

    def takes(self, parameter: str, effort: str | None = None) -> bool:
        """Whether a field of SamplingParams may be sent when `effort` (None: none) is asked for."""
        if parameter in self.accepts:
            return True
        in_force = effort if effort is not None and self.takes_effort(effort) else None
        at_effort = self.accepts_at.get(in_force or self.default_effort or "", frozenset())
        return parameter in at_effort

    def takes_effort(self, effort: str) -> bool:
        """Whether it can be asked to think so hard."""
        return "reasoning_effort" in self.accepts and (not self.efforts or effort in self.efforts)


def _by_rule(rule: str, **fields: Any) -> ModelInfo:
    facts = dict(model_data()["rules"][rule])
    takes_at = {effort: frozenset(names) for effort, names in facts.pop("takes_at", {}).items()}
    return ModelInfo(
        accepts=frozenset(facts.pop("takes")),
        accepts_at=takes_at,
        efforts=tuple(facts.pop("efforts", ())),
        **facts,
        **fields,
    )


def _openai_model(name: str) -> ModelInfo | None:
    """The model of OpenAI's, or shaped like one of theirs, with that name; None for other names."""
    base, fine_tuned = name, name.startswith("ft:")
    if fine_tuned:
        base = name.split(":")[1]
    listed = model_data()["models"]
    if base not in listed and (dated := _DATED.fullmatch(base)) and dated[1] in listed:
        base = dated[1]
    if facts := listed.get(base):
        # A fine-tuned model has its own price list.
        prices = (None, None, None) if fine_tuned else facts["price"]
        return _by_rule(
            facts["rule"],
            name=name,
            model_id=name,
            origin="builtin",
            context_window=facts["context_window"],
            max_output_tokens=facts["max_output_tokens"],
            input_price=prices[0],
            cached_input_price=prices[1],
            output_price=prices[2],
            priced_up_to=facts.get("priced_up_to"),
        )
    if not _OPENAI_SHAPE.match(base):
        return None
    families = model_data()["families"]
    rule = next((r for pattern, r in families if fnmatch.fnmatchcase(base, pattern)), "classic")
    return _by_rule(rule, name=name, model_id=name, origin="family")


def known_models() -> tuple[str, ...]:
    """The names of the listed and the registered models."""
    return (
        *model_data()["models"],
        *(name for name in tuple(_registered) if name not in model_data()["models"]),
    )


_registered: dict[str, ModelInfo] = {}


def _count(name: str, value: int | None) -> int | None:
    if value is None:
        return None
    value = plain_number(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an integer, not {value!r}")
    if value < 1:
        raise ValueError(f"{name} must be at least 1, not {value!r}")
    return value


def _price(name: str, value: float | None) -> float | None:
    if value is None:
        return None
    value = plain_number(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number (USD per 1M tokens), not {value!r}")
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"{name} must be at least 0 (USD per 1M tokens), not {value!r}")
    return float(value)


def _name(field: str, value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{field} must be a str, not {type(value).__name__}")
    if not value.strip():
        raise ValueError(f"{field} is empty")
    return encodable(plain_text(value), field)


def _one_of(field: str, value: str, accepted: Sequence[str]) -> None:
    if value not in accepted:
        raise ValueError(f"{field} must be one of {', '.join(accepted)}, not {value!r}")


def _flag(field: str, value: object) -> None:
    if not isinstance(value, bool):
        raise TypeError(f"{field} must be True or False, not {value!r}")


def _names(field: str, value: Iterable[str], accepted: Sequence[str]) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise TypeError(f"{field} must be a list of names, not {value!r}")
    for name in (names := tuple(value)):
        _one_of(f"each of {field}", name, accepted)
    return names


def register_model(
    name: str,
    *,
    base_url: str | None = None,
    api_key_env: str | None = None,
    model_id: str | None = None,
    auth_header: str = "Authorization",
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    stream_options: bool = True,
    max_tokens_field: MaxTokensField | None = None,
    accept_eof: bool = False,
    reasoning: bool | None = None,
    accepts: Iterable[str] | None = None,
    efforts: Iterable[str] | None = None,
    system_role: SystemRole | None = None,
    context_window: int | None = None,
    max_output_tokens: int | None = None,
    input_price: float | None = None,
    cached_input_price: float | None = None,
    output_price: float | None = None,
) -> ModelInfo:
    """Makes a model known under a name, in this process; replaces what that name meant before.

    What is left out and has no default here is taken from OpenAI's model of that name (or else of
    that `model_id`), prices excepted; other names take every parameter and `max_tokens`.

    Args:
        name: what is given to `LLMClient`.
        base_url: where it is served, up to `/v1`; None: where OpenAI's are.
        api_key_env: the environment variable with its key. None with a `base_url`: it needs no key,
            and none is sent unless `api_key=` is given.
        model_id: the server's name for it; the same by default.
        auth_header: the key's header ("api-key" for Azure); "Authorization": as `Bearer <key>`.
        query: of the request's URL, as Azure's `{"api-version": …}`.
        headers: sent with each request.
        stream_options: False for servers that reject it; they then send no usage.
        max_tokens_field: "max_completion_tokens" or "max_tokens".
        accept_eof: True for servers that end an answer by closing the connection alone.
        reasoning: whether it thinks first, so that waiting longer is normal.
        accepts: the fields of SamplingParams that it takes.
        efforts: the reasoning efforts that it takes.
        system_role: "system", "developer" or "user-prefix" (part of the first user message).
        context_window, max_output_tokens: tokens.
        input_price, cached_input_price, output_price: USD per 1 million tokens.

    Raises:
        TypeError, ValueError: naming the field.
    """
    name = _name("name", name)
    given: dict[str, Any] = {
        "reasoning": reasoning,
        "system_role": system_role,
        "max_tokens_field": max_tokens_field,
        "context_window": _count("context_window", context_window),
        "max_output_tokens": _count("max_output_tokens", max_output_tokens),
    }
    if accepts is not None:
        given |= {"accepts": frozenset(_names("accepts", accepts, sorted(_PARAMETERS)))}
        given |= {"accepts_at": {}}
    if efforts is not None:
        given |= {"efforts": _names("efforts", efforts, EFFORTS), "default_effort": None}
    if system_role is not None:
        _one_of("system_role", system_role, SYSTEM_ROLES)
    if max_tokens_field is not None:
        _one_of("max_tokens_field", max_tokens_field, MAX_TOKENS_FIELDS)
    flags = {"stream_options": stream_options, "accept_eof": accept_eof}
    for field, value in (flags if reasoning is None else {**flags, "reasoning": reasoning}).items():
        _flag(field, value)
    validate_headers({_name("auth_header", auth_header): ""}, "auth_header")
    like = _openai_model(name) or _openai_model(model_id or "") or _unknown(name)
    if api_key_env is not None:
        _name("api_key_env", api_key_env)
    elif base_url is None:
        api_key_env = DEFAULT_API_KEY_ENV
    info = attrs.evolve(
        like,
        name=name,
        model_id=name if model_id is None else _name("model_id", model_id),
        origin="registered",
        base_url=None if base_url is None else normalize_base_url(base_url),
        api_key_env=api_key_env,
        auth_header=auth_header,
        query=validate_query(query),
        headers=validate_headers(headers),
        stream_options=stream_options,
        accept_eof=accept_eof,
        input_price=_price("input_price", input_price),
        cached_input_price=_price("cached_input_price", cached_input_price),
        output_price=_price("output_price", output_price),
        priced_up_to=None,
        **{field: value for field, value in given.items() if value is not None},
    )
    _registered[name] = info
    return info


def unregister_model(name: str) -> None:
    """Undoes `register_model`; a name that is not registered is no error."""
    _registered.pop(name, None)


#: What `register_model` was told of a name; None if it is not registered. Asked for every stream.
registration_of: Final = _registered.get


def _unknown(name: str) -> ModelInfo:
    # Ollama, llama.cpp and older vLLM know only `max_tokens`.
    return ModelInfo(name=name, model_id=name, origin="unknown", max_tokens_field="max_tokens")


def resolve_model(name: str, *, base_url: str | None, env_base_url: str | None) -> ModelInfo:
    """What is known of a model, with `base_url` filled in.

    Args:
        name: the model's name.
        base_url: the argument of the client, which any name streams with.
        env_base_url: `OPENAI_BASE_URL`, if it is set. It serves names that nobody else owns (`naming`),
            because it is set for all of a program's models.

    Returns:
        The base URL is the argument, the registration's, the environment's or OpenAI's, in this
        order.

    Raises:
        UnsupportedModelError: another provider's model, or an unknown name without a base URL.
        TypeError, ValueError: a name that is none, a malformed URL.
    """
    name = _name("model", name)
    argument = None if base_url is None else normalize_base_url(base_url)
    environment = None
    if env_base_url is not None and env_base_url.strip():
        environment = normalize_base_url(env_base_url.strip(), "OPENAI_BASE_URL")
    info = _registered.get(name) or _openai_model(name)
    if info is None:
        if argument is None and (environment is None or not is_anybodys(name)):
            raise _unsupported(name, is_set=environment is not None)
        info = _unknown(name)
    return attrs.evolve(info, base_url=argument or info.base_url or environment or DEFAULT_BASE_URL)


def _unsupported(name: str, *, is_set: bool) -> UnsupportedModelError:
    """Says whose a name is and how it streams. `is_set`: whether there is an `OPENAI_BASE_URL`."""
    provider = provider_of(name)
    near: list[str] = []
    if provider is not None:
        what = f"{name!r} is a model of {provider}; streaming supports OpenAI models."
    else:
        plain = without_dialect(name)
        near = difflib.get_close_matches(plain.lower(), known_models(), n=3)
        perhaps = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
        what = f"no model {name!r} is known.{perhaps} Streaming supports OpenAI models."
    how = (
        "An OpenAI-compatible server that has it is given with base_url=… or "
        f"lm_deluge.register_model({name!r}, base_url=…)"
    )
    if is_set:
        how += (
            "; OPENAI_BASE_URL is set, but serves names of others only with '/' or ':' in them, a "
            "parameter size such as 7b, 'distill', or of an open family such as llama or qwen"
        )
    elif is_anybodys(name):
        how += "; for all models of a program, with the environment variable OPENAI_BASE_URL"
    else:
        how += "; the environment variable OPENAI_BASE_URL serves OpenAI's and open models, not this one"
    return UnsupportedModelError(
        f"{what} {how}", model=name, provider=provider, suggestions=tuple(near)
    )


class TokenCounts(Protocol):
    """Usage, as far as `cost_of` needs it: tokens, None where the server did not say."""

    @property
    def input_tokens(self) -> int | None: ...
    @property
    def output_tokens(self) -> int | None: ...
    @property
    def cache_read_tokens(self) -> int | None: ...


def cost_of(info: ModelInfo, usage: TokenCounts | None) -> float | None:
    """The price of an answer in USD; None where a price or a count is not known.

    `(input - cached) * input_price + cached * cached_input_price + output * output_price`, by the
    million. `input_tokens` includes the cached ones. Without a price of their own, cached tokens
    cost what the others do; a server that does not speak of cached tokens is taken to have none.
    """
    if usage is None or usage.input_tokens is None or usage.output_tokens is None:
        return None
    if info.input_price is None or info.output_price is None:
        return None
    if info.priced_up_to is not None and usage.input_tokens > info.priced_up_to:
        return None
    cached = min(usage.cache_read_tokens or 0, usage.input_tokens)
    discounted = info.input_price if info.cached_input_price is None else info.cached_input_price
    total = (usage.input_tokens - cached) * info.input_price + cached * discounted
    return (total + usage.output_tokens * info.output_price) / 1_000_000
