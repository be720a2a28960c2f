"""Which models there are, who serves them, what they take and what they cost.

The facts are data (`models.json`); this module only looks them up. `register_model` adds or replaces
a `ModelInfo`; `resolving` turns a name into one.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, Protocol, TypeAlias

import attrs

from lm_deluge.config import EFFORTS, SamplingParams
from lm_deluge.models.names import model_data
from lm_deluge.models.providers import OPENAI, PROVIDERS, split_prefix
from lm_deluge.values.addresses import (
    normalize_base_url,
    redact_url,
    validate_header_name,
    validate_headers,
    validate_query,
)
from lm_deluge.values.checks import (
    checked_flag,
    checked_integer,
    checked_names,
    checked_number,
    checked_one_of,
    checked_text,
)

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
        reasoning_goes_back: whether its reasoning is sent again as `reasoning_content`.
        context_window, max_output_tokens: tokens; None if not known.
        input_price, cached_input_price, cache_write_price, output_price: USD per 1 million tokens; None if
            not known.
        priced_up_to: input tokens beyond which these prices do not hold; None: they always do.
        base_url: where it is served; None: decided by `resolve_model`.
        api_key_env: the environment variable with its key; None: it needs no key.
        first_key_env: another one, which wins where both are set; None: there is none.
        dialect: the name of the API that its server speaks.
        auth_header: the header of the key; None: the dialect's own.
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
    reasoning_goes_back: bool = False
    context_window: int | None = None
    max_output_tokens: int | None = None
    input_price: float | None = None
    cached_input_price: float | None = None
    cache_write_price: float | None = None
    output_price: float | None = None
    priced_up_to: int | None = None
    base_url: str | None = attrs.field(default=None, repr=lambda url: repr(url and redact_url(url)))
    api_key_env: str | None = OPENAI.api_key_env
    first_key_env: str | None = None
    auth_header: str | None = None
    dialect: str = "chat"
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


def openai_model(name: str) -> ModelInfo | None:
    """The model of OpenAI's, or shaped like one of theirs, with that name; None for other names."""
    base, fine_tuned = name, name.startswith("ft:")
    if fine_tuned:
        base = name.split(":")[1]
    listed = model_data()["models"][OPENAI.name]
    if base not in listed and (dated := _DATED.fullmatch(base)) and dated[1] in listed:
        base = dated[1]
    facts = listed.get(base)
    if facts is None and not _OPENAI_SHAPE.match(base):
        return None
    families = model_data()["families"]
    rule = next((r for pattern, r in families if fnmatch.fnmatchcase(base, pattern)), "classic")
    if facts is None:
        return _by_rule(rule, name=name, model_id=name, origin="family")
    # A fine-tuned model has its own price list.
    prices = (None,) * 4 if fine_tuned else facts.get("price") or (None,) * 4
    return _by_rule(
        rule,
        name=name,
        model_id=name,
        origin="builtin",
        context_window=facts.get("context_window"),
        max_output_tokens=facts.get("max_output_tokens"),
        input_price=prices[0],
        cached_input_price=prices[1],
        cache_write_price=prices[2],
        output_price=prices[3],
        priced_up_to=facts.get("priced_up_to"),
    )


def unknown_model(name: str) -> ModelInfo:
    """What is taken for granted of a model of which nothing is known."""
    # Ollama, llama.cpp and older vLLM know only `max_tokens`.
    return ModelInfo(name=name, model_id=name, origin="unknown", max_tokens_field="max_tokens")


def known_models() -> tuple[str, ...]:
    """The names of the listed and the registered models."""
    listed = model_data()["models"][OPENAI.name]
    return (*listed, *(name for name in tuple(_registered) if name not in listed))


_registered: dict[str, ModelInfo] = {}


def _price(name: str, value: float | None) -> float | None:
    unit, meaning = "a number (USD per 1M tokens)", "not known"
    checked = checked_number(name, value, 0, optional=meaning, unit=unit)
    return None if checked is None else float(checked)


