"""Every error of aiohttp, of the socket below it and of TLS reaches users as one of ours."""

from __future__ import annotations

import asyncio
import errno
import importlib
import inspect
import pkgutil
import re
import socket
import ssl
from collections.abc import Callable
from functools import partial
from typing import Any

import aiohttp
import pytest
import yarl
from aiohttp import http_exceptions
from multidict import CIMultiDict, CIMultiDictProxy

from lm_deluge.errors import (
    APIConnectionError,
    APITimeoutError,
    ConnectionLostError,
    ProtocolError,
    StreamError,
)
from lm_deluge.http.exchange import HttpExchange
from lm_deluge.http.request import Request
from lm_deluge.http.translation import is_disconnect, translate_open, translate_read
from lm_deluge.values.redaction import Redactor
from support.clients import KEY, client_for

REQUEST = Request(
    url="https://api.invalid/v1/chat/completions",
    shown_url="https://api.invalid/v1/chat/completions",
    headers={},
    body=b"{}",
    redactor=Redactor([KEY]),
)
#: A key and line ends, in whatever an error can say.
WORDS = f"words\r\nand {KEY}"
INFO = aiohttp.RequestInfo(
    yarl.URL(REQUEST.url),
    "POST",
    CIMultiDictProxy(CIMultiDict({"Authorization": f"Bearer {KEY}"})),
    yarl.URL(REQUEST.url),
)
PLACE: Any = aiohttp.client_reqrep.ConnectionKey("api.invalid", 443, True, True, None, None, None)


#: Modules of aiohttp's server, of its tests and of other programs that run it.
SERVER = re.compile(r"aiohttp\.(web|worker|pytest_plugin|test_utils)")


def tree_of(root: type[BaseException]) -> set[type[BaseException]]:
    """The classes below one, and itself."""
    return {root}.union(*(tree_of(kind) for kind in root.__subclasses__()))


def classes_of_aiohttp() -> list[type[Exception]]:
    """Every class of exceptions that aiohttp defines in any of its modules but those of its server."""
    for module in pkgutil.iter_modules(aiohttp.__path__, "aiohttp."):
        if not SERVER.match(module.name):
            importlib.import_module(module.name)
    every = [
        kind
        for kind in tree_of(Exception)
        if kind.__module__.startswith("aiohttp.") and not SERVER.match(kind.__module__)
    ]
    return sorted(every, key=lambda kind: (kind.__name__, kind.__module__))


#: What a class other than ``APIConnectionError`` comes of, while a connection is opened. A class
#: below one in this table is as that one, unless it stands here itself.
OPENING: dict[type[Exception], tuple[type[StreamError], str]] = {
    aiohttp.ClientConnectorError: (APIConnectionError, "no connection to"),
    aiohttp.ClientProxyConnectionError: (APIConnectionError, "no connection to the proxy"),
    aiohttp.ClientResponseError: (ProtocolError, "something that is not HTTP"),
    aiohttp.ClientHttpProxyError: (APIConnectionError, "refused the connection"),
    aiohttp.ServerDisconnectedError: (APIConnectionError, "without an answer"),
    TimeoutError: (APITimeoutError, "Timeouts.connect"),
    Exception: (APIConnectionError, "failed: "),
}

#: Those that say that a connection was there, and has gone.
GONE = (
    aiohttp.ServerDisconnectedError,
    aiohttp.ClientConnectionResetError,
    aiohttp.ClientOSError,
    ConnectionError,
)


def kinds_of(root: type[Exception], module: str) -> list[type[Exception]]:
    """The classes at and below one that a module defines, by their names."""
    return sorted((k for k in tree_of(root) if k.__module__ == module), key=lambda k: k.__name__)


#: What aiohttp does not wrap, or not everywhere: kinds of ``OSError``, of TLS, of asyncio.
OTHERS: dict[str, Callable[[], Exception]] = {
    **{kind.__name__: partial(kind, WORDS) for kind in kinds_of(OSError, "builtins")},
    **{kind.__name__: partial(kind, 1, WORDS) for kind in kinds_of(ssl.SSLError, "ssl")},
    "no network": lambda: OSError(errno.ENETUNREACH, WORDS),
    "no descriptors": lambda: OSError(errno.EMFILE, WORDS),
    "the system's timeout": lambda: OSError(errno.ETIMEDOUT, WORDS),
    "gaierror": lambda: socket.gaierror(socket.EAI_NONAME, WORDS),
    "herror": lambda: socket.herror(1, WORDS),
    "IncompleteReadError": lambda: asyncio.IncompleteReadError(KEY.encode(), 100),
    "LimitOverrunError": lambda: asyncio.LimitOverrunError(WORDS, 1),
    "InvalidStateError": lambda: asyncio.InvalidStateError(WORDS),
    "UnicodeError": lambda: UnicodeError(WORDS),
    "UnicodeEncodeError": lambda: UnicodeEncodeError("idna", KEY, 0, 9, "label too long"),
}


