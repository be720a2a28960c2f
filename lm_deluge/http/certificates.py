"""The authorities that the environment trusts for TLS: all that it names, or an error that says why not.

``REQUESTS_CA_BUNDLE`` and ``CURL_CA_BUNDLE``, as requests takes them: a file or a directory, without
the system's authorities. ``SSL_CERT_FILE`` and ``SSL_CERT_DIR``, as OpenSSL takes them: each instead of
the system's own file or directory. Where several are set, each adds whom it names.
"""

from __future__ import annotations

import functools
import os
import re
import ssl
from pathlib import Path
from typing import Final

__all__ = ["CERTIFICATE_VARIABLES", "tls_of_environment"]

_BUNDLES: Final = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")

CERTIFICATE_VARIABLES: Final = (*_BUNDLES, "SSL_CERT_FILE", "SSL_CERT_DIR")

#: How OpenSSL finds an authority in a directory; other names it does not look at.
_HASHED: Final = re.compile(r"[0-9a-f]{8}\.\d+")


def tls_of_environment() -> ssl.SSLContext | None:
    """Return the context that trusts whom the environment names; ``None`` where it names nobody.

    Raises ``ValueError`` that names the variable and the path, where nothing can be read there.
    """
    return _context(tuple(map(os.environ.get, CERTIFICATE_VARIABLES)))


@functools.lru_cache(maxsize=16)
def _context(settings: tuple[str | None, ...]) -> ssl.SSLContext | None:
    named = {
        name: value
        for name, value in zip(CERTIFICATE_VARIABLES, settings, strict=True)
        if value is not None and value.strip()
    }
    if not named:
        return None
    context: ssl.SSLContext | None = None
    for variable, value in named.items():
        if variable in _BUNDLES:
            _check(variable, value)
            file, directory = (None, value) if Path(value).is_dir() else (value, None)
            if context is None:
                context = ssl.create_default_context(cafile=file, capath=directory)
            else:
                context.load_verify_locations(file, directory)
        else:
            several = variable == "SSL_CERT_DIR"
            for one in filter(None, value.split(os.pathsep)) if several else (value,):
                _check(variable, one)
    if context is None:
        return ssl.create_default_context()
    if len(named) > sum(bundle in named for bundle in _BUNDLES):
        context.load_default_certs()  # OpenSSL reads its variables itself
    return context


def _check(variable: str, path: str) -> None:
    """Raise ``ValueError`` if nobody can be trusted by what is there."""
    if variable == "SSL_CERT_DIR" or (variable != "SSL_CERT_FILE" and Path(path).is_dir()):
        _check_directory(variable, path)
    else:
        _check_file(variable, path)


def _check_file(variable: str, path: str) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
    except (ssl.SSLError, ValueError):
        raise ValueError(f"{variable}: {path!r} holds no certificates in PEM format") from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ValueError(f"{variable}: {path!r} cannot be read ({reason})") from None


def _check_directory(variable: str, path: str) -> None:
    try:
        names = os.listdir(path)  # noqa: PTH208 - names alone
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise ValueError(f"{variable}: {path!r} cannot be read ({reason})") from None
    if not any(map(_HASHED.fullmatch, names)):
        raise ValueError(
            f"{variable}: the directory {path!r} holds no certificates under the names that OpenSSL "
            "looks for, such as 1a2b3c4d.0: `openssl rehash` makes them"
        )