def register_model(
    name: str,
    *,
    base_url: str | None = None,
    api_key_env: str | None = None,
    model_id: str | None = None,
    auth_header: str | None = None,
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    dialect: str = "chat",
    stream_options: bool = True,
    max_tokens_field: MaxTokensField | None = None,
    accept_eof: bool = False,
    reasoning_goes_back: bool = False,
    reasoning: bool | None = None,
    accepts: Iterable[str] | None = None,
    efforts: Iterable[str] | None = None,
    system_role: SystemRole | None = None,
    context_window: int | None = None,
    max_output_tokens: int | None = None,
    input_price: float | None = None,
    cached_input_price: float | None = None,
    cache_write_price: float | None = None,
    output_price: float | None = None,
) -> ModelInfo:
    """Makes a model known under a name, in this process; replaces what that name meant before.

    What is left out and has no default here is taken from OpenAI's model of that name (or else of
    that `model_id`), prices excepted; other names take every parameter and `max_tokens`. The sizes of
    Anthropic's and Google's models are known in their dialects.

    Arguments:
        name: what is given to `LLMClient`.
        base_url: where it is served, up to `/v1`; None: where those of the dialect's provider are
            (OpenAI, Anthropic for "messages", Google for "gemini").
        api_key_env: the environment variable with its key. None with a `base_url`: it needs no key,
            and none is sent unless `api_key=` is given.
        model_id: the server's name for it; the same by default.
        auth_header: the key's header ("api-key" for Azure); "Authorization": as `Bearer <key>`; None:
            the usual one of the dialect ("chat": "Authorization", "messages": "x-api-key").
        query: of the request's URL, as Azure's `{"api-version": …}`.
        headers: sent with each request.
        dialect: the name of the API that its server speaks, "chat", "responses", "messages", "gemini" or
            another package's; looked up when it is asked. Where it is "chat", the prefix of a name
            ("anthropic:mine") says it, and `model_id` is what stands after that.
        stream_options: False for servers that reject it; they then send no usage.
        max_tokens_field: "max_completion_tokens" or "max_tokens".
        accept_eof: True for servers that end an answer by closing the connection alone.
        reasoning_goes_back: True for servers of chat completions that want an answer's reasoning back in
            `reasoning_content` (DeepSeek's since V3.2, Kimi's); others refuse it.
        reasoning: whether it thinks first, so that waiting longer is normal.
        accepts: the fields of SamplingParams that it takes.
        efforts: the reasoning efforts that it takes.
        system_role: "system", "developer" or "user-prefix" (part of the first user message).
        context_window, max_output_tokens: tokens.
        input_price, cached_input_price, cache_write_price, output_price: USD per 1 million tokens.

    Raises:
        TypeError, ValueError: naming the field.
    """
    name = checked_text("name", name)
    given: dict[str, Any] = {
        "reasoning": reasoning,
        "system_role": system_role,
        "max_tokens_field": max_tokens_field,
        "context_window": checked_integer(
            "context_window", context_window, 1, optional="not known"
        ),
        "max_output_tokens": checked_integer(
            "max_output_tokens", max_output_tokens, 1, optional="not known"
        ),
    }
    if accepts is not None:
        given |= {"accepts": frozenset(checked_names("accepts", accepts, sorted(_PARAMETERS)))}
        given |= {"accepts_at": {}}
    if efforts is not None:
        given |= {"efforts": checked_names("efforts", efforts, EFFORTS), "default_effort": None}
    if system_role is not None:
        checked_one_of("system_role", system_role, SYSTEM_ROLES)
    if max_tokens_field is not None:
        checked_one_of("max_tokens_field", max_tokens_field, MAX_TOKENS_FIELDS)
    flags = {"stream_options": stream_options, "accept_eof": accept_eof}
    flags["reasoning_goes_back"] = reasoning_goes_back
    for field, value in (flags if reasoning is None else {**flags, "reasoning": reasoning}).items():
        checked_flag(field, value)
    auth_header = validate_header_name(auth_header, "auth_header")
    model_id = checked_text("model_id", model_id, optional=True)
    dialect, first_key_env = checked_text("dialect", dialect), None
    prefix, plain = split_prefix(name)
    if dialect == "chat" and prefix is not None:
        if not plain:
            raise ValueError(f"name is {name!r}, which names no model after its prefix")
        dialect, model_id = prefix, model_id or plain
    like = openai_model(name) or openai_model(model_id or "") or unknown_model(name)
    from lm_deluge.models.listed import facts_of, refused_by

    facts = facts_of(model_id or name, dialect)
    for field in ("context_window", "max_output_tokens"):
        if given[field] is None:
            given[field] = facts.get(field)
    if accepts is None and (refused := refused_by(model_id or name, dialect)):
        given |= {"accepts": _PARAMETERS - refused}
    if api_key_env is not None:
        checked_text("api_key_env", api_key_env)
    elif base_url is None:
        provider = PROVIDERS.get(dialect, OPENAI)
        api_key_env, first_key_env = provider.api_key_env, provider.first_key_env
    info = attrs.evolve(
        like,
        name=name,
        model_id=model_id or name,
        origin="registered",
        base_url=None if base_url is None else normalize_base_url(base_url),
        api_key_env=api_key_env,
        auth_header=auth_header,
        first_key_env=first_key_env,
        dialect=dialect,
        query=validate_query(query),
        headers=validate_headers(headers),
        stream_options=stream_options,
        accept_eof=accept_eof,
        reasoning_goes_back=reasoning_goes_back,
        input_price=_price("input_price", input_price),
        cached_input_price=_price("cached_input_price", cached_input_price),
        cache_write_price=_price("cache_write_price", cache_write_price),
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


class TokenCounts(Protocol):
    """Usage, as far as `cost_of` needs it: tokens, None where the server did not say."""

    @property
    def input_tokens(self) -> int | None: ...
    @property
    def output_tokens(self) -> int | None: ...
    @property
    def cache_read_tokens(self) -> int | None: ...
    @property
    def cache_write_tokens(self) -> int | None: ...


def cost_of(info: ModelInfo, usage: TokenCounts | None) -> float | None:
    """The price of an answer in USD; None where a price or a count is not known.

    `(input - cached - written) * input_price + cached * cached_input_price + written * cache_write_price
    + output * output_price`, by the million. `input_tokens` includes the cached and the written ones.
    Without a price of their own they cost what the others do; a server that does not speak of them is
    taken to have none. What a server's total says more than its parts is output (thoughts that it does not
    name). A cache that is kept for longer than usual may cost more: that is not known here.
    """
    if usage is None or usage.input_tokens is None or usage.output_tokens is None:
        return None
    if info.input_price is None or info.output_price is None:
        return None
    if info.priced_up_to is not None and usage.input_tokens > info.priced_up_to:
        return None
    told = getattr(usage, "total_tokens", None) or 0
    given = max(usage.output_tokens, told - usage.input_tokens)
    total = given * info.output_price
    fresh = usage.input_tokens
    for count, price in (
        (usage.cache_read_tokens, info.cached_input_price),
        (usage.cache_write_tokens, info.cache_write_price),
    ):
        if count and price is not None:
            counted = min(count, fresh)
            fresh -= counted
            total += counted * price
    return (total + fresh * info.input_price) / 1_000_000
