"""Which proxy the environment names for which URL: tables over values, spellings and exceptions."""

from __future__ import annotations

import pytest

from lm_deluge.http.proxies import PROXY_VARIABLES, proxy_for
from lm_deluge.values.secret_values import secrets_in_url

SECRET = "hunter2-hunter2"


@pytest.fixture(autouse=True)
def no_proxy_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)


def shown(url: str) -> str | None:
    proxy = proxy_for(url)
    return None if proxy is None else proxy.shown


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("http://proxy:3128", "http://proxy:3128"),
        ("http://proxy:3128/", "http://proxy:3128"),
        ("HTTP://Proxy:3128", "http://proxy:3128"),
        (" http://proxy:3128\n", "http://proxy:3128"),
        ("http://proxy", "http://proxy:80"),
        ("https://proxy", "https://proxy:443"),
        ("proxy:3128", "http://proxy:3128"),
        ("proxy", "http://proxy:80"),
        ("proxy.example.com:8080", "http://proxy.example.com:8080"),
        ("10.0.0.1:3128", "http://10.0.0.1:3128"),
        ("[fd00::1]:3128", "http://[fd00::1]:3128"),
        ("//proxy:3128", "http://proxy:3128"),
        (f"user:{SECRET}@proxy:3128", "http://proxy:3128"),
        (f"http://user:{SECRET}@proxy:3128", "http://proxy:3128"),
        ("socks5://proxy", "socks5://proxy:1080"),
        ("socks5h://proxy:9050", "socks5h://proxy:9050"),
        ("socks4://proxy", "socks4://proxy:1080"),
        ("socks4a://proxy", "socks4a://proxy:1080"),
        ("socks://proxy:7891/", "socks://proxy:7891"),
        ("SOCKS5://proxy", "socks5://proxy:1080"),
        ("", None),
        ("  ", None),
    ],
)
def test_a_value_is_read_as_curl_and_requests_read_it(
    monkeypatch: pytest.MonkeyPatch, value: str, expected: str | None
) -> None:
    for variable in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        with monkeypatch.context() as context:
            context.setenv(variable, value)
            assert shown("https://api.example.com/v1") == expected


