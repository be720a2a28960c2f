"""A proxy that watches what any app streams, in any language, which is told another base URL alone."""

from lm_deluge.proxy.proxy import Proxy
from lm_deluge.proxy.telling import Note, PassedRequest

__all__ = ["Note", "PassedRequest", "Proxy"]
