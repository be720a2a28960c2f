"""Who asks, and where: from a client's settings to a route, and from a body to a request."""

from __future__ import annotations

import logging
import os
import ssl
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from attrs import evolve, field, frozen

from lm_deluge._version import __version__
from lm_deluge.certificates import CERTIFICATE_VARIABLES, tls_of_environment
from lm_deluge.endpoint import is_local, is_loopback, redact_url, validate_api_key, validate_headers
from lm_deluge.errors import AuthenticationError
from lm_deluge.models import DEFAULT_API_KEY_ENV, ModelInfo, registration_of, resolve_model
from lm_deluge.proxies import PROXY_VARIABLES, Proxy, proxy_for
from lm_deluge.redaction import Redactor, redactor_of
from lm_deluge.secret_values import (
    secrets_in_data,
    secrets_in_headers,
    secrets_in_query,
    secrets_in_url,
)
from lm_deluge.socks import require
from lm_deluge.transport import Request

__all__ = ["Access", "Route", "redactor_for"]

logger = logging.getLogger("lm_deluge")

#: What the environment says of requests to OpenAI; the key's variable is the model's.
_VARIABLES: Final = (
    "OPENAI_BASE_URL",
    "OPENAI_ORG_ID",
    "OPENAI_PROJECT_ID",
    "OPENAI_CUSTOM_HEADERS",
)

_NETWORK_VARIABLES: Final = (*PROXY_VARIABLES, *CERTIFICATE_VARIABLES)


@frozen(kw_only=True)
class Route:
    """Where one model is asked, and what goes with every request to it.

    ``secrets``: all that is secret of that.
    """

    info: ModelInfo = field(repr=lambda info: info.name)
    url: str = field(repr=False)
    shown_url: str
    headers: Mapping[str, str] = field(repr=False)
    query: Mapping[str, str] = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)
    proxy: Proxy | None = None
    tls: ssl.SSLContext | None = field(default=None, repr=False)

    def request(self, body: Mapping[str, Any], redactor: Redactor) -> Request:
        """Return one request; ``ValueError`` or ``TypeError`` for a body that JSON cannot hold.

        ``redactor``: of all secrets of the stream, those of its other models included.
        """
        try:
            data = msgspec.json.encode(body)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            message = f"the request cannot be written as JSON: {error}"
            raise (TypeError if isinstance(error, TypeError) else ValueError)(message) from None
        return Request(
            url=self.url,
            shown_url=self.shown_url,
            headers=self.headers,
            body=data,
            query=self.query,
            redactor=redactor,
            proxy=self.proxy,
            tls=self.tls,
        )


