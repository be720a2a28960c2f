"""Which upstream a request goes to, and what is asked of it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

from attrs import field, frozen

from lm_deluge.models.providers import ANTHROPIC, GOOGLE, OPENAI, Provider
from lm_deluge.proxy.heads import BadRequestHead, HeaderField
from lm_deluge.proxy.owners import AZURE, hinted, key_owners
from lm_deluge.values.addresses import normalize_base_url, redact_url

__all__ = ["Destination", "Routes", "Upstream", "wire_of"]

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
#: The version of an API, as the first part of a path.
_VERSION: Final = re.compile(r"/v\d+[a-z0-9]*(?=/|$)")
#: Paths that Google's package asks for besides those of a version.
_GOOGLES: Final = re.compile(
    r"(?:/(?:upload|download|batch))?/v1(?:beta|alpha|internal)\w*(?:/|$)"
    r"|/ws/google\.ai\.generativelanguage\."
)
#: Anthropic's alone.
_MESSAGES: Final = re.compile(r"/v1/messages(?:/|$)")
_TAKEN: Final = re.compile(r"v\d+[a-z0-9]*|upload|download|batch|ws")

_MODELS: Final = r"(?:/(?:models|tunedModels))?/[^/]+(?::|%3[Aa])(?:streamG|g)enerateContent"

#: How a path ends, a slash behind it or not, and the dialect that it means: where the dialect's path begins.
_DIALECTS: Final = tuple(
    (re.compile(path + "/?$"), dialect)
    for path, dialect in (
        ("/chat/completions", "chat"),
        # The ones before chat, which servers of open models still have: their chunks are read alike.
        ("/completions", "chat"),
        ("/responses(?:/[^/]+)?", "responses"),
        ("/messages", "messages"),
        (_MODELS, "gemini"),
    )
)


def _base_url(given: object) -> str:
    if isinstance(given, str) and (mark := re.search(r"[?#]", given)) is not None:
        shown = redact_url(given[: mark.start()])
        raise ValueError(
            f"upstream: {shown} is given with a query or fragment: the app sends its own"
        )
    url = normalize_base_url(given, "upstream")
    if "@" in urlsplit(url).netloc:
        raise ValueError(
            f"upstream: {redact_url(url)} is given with credentials: the app sends its own"
        )
    return url


@frozen
class Upstream:
    """A server that requests are passed on to. ``base_url``: what an app would be given as its base URL.

    Raises ``TypeError`` or ``ValueError`` for what is none; no message shows credentials.
    """

    base_url: str = field(converter=_base_url)
    origin: str = field(init=False)
    """Scheme, host and port: where connections go."""
    host: bytes = field(init=False)
    """What ``Host`` says."""
    path: str = field(init=False)
    """What ``/v1`` stands for; empty where paths pass unchanged."""

    def __attrs_post_init__(self) -> None:
        parts = urlsplit(self.base_url)
        netloc = parts.netloc if parts.netloc.isascii() else _ascii(parts.netloc)
        object.__setattr__(self, "origin", f"{parts.scheme}://{netloc}")
        object.__setattr__(self, "host", netloc.encode("ascii"))
        object.__setattr__(self, "path", parts.path)


def _ascii(netloc: str) -> str:
    name, colon, port = netloc.partition(":")
    return name.encode("idna").decode("ascii") + colon + port


@frozen
class Destination:
    """Where a request goes. ``target``: path and query that are asked for, as the app wrote them.

    ``base_url``: up to the version of the API; ``path``: what follows that, without the query.
    ``dialect``: whose wire it is, ``None`` for what does not stream answers.
    """

    upstream: Upstream
    target: bytes
    base_url: str
    path: str
    dialect: str | None


def _dialect_of(path: str) -> tuple[int, str] | None:
    """Return where a dialect's own path begins, and which it is; ``None`` for any other path."""
    if "/threads/" in path:  # OpenAI's assistants have messages, too
        return None
    for pattern, dialect in _DIALECTS:
        if found := pattern.search(path):
            return found.start(), dialect
    return None


def wire_of(path: str) -> str:
    """Return in whose shape an error of ours is told that answers a request for this path."""
    if (found := _dialect_of(path)) is not None:
        return found[1]
    if _GOOGLES.match(path):
        return "gemini"
    return "messages" if path.startswith("/v1/messages") else "chat"


