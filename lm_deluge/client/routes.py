"""Who asks, and where: from a client's settings to a route, and from a body to a request."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import msgspec
from attrs import evolve, field, frozen

from lm_deluge._version import __version__
from lm_deluge.dialects import dialect_named
from lm_deluge.dialects.dialect import Dialect, Written
from lm_deluge.errors import AuthenticationError
from lm_deluge.http.certificates import CERTIFICATE_VARIABLES, tls_of_environment
from lm_deluge.http.proxies import PROXY_VARIABLES, ForwardProxy, proxy_for
from lm_deluge.http.request import Request
from lm_deluge.http.socks import require
from lm_deluge.models.providers import OPENAI
from lm_deluge.models.registry import ModelInfo, registration_of
from lm_deluge.models.resolving import (
    is_own_endpoint,
    provider_asked,
    resolve_model,
    thinks_aloud_in_responses,
)
from lm_deluge.values.addresses import (
    is_local,
    is_loopback,
    redact_url,
    validate_api_key,
    validate_headers,
)
from lm_deluge.values.once import log_once
from lm_deluge.values.redaction import Redactor, redactor_of
from lm_deluge.values.secret_values import (
    secrets_in_data,
    secrets_in_headers,
    secrets_in_query,
    secrets_in_url,
)

if TYPE_CHECKING:
    from lm_deluge.client.belonging import Belonging

__all__ = ["Access", "Route", "redactor_for"]

#: What the environment says of requests to OpenAI; the key's variable is the model's.
_ORGANIZATION: Final = "OPENAI_ORG_ID"
_PROJECT: Final = "OPENAI_PROJECT_ID"
_CUSTOM_HEADERS: Final = "OPENAI_CUSTOM_HEADERS"
_VARIABLES: Final = (_ORGANIZATION, _PROJECT, _CUSTOM_HEADERS)

_NETWORK_VARIABLES: Final = (*PROXY_VARIABLES, *CERTIFICATE_VARIABLES)


@frozen(eq=False, kw_only=True)
class Route:
    """Where one model is asked, and what goes with every request to it.

    ``secrets``: all that is secret of that. ``by_responses``: the same model by OpenAI's Responses, which
    is taken where all that is asked can be said there. ``account``: what tells one that asks an address
    from another, without their key.
    """

    info: ModelInfo = field(repr=lambda info: info.name)
    dialect: Dialect = field(repr=lambda dialect: dialect.name)
    base_url: str = field(repr=False)
    shown_url: str
    headers: Mapping[str, str] = field(repr=False)
    query: Mapping[str, str] = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)
    proxy: ForwardProxy | None = None
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    account: int = field(default=0, repr=False)
    by_responses: Route | None = field(default=None, repr=False)

    def request(self, written: Written, redactor: Redactor) -> Request:
        """Return one request; ``ValueError`` or ``TypeError`` for a body that JSON cannot hold.

        What the dialect wrote gives way to the headers and the query of the route.

        ``redactor``: of all secrets of the stream, those of its other models included.
        """
        try:
            data = msgspec.json.encode(written.body)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            message = f"the request cannot be written as JSON: {error}"
            raise (TypeError if isinstance(error, TypeError) else ValueError)(message) from None
        return Request(
            url=f"{self.base_url}{written.path}",
            shown_url=self.shown_url,
            path=written.path,
            headers=_beneath(self.headers, written.headers) if written.headers else self.headers,
            body=data,
            query={**written.query, **self.query} if written.query else self.query,
            redactor=redactor,
            proxy=self.proxy,
            tls=self.tls,
        )


@frozen(eq=False, kw_only=True)
class Access:
    """The settings of a client that say how its models are reached; ``None``: not given.

    They are for the provider of ``model``, the client's first. ``beside``: that model, where these are
    the settings for fallbacks of other providers, which have little in common with it.

    ``dialect``: how models are asked whose name would not say it. ``api_key``, ``base_url``,
    ``auth_header``, ``accept_eof``, ``organization``, ``project`` win over the model's registration and
    the environment; ``headers`` over all headers. ``trust_env``: whether the environment's proxies and
    authorities count; ``own_connector``, ``own_tls``: what the transport was given.
    """

    model: str
    beside: str | None = None
    dialect: str | None = None
    api_key: str | None = field(default=None, repr=False)
    base_url: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(factory=dict, repr=False)
    query: Mapping[str, str] = field(factory=dict, repr=False)
    auth_header: str | None = None
    organization: str | None = None
    project: str | None = None
    accept_eof: bool | None = None
    trust_env: bool = True
    own_connector: bool = False
    own_tls: bool = False
    #: By name, the last route, the variables that it was worked out from, and all that it depends on.
    _routes: dict[str, tuple[Route, tuple[str, ...], tuple[object, ...]]] = field(
        init=False, factory=dict, repr=False, eq=False
    )
    _belonging: Belonging = field(init=False, repr=False)

    @_belonging.default
    def _its(self) -> Belonging:
        from lm_deluge.client.belonging import Belonging

        return Belonging(model=self.model, base_url=self.base_url, dialect=self.dialect)

    def check_fallbacks(self, names: Sequence[str]) -> None:
        """Raise ``AuthenticationError`` for a model of another provider whose key is not known.

        What else may be wrong with it is told when it is asked.
        """
        for name in names:
            if not self._belonging.has(name):
                try:
                    self.route(name)
                except AuthenticationError:
                    raise
                except (ValueError, TypeError, ImportError):
                    pass

    def route(self, name: str) -> Route:
        """Return the way to a model, worked out anew when its registration or the environment changed.

        Raises ``UnsupportedModelError``, ``AuthenticationError`` without a key, ``ValueError`` or
        ``TypeError`` for what the environment holds and nobody can use, ``ImportError`` where it names
        a SOCKS proxy and the package for it is missing.
        """
        known = self._routes.get(name) if isinstance(name, str) else None
        if known is not None and known[2] == self._sources(name, known[1]):
            return known[0]
        own = self._belonging.has(name)
        route = self._new_route(name) if own else self._elsewhere(name).route(name)
        variables = self._variables(route.info)
        self._routes[name] = (route, variables, self._sources(name, variables))
        return route

    def has(self, route: Route) -> bool:
        """Return whether a route leads to the provider that these settings are for."""
        return self._belonging.has(route.info.name)

    def _elsewhere(self, name: str) -> Access:
        """Return the settings for a model of another provider."""
        return Access(
            model=name,
            beside=self.model,
            accept_eof=self.accept_eof,
            trust_env=self.trust_env,
            own_connector=self.own_connector,
            own_tls=self.own_tls,
        )

    def _sources(self, name: str, variables: Sequence[str]) -> tuple[object, ...]:
        """Return all that a route depends on and that may change."""
        model = self.model
        return (registration_of(name), registration_of(model), *map(os.environ.get, variables))

    def _variables(self, info: ModelInfo) -> tuple[str, ...]:
        """Return the environment variables that a route depends on."""
        keys = (info.api_key_env or OPENAI.api_key_env, info.first_key_env)
        own = (provider_asked(info.name, info.dialect).base_url_env, *_VARIABLES)
        names = (*own, *(key for key in keys if key is not None))
        if info.name != self.model:
            names += (self._belonging.variable,)
        if self.trust_env:
            names += PROXY_VARIABLES if self.own_tls else _NETWORK_VARIABLES
        return names

    def _new_route(self, name: str) -> Route:
        spoken = self._belonging.dialect_for(name)
        variable = provider_asked(name, spoken).base_url_env
        info = resolve_model(
            name,
            base_url=self.base_url,
            env_base_url=os.environ.get(variable),
            dialect=spoken,
        )
        if self.accept_eof is not None:
            info = evolve(info, accept_eof=self.accept_eof)
        dialect = dialect_named(info.dialect)
        auth_header = self.auth_header or info.auth_header
        base_url = info.base_url or ""
        parts = urlsplit(base_url)
        ambient = _custom_headers() if info.api_key_env == OPENAI.api_key_env else {}
        carriers = tuple(dialect.auth("", auth_header))
        key = self._key(info, carriers, ambient, has_credentials=parts.username is not None)
        headers = self._headers(
            info, {} if key is None else dialect.auth(key, auth_header), ambient
        )
        if key is not None:
            _warn_of_plain_http(base_url)
        if parts.username is not None and "authorization" in map(str.lower, headers):
            message = (
                f"the base URL {redact_url(base_url)!r} holds credentials, which go into the header "
                "Authorization, and so does the key: give one of them, or auth_header="
            )
            raise ValueError(message)
        proxy, tls = self._way_to(base_url)
        query = {**info.query, **self.query}
        secrets = (
            *([] if key is None else [key]),
            *secrets_in_headers(headers, (*carriers, info.auth_header or "")),
            *secrets_in_query(query),
            *secrets_in_url(base_url),
            *secrets_in_url("" if proxy is None else proxy.url),
        )
        if is_own_endpoint(info, base_url):
            from lm_deluge.models.retiring import tell_of_last_day

            tell_of_last_day(info)
        route = Route(
            info=info,
            dialect=dialect,
            base_url=base_url,
            shown_url=redactor_of(secrets).text(redact_url(base_url)),
            headers=validate_headers(headers),
            query=query,
            secrets=secrets,
            proxy=proxy,
            tls=tls,
            account=_account_of(base_url, headers, carriers),
        )
        if spoken is None and thinks_aloud_in_responses(info):
            # The key goes into the same header.
            other = evolve(info, dialect="responses")
            by_responses = evolve(route, info=other, dialect=dialect_named(other.dialect))
            return evolve(route, by_responses=by_responses)
        return route

    def _headers(
        self, info: ModelInfo, key: Mapping[str, str], ambient: Mapping[str, str]
    ) -> dict[str, str]:
        """Return all that goes with a request. ``key``, ``ambient``: what carries the key, and what the
        environment adds.
        """
        headers = {
            "Content-Type": "application/json",
            "Accept": "text/event-stream",
            # Compression makes proxies hold tokens back until they fill a block.
            "Accept-Encoding": "identity",
            "User-Agent": f"lm_deluge/{__version__}",
            **key,
        }
        if info.api_key_env == OPENAI.api_key_env:
            for header, argument, variable in (
                ("OpenAI-Organization", self.organization, _ORGANIZATION),
                ("OpenAI-Project", self.project, _PROJECT),
            ):
                if argument:
                    headers[header] = argument
                elif value := os.environ.get(variable, "").strip():
                    headers |= validate_headers({header: value}, variable)
        for extra in (ambient, info.headers, self.headers):
            headers = _beneath(extra, headers)
        return headers

    def _way_to(self, url: str) -> tuple[ForwardProxy | None, ssl.SSLContext | None]:
        """Return who passes requests on, and who is trusted, as far as the environment says it."""
        if not self.trust_env:
            return None, None
        proxy = proxy_for(url)
        if proxy is not None and proxy.is_socks:
            if self.own_connector:
                raise ValueError(
                    f"{proxy.variable} names the SOCKS proxy {proxy.shown}, which the connector given "
                    "as connector= does not know: leave it out, or give trust_env=False"
                )
            require(proxy)
        speaks_tls = url.startswith("https:") or (proxy is not None and proxy.speaks_tls)
        return proxy, tls_of_environment() if speaks_tls and not self.own_tls else None

    def _key(
        self,
        info: ModelInfo,
        carriers: Sequence[str],
        ambient: Mapping[str, str],
        *,
        has_credentials: bool,
    ) -> str | None:
        """Return the key to send, ``None`` if none is needed. ``carriers``: the headers it goes into."""
        if self.api_key is not None:
            return self.api_key
        own = {header.lower() for header in carriers}
        if not own.isdisjoint(map(str.lower, (*ambient, *self.headers))):
            return None
        if has_credentials and "authorization" in own:
            return None
        if info.api_key_env is None:
            return None
        for variable in (info.first_key_env, info.api_key_env):
            if variable is not None and (key := os.environ.get(variable, "").strip()):
                return validate_api_key(key, variable)
        if is_local(info.base_url or ""):
            return None  # Ollama, llama.cpp or vLLM on this machine or in its network
        instead = "or give api_key="
        if self.beside is not None:
            instead = (
                "or register it with register_model(..., api_key_env=...): it is of another provider "
                f"than {self.beside}, whose key, address and headers are not sent to it"
            )
        message = f"no API key for {info.name}: set the environment variable {info.api_key_env}, {instead}"
        error = AuthenticationError(message, status_code=None)
        error.missing_key = info.api_key_env
        raise error


def _beneath(headers: Mapping[str, str], others: Mapping[str, str]) -> dict[str, str]:
    """Return ``others`` and ``headers``, which win whatever the case of their letters."""
    given = {header.lower() for header in headers}
    kept = {header: others[header] for header in others if header.lower() not in given}
    return {**kept, **headers}


def _account_of(base_url: str, headers: Mapping[str, str], carriers: Sequence[str]) -> int:
    """Return a number for an address and who asks it. ``carriers``: the headers that say who."""
    who = {name.lower() for name in (*carriers, "OpenAI-Organization", "OpenAI-Project")}
    # Python salts it anew in every process, and nothing leads back from it to the key.
    return hash((base_url, *(headers[name] for name in headers if name.lower() in who)))


def _custom_headers() -> dict[str, str]:
    """Return ``OPENAI_CUSTOM_HEADERS``: a line ``Name: value`` each, as the official package has it."""
    headers: dict[str, str] = {}
    for number, line in enumerate(os.environ.get(_CUSTOM_HEADERS, "").splitlines(), 1):
        name, colon, value = line.partition(":")
        if line.strip() and not colon:
            raise ValueError(f"{_CUSTOM_HEADERS}: line {number} is no header (Name: value)")
        if colon:
            headers |= validate_headers(
                {name.strip(): value.strip()}, f"{_CUSTOM_HEADERS}, line {number}"
            )
    return headers


def redactor_for(routes: Sequence[Route], *sent: Any) -> Redactor:
    """Return what knows the secrets of all of a stream's routes: an error of one may quote another's.

    ``sent``: what of the body may hold secrets, too.
    """
    secrets = routes[0].secrets
    for route in routes[1:]:
        secrets += route.secrets
    for value in sent:
        if value:
            secrets += tuple(secrets_in_data(value))
    return redactor_of(secrets)


def _warn_of_plain_http(base_url: str) -> None:
    if base_url.startswith("http://") and not is_loopback(base_url):
        shown = redact_url(base_url)
        log_once(("http", shown), "the API key goes to %s unencrypted: use https", shown)