def made(kind: type[Exception]) -> Exception:
    """An error of a class, with a key and line ends in all it says."""
    several: dict[str, tuple[Any, ...]] = {
        "path": (KEY, PLACE, OSError(errno.ECONNREFUSED, WORDS)),
        "connection_key": (PLACE, OSError(errno.ECONNREFUSED, WORDS)),
        "request_info": (INFO, ()),
        "expected": (b"a" * 32, b"b" * 32, "api.invalid", 443),
        "url": (f"https://{KEY}@api.invalid",),
        "line": (KEY.encode(), "8190"),
        "hdr": (KEY,),
        "code": (1, WORDS),
    }
    names = list(inspect.signature(kind.__init__).parameters)[1:]
    given = several.get(names[0] if names else "", (WORDS,))
    named = (
        {"message": WORDS, "status": 502} if issubclass(kind, aiohttp.ClientResponseError) else {}
    )
    if issubclass(kind, http_exceptions.HttpProcessingError) and names[:1] == ["code"]:
        given, named = (), {"code": 400, "message": WORDS}
    return kind(*given, **named)


def expected_of(error: Exception) -> tuple[type[StreamError], str]:
    if isinstance(error, TimeoutError):
        return OPENING[TimeoutError]
    return next(OPENING[kind] for kind in type(error).__mro__ if kind in OPENING)


def check(error: BaseException | None, kind: type[StreamError], words: str) -> None:
    """Assert the class and what the message must say, and must not."""
    assert type(error) is kind, repr(error)
    assert words in str(error)
    assert "internal error" not in str(error)
    assert "\n" not in str(error)
    assert "\r" not in str(error)
    link: BaseException | None = error
    while link is not None:
        assert KEY not in f"{link!r} {link}"
        link = link.__cause__ or link.__context__


#: Made anew in each test: an error that is kept would keep the frames of a test, and its streams.
ERRORS = {kind.__name__: partial(made, kind) for kind in classes_of_aiohttp()} | OTHERS

every_error = pytest.mark.parametrize("make", ERRORS.values(), ids=list(ERRORS))


@pytest.mark.parametrize("tls", [True, False, ssl.create_default_context()])
def test_how_aiohttp_would_have_done_tls_is_not_told(tls: Any) -> None:
    place = PLACE._replace(ssl=tls)
    error = aiohttp.ClientConnectorError(place, ConnectionRefusedError(111, "Connect call failed"))
    assert "ssl" in str(error)
    told = str(translate_open(error, REQUEST, 5.0))
    assert "api.invalid:443 [Connect call failed]" in told


def test_no_class_of_aiohttp_is_missing() -> None:
    every = set(classes_of_aiohttp())
    assert len({kind.__name__ for kind in every}) == len(every), "two classes of one name"
    public = {kind for kind in vars(aiohttp).values() if inspect.isclass(kind)}
    assert {kind for kind in public if issubclass(kind, Exception)} <= every
    assert tree_of(aiohttp.ClientError) <= every
    assert {type(make()) for make in ERRORS.values()} >= every
    assert set(OPENING) <= every | {Exception, TimeoutError}


@every_error
def test_each_class_has_one_of_ours_for_opening_and_for_reading(
    make: Callable[[], Exception],
) -> None:
    error = make()
    opened = translate_open(error, REQUEST, 5.0)
    kind, words = expected_of(error)
    check(opened, kind, words)
    assert opened.phase == "connect"
    check(translate_read(error, REQUEST), ConnectionLostError, "the connection broke")
    if is_disconnect(error):
        assert isinstance(error, GONE)
        assert isinstance(opened, APIConnectionError)


class Failing(aiohttp.TCPConnector):
    """A connector that fails in one way."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    async def connect(self, *args: Any, **named: Any) -> Any:
        raise self._error


@every_error
async def test_no_class_passes_a_client_by_while_its_connection_is_opened(
    make: Callable[[], Exception],
) -> None:
    error = make()
    async with Failing(error) as connector:
        with pytest.raises(StreamError) as caught:
            await client_for("https://api.invalid/v1", connector=connector).stream("hi")
    check(caught.value, *expected_of(error))
    assert caught.value.phase == "connect"
    assert caught.value.attempts == 1


@every_error
async def test_no_class_passes_a_reader_by_and_what_had_come_is_kept(
    make: Callable[[], Exception],
) -> None:
    loop = asyncio.get_running_loop()

    class Response:
        status, headers, connection = 200, {"Content-Type": "text/event-stream"}, None
        content_type = "text/event-stream"
        content = aiohttp.StreamReader(aiohttp.client_proto.ResponseHandler(loop), 2**16, loop=loop)

    Response.content.feed_data(b"data: 1\n\n")
    exchange = HttpExchange(Response, REQUEST)  # type: ignore[arg-type]
    Response.content.set_exception(make())
    assert await exchange.read() == b"data: 1\n\n"
    with pytest.raises(ConnectionLostError) as caught:
        await exchange.read()
    check(caught.value, ConnectionLostError, "the connection broke")
