"""The streaming layer for LLM answers: tokens as they arrive, observers, and timelines."""

import typing as _typing
from pathlib import Path as _Path

from lm_deluge._version import __version__
from lm_deluge._version import warn_of_namesake as _warn_of_namesake
from lm_deluge.client.client import LLMClient
from lm_deluge.client.options import ChatOptions, ManyOptions, StreamOptions, ToolsOptions
from lm_deluge.config import Limits, RetryPolicy, SamplingParams, Timeouts
from lm_deluge.models.registry import register_model
from lm_deluge.observers.attach import Attachment, attach
from lm_deluge.observers.retry import Retry
from lm_deluge.observers.stream import Stream
from lm_deluge.observers.stream_handler import StreamHandler
from lm_deluge.values.conversation import Conversation, Message, ToolCall
from lm_deluge.values.failures import HandlerFailure
from lm_deluge.values.pieces import Delta, Token
from lm_deluge.values.redaction import Redactor
from lm_deluge.values.response import APIResponse, Choice, FailedAttempt, Partial
from lm_deluge.values.usage import Usage

if _typing.TYPE_CHECKING:
    from lm_deluge import sync as sync
    from lm_deluge.observers.objects import Objects
    from lm_deluge.observers.stream_request import StreamRequest
    from lm_deluge.tools.tool import Tool
    from lm_deluge.values.growth import Growth
    from lm_deluge.values.other_calls import OtherCall
    from lm_deluge.values.rounds import Round, ToolResult, ToolsResponse

__all__ = [
    "APIResponse",
    "Attachment",
    "ChatOptions",
    "Choice",
    "Conversation",
    "Delta",
    "FailedAttempt",
    "Growth",
    "HandlerFailure",
    "LLMClient",
    "Limits",
    "ManyOptions",
    "Message",
    "Objects",
    "OtherCall",
    "Partial",
    "Redactor",
    "Retry",
    "RetryPolicy",
    "Round",
    "SamplingParams",
    "Stream",
    "StreamHandler",
    "StreamOptions",
    "StreamRequest",
    "Timeouts",
    "Token",
    "Tool",
    "ToolCall",
    "ToolResult",
    "ToolsOptions",
    "ToolsResponse",
    "Usage",
    "__version__",
    "attach",
    "register_model",
]

_warn_of_namesake(str(_Path(__file__).parent.parent))


def __getattr__(name: str) -> _typing.Any:
    # Few programs need them: they are made when they are asked for.
    if name == "sync":
        import lm_deluge.sync

        return lm_deluge.sync
    if name == "OtherCall":
        from lm_deluge.values import other_calls

        return other_calls.OtherCall
    if name == "StreamRequest":
        from lm_deluge.observers import stream_request

        return stream_request.StreamRequest
    if name == "Tool":
        from lm_deluge.tools import tool

        return tool.Tool
    if name in ("Round", "ToolResult", "ToolsResponse"):
        from lm_deluge.values import rounds

        return getattr(rounds, name)
    if name == "Growth":
        from lm_deluge.values import growth

        return growth.Growth
    if name == "Objects":
        from lm_deluge.observers import objects

        return objects.Objects
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