@frozen(kw_only=True)
class Access:
    """The settings of a client that say how its models are reached; ``None``: not given.

    ``api_key``, ``base_url``, ``auth_header``, ``accept_eof``, ``organization``, ``project`` win over
    the model's registration and the environment; ``headers`` over all headers. ``trust_env``: whether
    the environment's proxies and authorities count; ``own_connector``, ``own_tls``: what the
    transport was given.
    """

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
    #: By name, the last route and what it was worked out from.
    _routes: dict[str, tuple[Route, tuple[object, ...]]] = field(
        init=False, factory=dict, repr=False, eq=False
    )

    def route(self, name: str) -> Route:
        """Return the way to a model, worked out anew when its registration or the environment changed.

        Raises ``UnsupportedModelError``, ``AuthenticationError`` without a key, ``ValueError`` or
        ``TypeError`` for what the environment holds and nobody can use, ``ImportError`` where it names
        a SOCKS proxy and the package for it is missing.
        """
        known = self._routes.get(name) if isinstance(name, str) else None
        if known is not None and known[1] == self._sources(known[0].info):
            return known[0]
        route = self._new_route(name)
        self._routes[name] = (route, self._sources(route.info))
        return route

    def _sources(self, info: ModelInfo) -> tuple[object, ...]:
        """Return all that a route depends on and that may change."""
        names: tuple[str, ...] = (*_VARIABLES, info.api_key_env or DEFAULT_API_KEY_ENV)
        if self.trust_env:
            names += PROXY_VARIABLES if self.own_tls else _NETWORK_VARIABLES
        return (registration_of(info.name), *map(os.environ.get, names))

    def _new_route(self, name: str) -> Route:
        info = resolve_model(
            name, base_url=self.base_url, env_base_url=os.environ.get("OPENAI_BASE_URL")
        )
        if self.accept_eof is not None:
            info = evolve(info, accept_eof=self.accept_eof)
        base_url = info.base_url or ""
        parts = urlsplit(base_url)
        ambient = _custom_headers() if info.api_key_env == DEFAULT_API_KEY_ENV else {}
        key = self._key(info, ambient, has_credentials=parts.username is not None)
        headers = {
            "Content-Type": "application/json",
            "Accept": "text/event-stream",
            # Compression makes proxies hold tokens back until they fill a block.
            "Accept-Encoding": "identity",
            "User-Agent": f"lm_deluge/{__version__}",
        }
        if key is not None:
            header = self.auth_header or info.auth_header
            headers[header] = f"Bearer {key}" if header.lower() == "authorization" else key
        if info.api_key_env == DEFAULT_API_KEY_ENV:
            for header, argument, variable in (
                ("OpenAI-Organization", self.organization, "OPENAI_ORG_ID"),
                ("OpenAI-Project", self.project, "OPENAI_PROJECT_ID"),
            ):
                if argument:
                    headers[header] = argument
                elif value := os.environ.get(variable, "").strip():
                    headers |= validate_headers({header: value}, variable)
        for extra in (ambient, info.headers, self.headers):
            given = {header.lower() for header in extra}
            headers = {header: headers[header] for header in headers if header.lower() not in given}
            headers.update(extra)
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
            *secrets_in_headers(headers, (self.auth_header or "", info.auth_header)),
            *secrets_in_query(query),
            *secrets_in_url(base_url),
            *secrets_in_url("" if proxy is None else proxy.url),
        )
        return Route(
            info=info,
            url=f"{base_url}/chat/completions",
            shown_url=redactor_of(secrets).text(redact_url(base_url)),
            headers=validate_headers(headers),
            query=query,
            secrets=secrets,
            proxy=proxy,
            tls=tls,
        )

    def _way_to(self, url: str) -> tuple[Proxy | None, ssl.SSLContext | None]:
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
        self, info: ModelInfo, ambient: Mapping[str, str], *, has_credentials: bool
    ) -> str | None:
        """Return the key to send, ``None`` if none is needed."""
        if self.api_key is not None:
            return self.api_key
        own_header = (self.auth_header or info.auth_header).lower()
        if own_header in map(str.lower, (*ambient, *self.headers)):
            return None
        if has_credentials and own_header == "authorization":
            return None
        if info.api_key_env is None:
            return None
        key = os.environ.get(info.api_key_env, "").strip()
        if key:
            return validate_api_key(key, info.api_key_env)
        if is_local(info.base_url or ""):
            return None  # Ollama, llama.cpp or vLLM on this machine or in its network
        message = (
            f"no API key for {info.name}: set the environment variable {info.api_key_env}, "
            "or give api_key="
        )
        raise AuthenticationError(message, status_code=None)


def _custom_headers() -> dict[str, str]:
    """Return ``OPENAI_CUSTOM_HEADERS``: a line ``Name: value`` each, as the official package has it."""
    variable = "OPENAI_CUSTOM_HEADERS"
    headers: dict[str, str] = {}
    for number, line in enumerate(os.environ.get(variable, "").splitlines(), 1):
        name, colon, value = line.partition(":")
        if line.strip() and not colon:
            raise ValueError(f"{variable}: line {number} is no header (Name: value)")
        if colon:
            headers |= validate_headers({name.strip(): value.strip()}, f"{variable}, line {number}")
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


_warned_of: set[str] = set()


def _warn_of_plain_http(base_url: str) -> None:
    shown = redact_url(base_url)
    if base_url.startswith("http://") and not is_loopback(base_url) and shown not in _warned_of:
        _warned_of.add(shown)
        logger.warning("the API key goes to %s unencrypted: use https", shown)
