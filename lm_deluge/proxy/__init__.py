"""A proxy that watches what any app streams, in any language, which is told another base URL alone."""

from lm_deluge.proxy.proxy import Proxy

__all__ = ["Proxy"]
