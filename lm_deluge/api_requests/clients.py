"""The client that ``stream_chat`` asks by, with and without ``async``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeVar

from lm_deluge.client.configured import ConfiguredClient
from lm_deluge.config import SamplingParams
from lm_deluge.http.transport import Transport
from lm_deluge.values.checks import checked_instance, checked_text

__all__ = ["DEFAULT_PARAMS", "OTHERS", "client_of", "params_of"]

#: What stands for none that were given.
DEFAULT_PARAMS: Final = SamplingParams()

#: What ``stream_chat`` takes by keyword beside the options of a stream, for messages.
OTHERS: Final = ("extra_headers", "api_key", "base_url", "client")

#: The connections that all calls without a client share.
_TRANSPORT: Final = Transport()

C = TypeVar("C", bound=ConfiguredClient)


def client_of(
    kind: type[C],
    client: C | None,
    model_name: str,
    *,
    api_key: str | None,
    base_url: str | None,
    extra_headers: Mapping[str, str] | None,
) -> C:
    """Return the client given, or a new one of this ``kind``, by the arguments of ``stream_chat``."""
    if client is None:
        return kind(
            checked_text("model_name", model_name),
            api_key=api_key,
            base_url=base_url,
            extra_headers=extra_headers,
            transport=_TRANSPORT,
        )
    checked_instance("client", client, kind)
    if (model_name, api_key, base_url, extra_headers) != (client.model, None, None, None):
        message = "with client=, give model_name as client.model, and no key, URL or headers"
        raise ValueError(message)
    return client


def params_of(sampling_params: SamplingParams, *, is_given: bool) -> SamplingParams | None:
    """Return what the stream is to be opened with; ``is_given``: the client, which has its own."""
    return None if is_given and sampling_params is DEFAULT_PARAMS else sampling_params
