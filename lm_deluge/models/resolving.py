"""From a name to what is known of the model, and where and how it is asked."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

import attrs

from lm_deluge.errors import UnsupportedModelError
from lm_deluge.models.names import (
    is_anybodys,
    is_for_chat_alone,
    is_for_responses_alone,
    provider_of,
    without_dialect,
)
from lm_deluge.models.providers import (
    OPENAI,
    PROVIDERS,
    Provider,
    prefixed_name,
    split_prefix,
)
from lm_deluge.models.registry import (
    ModelInfo,
    known_models,
    openai_model,
    registration_of,
    unknown_model,
)
from lm_deluge.values.addresses import normalize_base_url
from lm_deluge.values.checks import checked_text
from lm_deluge.values.spelling import nearest

#: And regions of it, as ``eu.api.openai.com``.
_OPENAIS_HOST: Final = "api.openai.com"


def dialect_of(name: str, dialect: str | None = None) -> str:
    """The dialect that a model is asked in. `dialect`: the argument of the client, which wins."""
    if dialect is not None:
        return dialect
    if (registered := registration_of(name)) is not None:
        return registered.dialect
    return split_prefix(name)[0] or "chat"


def provider_asked(name: str, dialect: str | None = None) -> Provider:
    """Whose endpoint a model is asked at, unless an address is given.

    `dialect` as in `dialect_of`. One that another package brings has no endpoint of its own: what is
    registered for it without an address is asked where OpenAI's models are.
    """
    return PROVIDERS.get(dialect_of(name, dialect), OPENAI)


def resolve_model(
    name: str, *, base_url: str | None, env_base_url: str | None, dialect: str | None = None
) -> ModelInfo:
    """What is known of a model, with `base_url` and `dialect` filled in.

    Arguments:
        name: the model's name.
        base_url: the argument of the client, which any name streams with.
        env_base_url: what the provider's variable says (`provider_asked`), if it is set. OpenAI's
            serves names that nobody else owns (`names`), because it is set for all of a program's models.
        dialect: the argument of the client; with it a prefix is part of the name.

    Returns:
        The base URL is the argument, the registration's, the environment's or the provider's, in this
        order. What OpenAI's own endpoint serves by Responses alone is asked so, whatever its prefix.

    Raises:
        UnsupportedModelError: another provider's model, or an unknown name without a base URL.
        TypeError, ValueError: a name that is none, a malformed URL, a dialect without an address.
    """
    name = checked_text("model", name)
    argument = None if base_url is None else normalize_base_url(base_url)
    provider = provider_asked(name, dialect)
    environment = None
    if env_base_url is not None and env_base_url.strip():
        environment = normalize_base_url(env_base_url.strip(), provider.base_url_env)
    if (info := registration_of(name)) is not None:
        if dialect is not None:
            info = _in_dialect(info, dialect)
    else:
        prefix, plain = (None, name) if dialect is not None else split_prefix(name)
        asked = dialect or prefix
        if asked is not None:
            has_url = bool(argument or environment)
            _check_asked(name, plain, asked, has_url=has_url)
            info = _asked(name, plain, asked, has_url=has_url)
        else:
            info = openai_model(name)
        if info is None:
            if argument is None and (environment is None or not is_anybodys(name)):
                raise _unsupported(name, is_set=environment is not None)
            info = unknown_model(name)
    url = argument or info.base_url or environment or provider.base_url
    if info.origin != "registered" and dialect is None and _only_responses(info, url):
        info = attrs.evolve(info, dialect="responses")
    return attrs.evolve(info, base_url=url)


def is_own_endpoint(info: ModelInfo, url: str) -> bool:
    """Whether a model is asked where its provider itself serves it."""
    provider = PROVIDERS.get(info.dialect)
    host = urlsplit(url).hostname
    if provider is OPENAI:
        return _is_openais(host)
    return provider is not None and host == urlsplit(provider.base_url).hostname


def thinks_aloud_in_responses(info: ModelInfo) -> bool:
    """Whether OpenAI's own endpoint serves a model by both APIs, and its thinking by Responses alone.

    It is one that thinks and can be asked how hard; chat completions are silent meanwhile. A registration
    says itself how its model is asked.
    """
    return (
        info.dialect == "chat"
        and info.origin in ("builtin", "family")
        and info.reasoning
        and "reasoning_effort" in info.accepts
        and not is_for_chat_alone(info.model_id)
        and is_own_endpoint(info, info.base_url or "")
    )


def _is_openais(host: str | None) -> bool:
    return host is not None and (host == _OPENAIS_HOST or host.endswith(f".{_OPENAIS_HOST}"))


def _only_responses(info: ModelInfo, url: str) -> bool:
    """Whether it is a model that OpenAI's own endpoint does not serve by chat completions."""
    if info.dialect != "chat" or not is_for_responses_alone(info.model_id):
        return False
    return _is_openais(urlsplit(url).hostname)