#: Where requests go by their path alone, by the provider's name.
_MAINS: Final = {
    provider.name: Upstream(provider.base_url.rpartition("/")[0])
    for provider in (OPENAI, ANTHROPIC, GOOGLE)
}


class Routes:
    """The upstreams of a proxy.

    ``upstream``: where everything goes, ``None`` for the providers by path. ``named``: further ones by the
    first part of the path.

    Raises ``TypeError`` or ``ValueError`` for what is no URL, and for a name that is a version.
    """

    def __init__(self, upstream: str | None = None, named: Mapping[str, str] | None = None) -> None:
        self.main: Final = None if upstream is None else Upstream(upstream)
        self.named: Final[dict[str, Upstream]] = {}
        for name, url in (named or {}).items():
            if not isinstance(name, str) or _NAME.fullmatch(name) is None or _TAKEN.fullmatch(name):
                raise ValueError(
                    f"upstream: a name is letters, digits, '.', '_' and '-', and no version like v1, "
                    f"not {name!r}"
                )
            self.named[name] = Upstream(url)

    @property
    def upstreams(self) -> tuple[Upstream, ...]:
        """All that requests may go to."""
        mains = _MAINS.values() if self.main is None else (self.main,)
        return (*mains, *self.named.values())

    @property
    def reachable(self) -> str:
        """Say where requests may go, for those that go nowhere."""
        if self.main is None:
            paths = ["/v1/… (OpenAI, Anthropic)", "/v1beta/… (Gemini)"]
        else:
            paths = [f"/v1/… ({self.main.base_url})"]
        paths += [f"/{name}/…" for name in self.named]
        return f"no upstream has this path; there are {', '.join(paths)}"

    def find(self, target: bytes, fields: Sequence[HeaderField] = ()) -> Destination | None:
        """Return where a request goes, ``None`` for nowhere.

        ``target``: path and query. ``fields``: of its head. Without an upstream they say whose ``/v1/models``
        is asked for, and whose key is sent: ``BadRequestHead`` is raised where that would reach another.
        """
        raw, mark, query = target.partition(b"?")
        path = raw.decode("latin-1")
        first, slash, rest = path[1:].partition("/")
        if first in self.named:
            upstream = self.named[first]
            path = slash + rest
            beyond = _after_version(path)
            asked = upstream.path + (path if beyond is None or not upstream.path else beyond)
        elif self.main is not None:
            upstream = self.main
            beyond = _after_version(path)
            if upstream.path and beyond is None:
                return None
            asked = upstream.path + (path if not upstream.path or beyond is None else beyond)
        else:
            provider = _provider_of(path, fields, query)
            if provider is None:
                return None
            upstream, asked = _MAINS[provider.name], path
        return _route(upstream, asked or "/", mark + query)


def _after_version(path: str) -> str | None:
    """Return what follows ``/v1`` in a path, ``None`` if it does not begin with that."""
    if path == "/v1" or path.startswith("/v1/"):
        return path[3:]
    return None


def _provider_of(path: str, fields: Sequence[HeaderField], query: bytes) -> Provider | None:
    """Return whose path it is, ``None`` for nobody's. Raises ``BadRequestHead`` for another's key."""
    by_path: Provider | None = None
    if _GOOGLES.match(path) or wire_of(path) == "gemini":
        by_path = GOOGLE
    elif _after_version(path) is None:
        return None
    elif _MESSAGES.match(path):
        by_path = ANTHROPIC
    owners = key_owners(fields, query)
    goes = by_path or next(iter(owners), None) or hinted(fields) or OPENAI
    if goes is AZURE:
        raise BadRequestHead(
            403,
            "api-key holds a key of Azure, where each has an endpoint of its own: --upstream names it",
        )
    if wrong := next((owner for owner in owners if owner is not goes), None):
        raise BadRequestHead(
            403,
            f"the request has a key of {wrong.name}, and would go to {goes.name}, which must not get it: "
            "--upstream says where it is to go",
        )
    return goes


def _route(upstream: Upstream, asked: str, query: bytes) -> Destination:
    at, dialect = len(upstream.path), None
    if (found := _dialect_of(asked)) is not None:
        at, dialect = found
    elif not upstream.path and (version := _VERSION.match(asked)):
        at = version.end()
    return Destination(
        upstream,
        asked.encode("latin-1") + query,
        upstream.origin + asked[:at],
        asked[at:],
        dialect,
    )
