"""The client that ``stream_chat`` asks by, with and without ``async``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeVar

from lm_deluge.client.configured import ConfiguredClient
from lm_deluge.client.options import check_names
from lm_deluge.config import SamplingParams
from lm_deluge.http.transport import Transport
from lm_deluge.values.checks import checked_instance, checked_text

__all__ = ["DEFAULT_PARAMS", "asker"]

#: What stands for none that were given.
DEFAULT_PARAMS: Final = SamplingParams()

#: What ``stream_chat`` takes by keyword beside the options of a stream, for messages.
_OTHERS: Final = ("extra_headers", "api_key", "base_url", "client")

#: The connections that all calls without a client share.
_TRANSPORT: Final = Transport()

C = TypeVar("C", bound=ConfiguredClient)


def asker(
    kind: type[C],
    client: C | None,
    model_name: str,
    sampling_params: SamplingParams,
    options: Mapping[str, Any],
    *,
    api_key: str | None,
    base_url: str | None,
    extra_headers: Mapping[str, str] | None,
) -> tuple[C, SamplingParams | None]:
    """Return the client given, or a new one of this ``kind``, and the parameters to open its stream with.

    The arguments are those of ``stream_chat``, whose options are checked here. A client that was given has
    parameters of its own, for which ``None`` stands.
    """
    check_names(options, "stream_chat", _OTHERS)
    if client is None:
        made = kind(
            checked_text("model_name", model_name),
            api_key=api_key,
            base_url=base_url,
            extra_headers=extra_headers,
            transport=_TRANSPORT,
        )
        return made, sampling_params
    checked_instance("client", client, kind)
    if (model_name, api_key, base_url, extra_headers) != (client.model, None, None, None):
        message = "with client=, give model_name as client.model, and no key, URL or headers"
        raise ValueError(message)
    return client, None if sampling_params is DEFAULT_PARAMS else sampling_params
