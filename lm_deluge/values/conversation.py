"""What is said to a model: tool calls, messages, conversations, and the prompts made of them.

The shapes are those of OpenAI's chat completions. Whatever this module does not know (keys of other
vendors, content parts of new kinds) is carried through untouched.
"""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import attrs
from attrs import validators

from lm_deluge.values.foreign import shown
from lm_deluge.values.plain import plain_fields, plain_json, plain_text

ROLES = ("system", "developer", "user", "assistant", "tool", "function")
"""The roles that chat completions know."""

Content: TypeAlias = "str | list[dict[str, Any]] | None"
Image: TypeAlias = "str | bytes | os.PathLike[str]"
"""An image: its bytes, its path or its URL."""
Prompt: TypeAlias = "str | Message | Conversation | Sequence[Message | Mapping[str, Any]]"
"""What may be given as a prompt; see `to_messages`."""

_ACCEPTED = "a str, a Message, a Conversation or a list of OpenAI message dicts"


def _known_role(_: Any, __: Any, role: Any) -> None:
    if not isinstance(role, str):
        raise TypeError(f"role must be a str, not {type(role).__name__}")
    if role not in ROLES:
        raise ValueError(f"unknown role {shown(role, 60)}; accepted are {', '.join(ROLES)}")


def _check_content(content: object, where: str) -> None:
    if content is None or isinstance(content, str):
        return
    if not isinstance(content, list | tuple):
        accepted = "a str, a list of content parts (dicts) or None"
        raise TypeError(f"{where} must be {accepted}, not {type(content).__name__}")
    for index, part in enumerate(content):
        if not isinstance(part, Mapping):
            accepted = "a content part like {'type': 'text', 'text': …}"
            raise TypeError(f"{where}[{index}] must be {accepted}, not {type(part).__name__}")


def _list_of(kind: type) -> Any:
    return validators.deep_iterable(validators.instance_of(kind), validators.instance_of(list))


def _shown_content(content: object) -> str:
    if not isinstance(content, list):
        return repr(content)
    from lm_deluge.values.images import shown_parts

    return shown_parts(content)


def _listed(content: Content) -> Content:
    given: Any = content
    return list(given) if isinstance(given, tuple) else plain_text(given)


_KINDS = (("function", "arguments"), ("custom", "input"))
_OPTIONAL_TEXT = validators.optional(validators.instance_of(str))


@attrs.frozen(field_transformer=plain_fields)
class ToolCall:
    """A call that the model asks for.

    Attributes:
        id: the call's id, to answer it by; "" if the server gave it none, None for the legacy
            `function_call`.
        name: the function's name.
        arguments: raw JSON text exactly as the model wrote it, which need not be valid JSON; of a
            custom tool (`extra["type"]` is "custom") its input, which is any text.
        extra: keys of other vendors beside these, sent back untouched.
    """

    id: str | None = attrs.field(validator=_OPTIONAL_TEXT)
    name: str = attrs.field(validator=validators.instance_of(str))
    arguments: str = attrs.field(default="", validator=validators.instance_of(str))
    extra: dict[str, Any] = attrs.field(factory=dict, kw_only=True, repr=False, hash=False)

    def parsed(self) -> Any:
        """The arguments as Python values, `{}` for an empty text; a custom tool's input as it is.

        Raises:
            ValueError: the arguments are not JSON; the message names the call.
        """
        if self.extra.get("type") == "custom":
            return self.arguments
        if not self.arguments.strip():
            return {}
        try:
            return json.loads(self.arguments)
        except (ValueError, RecursionError) as error:
            raise ValueError(
                f"the arguments of tool call {self.id!r} to {self.name!r} are not JSON ({error}): "
                f"{shown(self.arguments, 60)}"
            ) from error

    def to_openai(self) -> dict[str, Any]:
        """The entry of a message's `tool_calls`."""
        extra = dict(self.extra)
        kind, text = _KINDS[self.extra.get("type") == "custom"]
        inner = {"name": self.name, text: self.arguments, **extra.pop(kind, {})}
        named = {} if self.id is None else {"id": self.id}
        return {**named, "type": kind, kind: inner, **extra}

    @classmethod
    def from_openai(cls, call: Mapping[str, Any]) -> ToolCall:
        """Reads an entry of `tool_calls`; the opposite of `to_openai`.

        Arguments that a server sent as an object become JSON text, null becomes "".

        Raises:
            TypeError, ValueError: it is neither a function call nor one of a custom tool.
        """
        if not isinstance(call, Mapping):
            raise TypeError(f"a tool call must be a dict, not {type(call).__name__}")
        kind, text = _KINDS[call.get("type") == "custom"]
        function = call.get(kind)
        if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
            raise ValueError(f"not a {kind} call: {shown(dict(call), 60)}")
        arguments = function.get(text)
        if arguments is None:
            arguments = ""
        elif not isinstance(arguments, str):
            arguments = json.dumps(arguments, ensure_ascii=False)
        extra = {k: v for k, v in call.items() if k not in ("id", "type", kind)}
        beside = {k: v for k, v in function.items() if k not in ("name", text)}
        if beside:
            extra[kind] = beside
        if kind == "custom":
            extra["type"] = "custom"
        return cls(call.get("id"), function["name"], arguments, extra=extra)


