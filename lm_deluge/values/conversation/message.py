"""``Message``: one message of a conversation."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import attrs
from attrs import validators

from lm_deluge.values.conversation.calls import ToolCall
from lm_deluge.values.foreign import shown
from lm_deluge.values.plain import plain_fields, plain_text

__all__ = ["ROLES", "Attachment", "Content", "Image", "Message", "check_message", "list_of"]

ROLES = ("system", "developer", "user", "assistant", "tool", "function")
"""The roles that chat completions know."""

Content: TypeAlias = "str | list[dict[str, Any]] | None"
Image: TypeAlias = "str | bytes | os.PathLike[str]"
"""An image: its bytes, its path or its URL."""
Attachment: TypeAlias = "str | bytes | os.PathLike[str] | tuple[str, bytes]"
"""A file: its path, its URL, its bytes, or its name and bytes."""


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


def list_of(kind: type) -> Any:
    """Accepts a list of instances of a class."""
    return validators.deep_iterable(validators.instance_of(kind), validators.instance_of(list))


def _shown_content(content: object) -> str:
    if not isinstance(content, list):
        return repr(content)
    from lm_deluge.values.attachments.parts import shown_parts

    return shown_parts(content)


def _listed(content: Content) -> Content:
    given: Any = content
    return list(given) if isinstance(given, tuple) else plain_text(given)


_CALLS = list_of(ToolCall)
_OPTIONAL_TEXT = validators.optional(validators.instance_of(str))


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
    def user(
        cls,
        content: str | list[dict[str, Any]],
        images: Sequence[Image] = (),
        *,
        audio: Image | Sequence[Image] = (),
        files: Attachment | Sequence[Attachment] = (),
    ) -> Message:
        """A user message: text, or a list of OpenAI content parts (text, image_url, …).

        `images`, `audio` and `files` follow it: bytes, paths, which are read at once, or URLs; a file also
        as its name and bytes. What is an image or audio among the files goes as that. `audio` and `files`
        may be one or a list of them. Bytes say themselves what they are. TypeError or ValueError for
        what is none of a known format or has more than 100 MB, OSError for a file that cannot be read.
        Whether a model takes them, the request says before it is sent.
        """
        if content is None:
            raise TypeError("the user content must be a str or a list of content parts, not None")
        if not (_is_any(images) or _is_any(audio) or _is_any(files)):
            return cls("user", content)
        from lm_deluge.values.attachments.parts import content_with

        _check_content(content, "content")
        return cls("user", content_with(content, images, audio, files))

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
        check_message(message, "the message")
        rest = {k: v for k, v in message.items() if k not in ("role", "content")}
        fields: dict[str, Any] = {}
        for key in ("tool_call_id", "name", "refusal"):
            if isinstance(rest.get(key), str):
                fields[key] = rest.pop(key)
        if (calls := _read_calls(rest)) is not None:
            fields["tool_calls"] = calls
        fields["bare"] = "content" not in message
        return cls(message["role"], message.get("content"), extra=rest, **fields)


def _is_any(given: object) -> bool:
    """Whether something is to be attached; what it is, is looked at later."""
    return given is not None and not (isinstance(given, (tuple, list)) and len(given) == 0)


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


def check_message(message: object, where: str) -> None:
    """Raises TypeError or ValueError for what is no OpenAI message dict, naming where it stands."""
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
