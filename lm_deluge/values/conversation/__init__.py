"""What is said to a model: tool calls, messages, conversations, and the prompts made of them.

The shapes are those of OpenAI's chat completions. Whatever these modules do not know (keys of other
vendors, content parts of new kinds) is carried through untouched.
"""

from lm_deluge.values.conversation.calls import ToolCall
from lm_deluge.values.conversation.conversation import Conversation
from lm_deluge.values.conversation.message import ROLES, Attachment, Content, Image, Message
from lm_deluge.values.conversation.prompts import Prompt, to_messages

__all__ = [
    "ROLES",
    "Attachment",
    "Content",
    "Conversation",
    "Image",
    "Message",
    "Prompt",
    "ToolCall",
    "to_messages",
]
