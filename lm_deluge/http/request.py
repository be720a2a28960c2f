"""One request, ready to be sent."""

from __future__ import annotations

import ssl
from collections.abc import Mapping

from attrs import field, frozen

from lm_deluge.http.proxies import ForwardProxy
from lm_deluge.values.redaction import Redactor

__all__ = ["Request"]


@frozen(eq=False, kw_only=True)
class Request:
    """One request, ready to be sent. ``redactor`` knows what must not appear in any message.

    ``shown_url``: the base URL as it may be shown; ``path``: what follows it in ``url``.
    ``proxy``: who passes it on. ``tls``: instead of the transport's own context.
    """

    url: str = field(repr=False)
    shown_url: str
    path: str = ""
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    method: str = "POST"
    query: Mapping[str, str] = field(factory=dict, repr=False)
    redactor: Redactor = field(factory=Redactor, repr=False)
    proxy: ForwardProxy | None = None
    tls: ssl.SSLContext | None = field(default=None, repr=False)

    def redact(self, text: str) -> str:
        """Return ``text`` as it may be shown."""
        return self.redactor.text(text)
