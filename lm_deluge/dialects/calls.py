"""Calls of a conversation as an API takes them.

A model may call what is no name, which goes back to it with the result, and ids come from other servers:
either is refused, and with it every further request of the conversation.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from attrs import frozen

__all__ = ["UNSIGNED", "as_taken"]

#: What says in the place of a signature of Gemini's that the call is not as the model made it.
UNSIGNED: Final = "skip_thought_signature_validator"

#: What a call is called that has no letter which an API takes.
_NAMELESS: Final = "unnamed"

#: The most characters of a name that is made.
_MOST: Final = 64

#: Kinds of blocks and items, as a provider says them, that are calls.
_CALLING: Final = ("tool_use", "function_call", "custom_tool_call")

#: Hosts of chat completions that refuse an id for its length; others take what they or a proxy gave.
_OPENAIS: Final = ("openai.com", ".azure.com")


@frozen
class _CallRules:
    """What an API takes. ``others``: what a name cannot hold, nor begin with if ``begins``."""

    names: re.Pattern[str]
    ids: re.Pattern[str]
    longest: int
    others: re.Pattern[str] = re.compile(r"[^a-zA-Z0-9_-]+")
    begins: re.Pattern[str] | None = None


_OPENAI_NAMES: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_RULES: Final = {
    "chat": _CallRules(_OPENAI_NAMES, re.compile(r"(?s:.{1,40})"), 40),
    "responses": _CallRules(_OPENAI_NAMES, re.compile(r"(?s:.{1,64})"), 64),
    "messages": _CallRules(
        re.compile(r"[a-zA-Z0-9_-]{1,128}"), re.compile(r"[a-zA-Z0-9_-]{1,512}"), 512
    ),
    "gemini": _CallRules(
        re.compile(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,127}"),
        re.compile(r"(?s:.+)"),
        512,
        re.compile(r"[^a-zA-Z0-9_.:-]+"),
        re.compile(r"[^a-zA-Z_]"),
    ),
}


def as_taken(
    messages: Sequence[Mapping[str, Any]],
    dialect: str,
    endpoint: str,
    origins: Sequence[bool | None],
    tools: Iterable[Any],
) -> Sequence[Mapping[str, Any]]:
    """Return the messages with names and ids of calls that the API takes, each result with its call's.

    What it takes stays as it is. ``origins``: for each message whether it came from this endpoint, ``None``
    where that is not known; an own id is taken back. ``tools``: a name that is declared is taken.
    """
    if not any(message.get("tool_calls") for message in messages):
        return messages
    taken = _SentCalls(_RULES[dialect], messages, tools)
    host = endpoint.partition(":")[0]
    lenient = dialect == "chat" and bool(host) and not host.endswith(_OPENAIS)
    return [
        taken.message(message, keeps_id=own or (own is None and lenient))
        for message, own in zip(messages, origins, strict=True)
    ]


class _SentCalls:
    """The names and ids of one conversation, each with what stands for it."""

    def __init__(
        self, rules: _CallRules, messages: Sequence[Mapping[str, Any]], tools: Iterable[Any]
    ) -> None:
        self._rules = rules
        self._tools = tools
        self._names: dict[str, str] = {}
        self._declared: set[str] | None = None
        given = [call.get("id") for message in messages for call in _calls_of(message)]
        #: What each id that is sent stands for.
        self._sent = {known: known for known in given if isinstance(known, str)}
        self._ids: dict[str, str] = {}

    def message(self, message: Mapping[str, Any], *, keeps_id: bool) -> Mapping[str, Any]:
        """Return a message as it is taken; the same where nothing has to be changed."""
        changed: dict[str, Any] = {}
        if message.get("role") == "tool":
            known = message.get("tool_call_id")
            if isinstance(known, str) and self._ids.get(known, known) != known:
                changed["tool_call_id"] = self._ids[known]
            if isinstance(name := message.get("name"), str) and self._name(name) != name:
                changed["name"] = self._name(name)
        elif isinstance(calls := message.get("tool_calls"), list) and calls:
            told = [self._call(call, keeps_id=keeps_id) for call in calls]
            if any(new is not call for new, call in zip(told, calls, strict=True)):
                changed["tool_calls"] = told
            came = message.get("provider_content")
            content = came.get("content") if isinstance(came, Mapping) else None
            if isinstance(came, Mapping) and isinstance(content, list):
                changed["provider_content"] = {**came, "content": [*map(self._block, content)]}
        return {**message, **changed} if changed else message

    def _call(self, call: Any, *, keeps_id: bool) -> Any:
        kind = (
            "custom" if isinstance(call, Mapping) and call.get("type") == "custom" else "function"
        )
        called = call.get(kind) if isinstance(call, Mapping) else None
        if not isinstance(called, Mapping) or not isinstance(called.get("name"), str):
            return call  # whoever writes it says what is wrong
        changed: dict[str, Any] = {}
        if (name := self._name(called["name"])) != called["name"]:
            changed = {kind: {**called, "name": name}, **_unsigned(call)}
        known = call.get("id")
        if isinstance(known, str) and known:
            self._ids[known] = known if keeps_id else self._id(known)
            if self._ids[known] != known:
                changed["id"] = self._ids[known]
        return {**call, **changed} if changed else call

    def _block(self, block: Any) -> Any:
        """Return a block, an item or a part of an answer as it came, but for the name in it."""
        if not isinstance(block, Mapping):
            return block
        call = block.get("functionCall")
        called = call if isinstance(call, Mapping) else block
        if called is block and block.get("type") not in _CALLING:
            return block
        name = called.get("name")
        if not isinstance(name, str) or self._name(name) == name:
            return block
        named = {**called, "name": self._name(name)}
        if called is block:
            return named
        return {**block, "functionCall": named, **_unsigned(block)}

    def _name(self, name: str) -> str:
        found = self._names.get(name)
        if found is None:
            is_taken = self._rules.names.fullmatch(name) or name in self._all_declared()
            found = self._names[name] = name if is_taken else _named(name, self._rules)
        return found

    def _all_declared(self) -> set[str]:
        if self._declared is None:
            from lm_deluge.tools.names import names_in

            self._declared = {
                name for tool in self._tools if isinstance(tool, Mapping) for name in names_in(tool)
            }
        return self._declared

    def _id(self, known: str) -> str:
        rules = self._rules
        if rules.ids.fullmatch(known):
            return known
        made = re.sub(r"[^a-zA-Z0-9_-]", "_", known)
        if len(made) > rules.longest or self._sent.get(made, known) != known:
            from zlib import crc32

            # The same in every request, as what was asked before is found by providers again.
            mark = f"_{crc32(known.encode('utf-8', 'surrogatepass')):08x}"
            made = made[: rules.longest - len(mark)] + mark
        self._sent[made] = known
        return made


def _named(name: str, rules: _CallRules) -> str:
    """Return a name that is taken and looks like this one."""
    from unicodedata import combining, normalize

    letters = "".join(each for each in normalize("NFKD", name) if not combining(each))
    said = rules.others.sub("_", letters).strip("_") or _NAMELESS
    if rules.begins is not None and rules.begins.match(said):
        said = f"_{said}"
    return said[:_MOST]


def _unsigned(call: Mapping[str, Any]) -> dict[str, Any]:
    """Return what replaces the signature of a call that is named otherwise than when it was signed."""
    changed: dict[str, Any] = {}
    if "thoughtSignature" in call:
        changed["thoughtSignature"] = UNSIGNED
    beside = call.get("extra_content")
    google = beside.get("google") if isinstance(beside, Mapping) else None
    if (
        isinstance(beside, Mapping)
        and isinstance(google, Mapping)
        and "thought_signature" in google
    ):
        signed = {**google, "thought_signature": UNSIGNED}
        changed["extra_content"] = {**beside, "google": signed}
    return changed


def _calls_of(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    calls = message.get("tool_calls")
    return [call for call in calls if isinstance(call, Mapping)] if isinstance(calls, list) else []