_CALLS = _list_of(ToolCall)


@attrs.define(field_transformer=plain_fields)
class Message:
    """One message of a conversation.

    `Message.system`, `.user`, `.ai` and `.tool` make the usual ones. Values are checked when they
    are set: ValueError for an unknown role, TypeError for content of a wrong type.

    Attributes:
        role: an OpenAI role, one of `ROLES`; what the model said is "assistant".
        content: text, a list of OpenAI content parts, or None.
        tool_calls: the calls that an assistant message asks for.
        tool_call_id: which call a tool message answers.
        name: the participant's name, optional.
        refusal: text of a refusal, which is no part of the content.
        extra: keys that this class does not know, sent untouched.
    """

    role: str = attrs.field(validator=_known_role)
    content: Content = attrs.field(
        default=None,
        converter=_listed,
        validator=lambda _, __, content: _check_content(content, "content"),
        repr=_shown_content,
    )
    tool_calls: list[ToolCall] = attrs.field(factory=list, kw_only=True, validator=_CALLS)
    tool_call_id: str | None = attrs.field(default=None, kw_only=True, validator=_OPTIONAL_TEXT)
    name: str | None = attrs.field(default=None, kw_only=True, validator=_OPTIONAL_TEXT)
    refusal: str | None = attrs.field(default=None, kw_only=True, validator=_OPTIONAL_TEXT)
    extra: dict[str, Any] = attrs.field(factory=dict, kw_only=True, repr=False)
    # Null and absent content are not the same to every server: which of the two a dict had.
    _bare: bool = attrs.field(default=False, kw_only=True, repr=False, eq=False)

    @classmethod
    def system(cls, text: str) -> Message:
        """A system message. Models that know it as "developer" get it so when it is sent."""
        return cls("system", _text(text, "the system text"))

    @classmethod
    def user(cls, content: str | list[dict[str, Any]], images: Sequence[Image] = ()) -> Message:
        """A user message: text, or a list of OpenAI content parts (text, image_url, …).

        `images` follow it: bytes, paths, which are read at once, or URLs. TypeError or ValueError for
        what is no image, OSError for a file that cannot be read.
        """
        if content is None:
            raise TypeError("the user content must be a str or a list of content parts, not None")
        if images == ():
            return cls("user", content)
        from lm_deluge.values.images import content_with

        _check_content(content, "content")
        return cls("user", content_with(content, images))

    @classmethod
    def ai(cls, text: str | None = None, tool_calls: Iterable[ToolCall] = ()) -> Message:
        """What the model said. Its role is "assistant", OpenAI's word for it."""
        calls = list(tool_calls)
        content = None if text is None and calls else _text(text, "the ai text")
        return cls("assistant", content, tool_calls=calls)

    @classmethod
    def tool(cls, call_id: str, text: str) -> Message:
        """The result of the tool call with the id `call_id`."""
        return cls("tool", _text(text, "the tool's result"), tool_call_id=_text(call_id, "call_id"))

    @property
    def completion(self) -> str:
        """The text of the message, of all its text parts joined; "" if there is none."""
        if isinstance(self.content, list):
            texts = (p.get("text") for p in self.content if p.get("type", "text") == "text")
            return "".join(text for text in texts if isinstance(text, str))
        return self.content or ""

    def to_openai(self) -> dict[str, Any]:
        """The message as chat completions take it: a new dict; parts are shared, not copied."""
        message: dict[str, Any] = {"role": self.role, "content": self.content}
        if self.content is None and self._bare:
            del message["content"]
        if len(self.tool_calls) == 1 and self.tool_calls[0].id is None:
            # Without an id nothing could answer it as a tool call: it came as a `function_call`.
            call = self.tool_calls[0]
            message["function_call"] = {"name": call.name, "arguments": call.arguments}
        elif self.tool_calls:
            message["tool_calls"] = [call.to_openai() for call in self.tool_calls]
        for key in ("tool_call_id", "name", "refusal"):
            if (value := getattr(self, key)) is not None:
                message[key] = value
        return {**self.extra, **message}

    @classmethod
    def from_openai(cls, message: Mapping[str, Any]) -> Message:
        """Reads an OpenAI message dict; `to_openai` gives it back, unknown keys included.

        Raises:
            TypeError: not a dict, or content of a wrong type.
            ValueError: no role, or an unknown one.
        """
        _check_message(message, "the message")
        rest = {k: v for k, v in message.items() if k not in ("role", "content")}
        fields: dict[str, Any] = {}
        for key in ("tool_call_id", "name", "refusal"):
            if isinstance(rest.get(key), str):
                fields[key] = rest.pop(key)
        if (calls := _read_calls(rest)) is not None:
            fields["tool_calls"] = calls
        fields["bare"] = "content" not in message
        return cls(message["role"], message.get("content"), extra=rest, **fields)