def _check_asked(name: str, plain: str, dialect: str, *, has_url: bool) -> None:
    """Raise for what is asked for by prefix or dialect and makes no sense."""
    if not plain:
        raise ValueError(f"model {name!r} names no model after its prefix")
    if has_url:
        return
    if dialect not in PROVIDERS:
        raise ValueError(
            f"dialect={dialect!r} needs base_url=: no provider's own endpoint is known for it"
        )
    if PROVIDERS[dialect] is OPENAI and provider_of(plain) is not None:
        raise _unsupported(plain, is_set=False)


def _asked(name: str, plain: str, dialect: str, *, has_url: bool) -> ModelInfo:
    """A model that is asked for by prefix or dialect, at whatever place."""
    provider = PROVIDERS.get(dialect)
    if provider is OPENAI:
        known = openai_model(plain)
        if known is None:
            # A server of somebody else's may be an old one.
            known = unknown_model(plain)
            if not has_url:
                known = attrs.evolve(known, max_tokens_field="max_completion_tokens")
        return attrs.evolve(known, name=name, dialect=dialect)
    from lm_deluge.models.listed import facts_of, refused_by

    unknown = unknown_model(plain)
    return attrs.evolve(
        unknown,
        name=name,
        dialect=dialect,
        accepts=unknown.accepts - refused_by(plain, dialect),
        # Anthropic's and Google's may think for a while before they say anything.
        reasoning=provider is not None,
        api_key_env=None if provider is None else provider.api_key_env,
        first_key_env=None if provider is None else provider.first_key_env,
        **facts_of(plain, dialect),
    )


def _in_dialect(info: ModelInfo, dialect: str) -> ModelInfo:
    """A registered model, asked in another dialect: a provider's variable follows its endpoint."""
    before, now = PROVIDERS.get(info.dialect, OPENAI), PROVIDERS.get(dialect, OPENAI)
    if info.base_url is None and info.api_key_env == before.api_key_env:
        return attrs.evolve(
            info, dialect=dialect, api_key_env=now.api_key_env, first_key_env=now.first_key_env
        )
    return attrs.evolve(info, dialect=dialect)


def _unsupported(name: str, *, is_set: bool) -> UnsupportedModelError:
    """Says whose a name is and how it streams. `is_set`: whether there is an `OPENAI_BASE_URL`."""
    provider, instead = provider_of(name), prefixed_name(name)
    if provider is None and instead is not None:
        provider = provider_of(instead)
    near: list[str] = []
    if provider is not None:
        near = [] if instead is None else [instead]
        ask = "only OpenAI's models stream by their bare names."
        if instead is not None:
            ask = f"ask for {instead!r}, and it streams from {provider}'s own endpoint."
        what = f"{name!r} is a model of {provider}; {ask}"
    else:
        plain = without_dialect(name)
        near = nearest(plain.lower(), known_models(), n=3)
        perhaps = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
        what = (
            f"no model {name!r} is known.{perhaps} Only OpenAI's models stream by their bare names."
        )
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
