"""The streaming layer for LLM answers: tokens as they arrive, observers, and timelines."""

from pathlib import Path as _Path

from lm_deluge._version import __version__
from lm_deluge._version import warn_of_namesake as _warn_of_namesake
from lm_deluge.client import LLMClient
from lm_deluge.config import Limits, RetryPolicy, SamplingParams, Timeouts
from lm_deluge.conversation import Conversation, Message, ToolCall
from lm_deluge.handlers import Attachment, StreamHandler, attach
from lm_deluge.models import register_model
from lm_deluge.payloads import Delta, HandlerFailure, Retry, Token
from lm_deluge.response import APIResponse, Choice, FailedAttempt, Partial, Usage
from lm_deluge.stream import Stream

__all__ = [
    "APIResponse",
    "Attachment",
    "Choice",
    "Conversation",
    "Delta",
    "FailedAttempt",
    "HandlerFailure",
    "LLMClient",
    "Limits",
    "Message",
    "Partial",
    "Retry",
    "RetryPolicy",
    "SamplingParams",
    "Stream",
    "StreamHandler",
    "Timeouts",
    "Token",
    "ToolCall",
    "Usage",
    "__version__",
    "attach",
    "register_model",
]

_warn_of_namesake(str(_Path(__file__).parent.parent))