@pytest.mark.parametrize(
    "value",
    [
        f"ftp://user:{SECRET}@proxy:21",
        f"quic://user:{SECRET}@proxy",
        f"socks6://user:{SECRET}@proxy",
        f"user:{SECRET}://proxy",
        f"http://user:{SECRET}@",
        f"http://user:{SECRET}@proxy:port",
        f"http://user:{SECRET}@proxy:99999",
        f"http://user:{SECRET}@foo..bar:1",
        f"http://user:{SECRET}#1@proxy:1",
        f"http://user:1?{SECRET}@proxy:1",
        f"http://user:{SECRET} @proxy:1",
        f"http://user:{SECRET}@pro\x00xy:1".replace("\x00", "\x7f"),
        f"http://user:{SECRET}@[::1:1",
        f'"http://user:{SECRET}@proxy:1"',
        f"'proxy:{SECRET}'",
        "http://",
        "://proxy:1",
        "http://pro;xy",
    ],
)
def test_what_is_no_proxy_is_refused_by_the_name_of_its_variable(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    for variable in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        with monkeypatch.context() as context:
            context.setenv(variable, value)
            with pytest.raises(ValueError, match=f"^{variable}") as caught:
                proxy_for("https://api.example.com/v1")
            assert SECRET not in str(caught.value)
            assert caught.value.__cause__ is None


def test_credentials_are_kept_for_the_proxy_and_hidden_from_everybody_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("https_proxy", "http://me@corp:p%40ss-word@proxy:3128")
    proxy = proxy_for("https://api.example.com/v1")
    assert proxy is not None
    assert proxy.url == "http://me%40corp:p%40ss-word@proxy:3128"
    assert {"me@corp", "p@ss-word"} < set(secrets_in_url(proxy.url))
    assert "ss-word" not in repr(proxy)


@pytest.mark.parametrize(
    ("settings", "url", "expected"),
    [
        ({"http_proxy": "a:1"}, "http://host", "a"),
        ({"http_proxy": "a:1"}, "https://host", None),
        ({"https_proxy": "a:1"}, "https://host", "a"),
        ({"https_proxy": "a:1"}, "http://host", None),
        ({"all_proxy": "a:1"}, "http://host", "a"),
        ({"all_proxy": "a:1", "http_proxy": "b:1"}, "http://host", "b"),
        ({"all_proxy": "a:1", "http_proxy": ""}, "http://host", "a"),
        ({"http_proxy": "small:1", "HTTP_PROXY": "large:1"}, "http://host", "small"),
        ({"http_proxy": "", "HTTP_PROXY": "large:1"}, "http://host", None),
        ({"HTTP_PROXY": "large:1"}, "http://host", "large"),
        ({"HTTP_PROXY": "evil:1", "REQUEST_METHOD": "GET"}, "http://host", None),
        ({"http_proxy": "a:1", "REQUEST_METHOD": "GET"}, "http://host", "a"),
        ({"HTTPS_PROXY": "a:1", "REQUEST_METHOD": "GET"}, "https://host", "a"),
        ({"all_proxy": "a:1", "no_proxy": "", "NO_PROXY": "host"}, "http://host", "a"),
        ({"all_proxy": "a:1", "no_proxy": "host", "NO_PROXY": ""}, "http://host", None),
        ({"all_proxy": "a:1", "NO_PROXY": "host"}, "http://host", None),
        ({"no_proxy": "??!!"}, "http://host", None),
    ],
)
def test_which_spelling_counts(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], url: str, expected: str | None
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    found = shown(url)
    assert found == (None if expected is None else f"http://{expected}:1")


def test_a_change_of_the_environment_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("all_proxy", "a:1")
    assert shown("http://host") == "http://a:1"
    monkeypatch.setenv("all_proxy", "b:1")
    assert shown("http://host") == "http://b:1"
    monkeypatch.setenv("no_proxy", "host")
    assert shown("http://host") is None


DIRECT = [
    ("*", "http://anything.example.com"),
    ("other, *", "http://anything.example.com"),
    ("example.com", "https://example.com"),
    ("example.com", "https://api.example.com"),
    (".example.com", "https://api.example.com"),
    (".example.com", "https://example.com"),
    ("*.example.com", "https://api.example.com"),
    ("EXAMPLE.com", "https://api.Example.COM"),
    ("example.com.", "https://api.example.com"),
    ("example.com", "https://api.example.com."),
    ("a.com,example.com", "https://example.com"),
    ("a.com, example.com", "https://example.com"),
    ("a.com example.com", "https://example.com"),
    (" ,, example.com ,", "https://example.com"),
    ("localhost", "http://localhost:8080"),
    ("bücher.example", "http://xn--bcher-kva.example"),
    ("127.0.0.1", "http://127.0.0.1:8080"),
    ("10.0.0.0/8", "http://10.1.2.3"),
    ("10.1.2.3/8", "http://10.9.9.9"),
    ("192.168.0.0/255.255.0.0", "http://192.168.3.4"),
    ("169.254/16", "http://169.254.169.254"),
    ("10.*", "http://10.1.2.3"),
    ("fd00::/8", "http://[fd12::1]:8000"),
    ("[fd00::]/8", "http://[fd12::1]:8000"),
    ("::1", "http://[::1]:8000"),
    ("[::1]", "http://[::1]:8000"),
    ("[::1]:8000", "http://[::1]:8000"),
    ("0:0:0:0:0:0:0:1", "http://[::1]"),
    ("host:8080", "http://host:8080"),
    ("host:80", "http://host"),
    ("host:443", "https://host"),
    ("example.com:8080", "http://api.example.com:8080"),
    ("127.0.0.1:8080", "http://127.0.0.1:8080"),
    ("http://host", "http://host"),
    ("http://host:80/", "http://host"),
    ("all://host", "https://host"),
    ("<local>", "http://intranet"),
    ("*.corp.*", "http://api.corp.example"),
]

BY_PROXY = [
    ("", "http://host"),
    ("example.com", "https://myexample.com"),
    ("example.com", "https://example.com.evil.org"),
    ("api.example.com", "https://example.com"),
    ("*.example.com", "https://notexample.com"),
    ("10.0.0.0/8", "http://11.0.0.1"),
    ("10.0.0.0/8", "http://ten.example.com"),
    ("fd00::/8", "http://[fe80::1]"),
    ("10.0.0.0/8", "http://[fd00::1]"),
    ("host:8080", "http://host:8081"),
    ("host:8080", "http://host"),
    ("host:443", "http://host"),
    ("[::1]:8000", "http://[::1]:8001"),
    ("127.0.0.1", "http://localhost"),
    ("0.1", "http://10.0.0.1"),
    ("https://host", "http://host"),
    ("<local>", "http://example.com"),
    ("<local>", "http://10.0.0.1"),
]


@pytest.mark.parametrize(
    ("exceptions", "url", "direct"),
    [*((*row, True) for row in DIRECT), *((*row, False) for row in BY_PROXY)],
)
def test_exceptions_mean_what_they_mean_for_curl_or_requests(
    monkeypatch: pytest.MonkeyPatch, exceptions: str, url: str, *, direct: bool
) -> None:
    monkeypatch.setenv("ALL_PROXY", "proxy:3128")
    for variable in ("NO_PROXY", "no_proxy"):
        with monkeypatch.context() as context:
            context.setenv(variable, exceptions)
            assert (shown(url) is None) is direct


@pytest.mark.parametrize(
    "entry",
    [
        "10.0.0.0/33",
        "fd00::/200",
        "host/8",
        "host:port",
        "host:99999",
        "a;b",
        "a|b",
        ":8080",
        "[::1",
    ],
)
def test_an_exception_that_means_nothing_is_refused(
    monkeypatch: pytest.MonkeyPatch, entry: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", "proxy:3128")
    monkeypatch.setenv("NO_PROXY", f"host,{entry}")
    with pytest.raises(ValueError, match=r"^NO_PROXY: ") as caught:
        proxy_for("http://host")
    assert entry in str(caught.value)