def _read_calls(rest: dict[str, Any]) -> list[ToolCall] | None:
    """Takes the calls out of `rest`; what is no function call stays there, to be sent verbatim."""
    try:
        if rest.get("tool_calls"):
            calls = [
                ToolCall.from_openai({**call, "id": "" if call.get("id") is None else call["id"]})
                for call in rest["tool_calls"]
            ]
            del rest["tool_calls"]
            return calls
        if isinstance(rest.get("function_call"), Mapping):
            calls = [ToolCall.from_openai({"function": rest["function_call"]})]
            if not calls[0].extra:
                del rest["function_call"]
                return calls
    except (TypeError, ValueError):
        pass
    return None


def _text(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{what} must be a str, not {type(value).__name__}")
    return value


@attrs.define(repr=False)
class Conversation:
    """Messages in order. `system`, `user`, `ai`, `tool` and `add` append in place and return self.

    Attributes:
        messages: a plain list, to read and to change (`conversation.messages.pop()`).
    """

    messages: list[Message] = attrs.field(factory=list, validator=_list_of(Message))

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
        self, content: str | list[dict[str, Any]], images: Sequence[Image] = ()
    ) -> Conversation:
        """Appends `Message.user(content, images)`: text or a list of OpenAI content parts."""
        return self.add(Message.user(content, images))

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
            _check_message(message, f"messages[{index}]")
        return cls([Message.from_openai(message) for message in given])

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


def _check_message(message: object, where: str) -> None:
    if not isinstance(message, Mapping):
        hint = ""
        if hasattr(message, "model_dump"):
            hint = "; of an openai object, give .model_dump(exclude_none=True)"
        accepted = "an OpenAI message dict or a Message"
        raise TypeError(f"{where} must be {accepted}, not {type(message).__name__}{hint}")
    role = message.get("role")
    if not isinstance(role, str) or role not in ROLES:
        given = f"role {shown(role, 60)}" if "role" in message else "no role"
        raise ValueError(f"{where} has {given}; accepted are {', '.join(ROLES)}")
    _check_content(message.get("content"), f"{where}['content']")


def _refused(prompt: object) -> TypeError:
    hint = ""
    if isinstance(prompt, bytes | bytearray):
        hint = "; decode it first: prompt.decode()"
    elif inspect.isawaitable(prompt):
        if inspect.iscoroutine(prompt):
            # Python would warn that it was never awaited, on top of the error that says so.
            prompt.close()
        hint = "; await it first"
    elif prompt is None:
        hint = "; a function that returns nothing may have made it"
    elif isinstance(prompt, Mapping):
        hint = "; put the message into a list"
    return TypeError(f"the prompt must be {_ACCEPTED}, not {type(prompt).__name__}{hint}")


def to_messages(prompt: Prompt) -> list[dict[str, Any]]:
    """The OpenAI message dicts of a prompt; nothing of what was given is changed.

    Arguments:
        prompt: text (one user message), a `Message`, a `Conversation`, or a list of OpenAI message
            dicts, which pass verbatim, or of `Message`s.

    Raises:
        TypeError: anything else, content that is neither text nor a list of parts, or a value that
            JSON cannot hold.
        ValueError: an empty text, no messages, an unknown role, or text that is not Unicode.
    """
    if isinstance(prompt, str):
        if not prompt.strip():
            raise ValueError("the prompt is empty")
        messages: list[dict[str, Any]] = [{"role": "user", "content": prompt}]
    elif isinstance(prompt, Message):
        messages = [prompt.to_openai()]
    elif isinstance(prompt, Conversation):
        messages = prompt.to_openai()
    elif isinstance(prompt, list | tuple):
        messages = []
        for index, item in enumerate(prompt):
            if isinstance(item, Message):
                messages.append(item.to_openai())
            else:
                _check_message(item, f"messages[{index}]")
                messages.append(dict(item))
    else:
        raise _refused(prompt)
    if not messages:
        raise ValueError("the prompt has no messages")
    plain: list[dict[str, Any]] = plain_json(messages, "messages")
    return plain
