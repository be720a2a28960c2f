"""``Conversation``: messages in order."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from lm_deluge.values.checks import checked_flag, checked_integer, checked_text
from lm_deluge.values.conversation.calls import ToolCall
from lm_deluge.values.conversation.message import (
    Attachment,
    Image,
    Message,
    check_message,
    list_of,
)
from lm_deluge.values.foreign import shown

if TYPE_CHECKING:
    from lm_deluge.values.conversation.counting import TokenCount

__all__ = ["Conversation"]


@attrs.define(repr=False)
class Conversation:
    """Messages in order. `system`, `user`, `ai`, `tool` and `add` append in place and return self.

    Attributes:
        messages: a plain list, to read and to change (`conversation.messages.pop()`).
    """

    messages: list[Message] = attrs.field(factory=list, validator=list_of(Message))

    def add(self, message: Message) -> Conversation:
        """Appends a message. TypeError for anything else."""
        given: Any = message
        if not isinstance(given, Message):
            hint = ""
            if isinstance(getattr(given, "content", None), Message):
                hint = "; an answer goes in with add(response.content)"
            elif isinstance(given, str):
                hint = "; a text goes in with .user(text) or .system(text)"
            elif isinstance(given, Mapping):
                hint = "; an OpenAI message dict goes in with add(Message.from_openai(message))"
            raise TypeError(f"add() takes a Message, not {type(given).__name__}{hint}")
        self.messages.append(message)
        return self

    def system(self, text: str) -> Conversation:
        """Appends `Message.system(text)`."""
        return self.add(Message.system(text))

    def user(
        self,
        content: str | list[dict[str, Any]],
        images: Sequence[Image] = (),
        *,
        audio: Image | Sequence[Image] = (),
        files: Attachment | Sequence[Attachment] = (),
    ) -> Conversation:
        """Appends `Message.user(…)`: text or a list of OpenAI content parts, images, audio and files."""
        return self.add(Message.user(content, images, audio=audio, files=files))

    def ai(self, text: str | None = None, tool_calls: Iterable[ToolCall] = ()) -> Conversation:
        """Appends `Message.ai(text, tool_calls)`."""
        return self.add(Message.ai(text, tool_calls))

    def tool(self, call_id: str, text: str) -> Conversation:
        """Appends `Message.tool(call_id, text)`."""
        return self.add(Message.tool(call_id, text))

    def to_openai(self) -> list[dict[str, Any]]:
        """The messages as chat completions take them."""
        return [message.to_openai() for message in self.messages]

    @classmethod
    def from_openai(cls, messages: Iterable[Mapping[str, Any]]) -> Conversation:
        """Reads a list of OpenAI message dicts; errors as `to_messages` raises them."""
        if isinstance(messages, str | bytes | Mapping) or not isinstance(messages, Iterable):
            raise TypeError(f"not a list of message dicts: {type(messages).__name__}")
        given = list(messages)
        for index, message in enumerate(given):
            check_message(message, f"messages[{index}]")
        return cls([Message.from_openai(message) for message in given])

    def to_json(self, *, indent: int | None = None) -> str:
        """The conversation as JSON text, for `from_json`: nothing is lost.

        Tool calls and results, images and files, signatures, encrypted reasoning and whatever else of one
        provider. `indent`: as of `json.dumps`.

        Raises:
            TypeError, ValueError: it holds what JSON cannot; the message names where.
        """
        from lm_deluge.values.conversation.as_json import text_of

        return text_of(self.messages, checked_integer("indent", indent, 0, 16, optional="one line"))

    @classmethod
    def from_json(cls, text: str | bytes) -> Conversation:
        """Reads what `to_json` wrote, or the JSON of a list of OpenAI message dicts.

        Raises:
            TypeError: no text.
            ValueError: no JSON, of a newer version, or no messages; the message names the place.
        """
        from lm_deluge.values.conversation.as_json import messages_in

        return cls(messages_in(text))

    def copy(self) -> Conversation:
        """The same messages, copied with all that is in them: neither hears of what is done to the other."""
        return self.fork()

    def fork(self, at: int | None = None) -> Conversation:
        """The conversation up to the message at `at`, without it, as a copy that goes on by itself.

        `at` counts as in a slice: `fork(3)` has the first three messages, `fork(-1)` all but the last,
        to ask the same anew; `None`: all of them.
        """
        most = len(self.messages)
        end = checked_integer("at", at, -most, most, optional="all of them")
        return type(self)(copy.deepcopy(self.messages[:end]))

    @property
    def chars(self) -> int:
        """Characters of text in all messages, as `stream.prompt_chars` counts them."""
        from lm_deluge.values.prompt_facts import PromptFacts

        return PromptFacts(self.to_openai()).chars

    def count_tokens(
        self, model: str | None = None, *, tools: Sequence[Mapping[str, Any]] | None = None
    ) -> TokenCount:
        """About how many tokens it has as a prompt: a number, whose `by` says how it was counted.

        By tiktoken where it is installed (the extra `tokens`) and has its tables, in the encoding of the
        model, "o200k_base" for models that it does not know; else by a rule of thumb. Images, audio
        and files are estimated. docs/conversations.md has the rules.

        Arguments:
            model: the name of an OpenAI model, as a client takes it; None: a recent one.
            tools: what goes with it, as in OpenAI's API.
        """
        from lm_deluge.values.conversation.counting import TokenCounter

        return TokenCounter(_model(model)).prompt(self.messages, tools)

    def trimmed(
        self,
        max_tokens: int,
        *,
        model: str | None = None,
        keep_system: bool = True,
        tools: Sequence[Mapping[str, Any]] | None = None,
    ) -> Conversation:
        """A copy that has at most `max_tokens`, as `count_tokens` counts them; this one stays as it is.

        One that fits stays whole. Else whole turns go, the oldest first, so that what is left begins
        with a message of the user; if one turn alone is too much, its question stays and the oldest
        rounds of its calls go. No call is parted from its results, and results that nothing asked for
        go.

        Arguments:
            max_tokens: the model's context window, less what the answer may take.
            model, tools: as of `count_tokens`.
            keep_system: whether system messages stay, wherever they are.

        Raises:
            ValueError: the last turn does not fit with what is kept; the message has the numbers.
        """
        from lm_deluge.values.conversation.counting import TokenCounter
        from lm_deluge.values.conversation.trimming import trimmed_messages

        kept = trimmed_messages(
            self.messages,
            checked_integer("max_tokens", max_tokens, 1),
            TokenCounter(_model(model)),
            keep_system=checked_flag("keep_system", keep_system),
            tools=tools,
        )
        return type(self)(copy.deepcopy(kept))

    def __len__(self) -> int:
        return len(self.messages)

    def __bool__(self) -> bool:
        # `if conversation:` asks whether there is one; an empty one must not vanish that way.
        return True

    def __iter__(self) -> Iterator[Message]:
        return iter(self.messages)

    def __repr__(self) -> str:
        said = ", ".join(f"{m.role}: {shown(m.completion, 40)}" for m in self.messages)
        return f"Conversation([{said}])"


def _model(model: str | None) -> str | None:
    checked: str | None = checked_text("model", model, optional=True)
    return checked
