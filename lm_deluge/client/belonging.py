"""Whose a client's key and address are: a fallback of another provider gets none of them."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from attrs import field, frozen

from lm_deluge.models.providers import PROVIDERS, split_prefix
from lm_deluge.models.registry import registration_of
from lm_deluge.models.resolving import dialect_of, provider_asked

__all__ = ["Belonging"]


@frozen(kw_only=True)
class Belonging:
    """What a client was given that says whose its settings are.

    ``model``: its first model; ``base_url``, ``dialect``: its arguments.
    """

    model: str
    base_url: str | None = field(default=None, repr=False)
    dialect: str | None = None

    def dialect_for(self, name: str) -> str | None:
        """Return the dialect that the client says for a model; ``None``: the model's own.

        A fallback that has a prefix or a registration says it itself.
        """
        if name == self.model or (registration_of(name) is None and split_prefix(name)[0] is None):
            return self.dialect
        return None

    def has(self, name: str) -> bool:
        """Return whether a model is of the provider that the client's settings are for."""
        if name == self.model:
            return True
        registered = registration_of(name)
        if registered is not None and registered.base_url is not None:
            return _authority(registered.base_url) == _authority(self._first_url())
        prefix = None if registered is not None else split_prefix(name)[0]
        if prefix is not None and self.base_url is not None and not self._has_prefix():
            # The address is that of a server, and the fallback's prefix says whose endpoint is meant.
            return _authority(PROVIDERS[prefix].base_url) == _authority(self.base_url)
        return self._home(name) == self._home(self.model)

    @property
    def variable(self) -> str:
        """The environment variable that it depends on."""
        return provider_asked(self.model, self.dialect).base_url_env

    def _has_prefix(self) -> bool:
        bare = self.dialect is not None or registration_of(self.model) is not None
        return not bare and split_prefix(self.model)[0] is not None

    def _home(self, name: str) -> str:
        """Return where a model is at home: the name of a provider, or an authority."""
        registered = registration_of(name)
        is_placed = name == self.model and self.base_url is not None
        if registered is not None and registered.base_url is not None and not is_placed:
            return _authority(registered.base_url)
        dialect = dialect_of(name, self.dialect_for(name))
        return PROVIDERS[dialect].name if dialect in PROVIDERS else dialect

    def _first_url(self) -> str:
        """Return where the first model is asked."""
        registered = registration_of(self.model)
        given = self.base_url or (None if registered is None else registered.base_url)
        provider = provider_asked(self.model, self.dialect)
        return given or os.environ.get(provider.base_url_env, "").strip() or provider.base_url


def _authority(url: str) -> str:
    """Return whom an address names: host and port."""
    try:
        parts = urlsplit(url)
        port = parts.port or (80 if parts.scheme == "http" else 443)
    except ValueError:
        return url
    return f"{parts.hostname}:{port}"
