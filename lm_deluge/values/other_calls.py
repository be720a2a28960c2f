"""Calls that the client has to answer and that are no functions with JSON arguments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from attrs import field, frozen

from lm_deluge.values.conversation import Message
from lm_deluge.values.plain import plain_json
from lm_deluge.values.pydantic_schema import pydantic_schema

__all__ = ["OtherCall", "other_calls_in"]

#: What answers a call, where its name is not that of the call with ``_output`` behind it.
_ANSWERS: Final = {
    "mcp_approval_request": "mcp_approval_response",
    "tool_search_call": "tool_search_output",
    "custom_tool_call": "custom_tool_call_output",
}

#: The calls whose answer is no text, and what is.
_NO_TEXT: Final = {
    "mcp_approval_request": '{"approve": True}',
    "apply_patch_call": '{"status": "completed"}',
    "shell_call": '{"output": [{"stdout": "...", "stderr": "", "outcome": {...}}]}',
    "computer_call": '{"output": {"type": "computer_screenshot", "image_url": "data:..."}}',
    "tool_search_call": '{"tools": [...]}',
}


@frozen(kw_only=True)
class OtherCall:
    """A call of a custom tool, a shell, a patch, an approval, a tool search, of a computer.

    ``type``: the provider's word (``"custom_tool_call"``, ``"mcp_approval_request"``). ``id``: what an
    answer names it by, ``""`` if it has none. ``name``: of the tool, ``None`` where only the type says
    what it is. ``item``: all of it, as the provider has it.
    """

    type: str
    id: str = ""
    name: str | None = None
    item: dict[str, Any] = field(factory=dict, repr=False, hash=False)

    __get_pydantic_core_schema__ = classmethod(pydantic_schema)

    def answer(self, result: str | Mapping[str, Any]) -> Message:
        """Return the message that answers it, for ``conversation.add``.

        ``result``: a text, which is the ``output`` of a custom tool or a local shell; or the fields of the
        answer in the provider's words (``{"approve": True}``,
        ``{"output": [...], "max_output_length": 4096}``). Its type and the id of the call are put in
        where they are not given.

        Raises ``TypeError`` for what is neither, or holds what JSON cannot, and ``ValueError`` for a text
        where the answer is none.
        """
        given: Any = result
        if isinstance(given, str):
            if (form := _NO_TEXT.get(self.type)) is not None:
                raise ValueError(
                    f"the answer to a {self.type!r} is no text: give a dict like {form}"
                )
            given = {"output": given}
        elif not isinstance(given, Mapping):
            raise TypeError(f"the result must be a str or a dict, not {type(given).__name__}")
        key = "approval_request_id" if self.type == "mcp_approval_request" else "call_id"
        item = {"type": _ANSWERS.get(self.type, f"{self.type}_output"), key: self.id}
        item |= plain_json(given, "the result")
        text = item.get("output")
        return Message(
            "tool",
            text if isinstance(text, str) else None,
            tool_call_id=self.id,
            extra={"provider_content": {"dialect": "responses", "content": [item]}},
        )


def other_calls_in(extra: Mapping[str, Any]) -> list[OtherCall]:
    """Return the calls that stand among the fields of a choice."""
    items = extra.get("other_calls")
    return [_read(item) for item in (items if isinstance(items, list) else ()) if _is_call(item)]


def _is_call(item: object) -> bool:
    return isinstance(item, Mapping) and isinstance(item.get("type"), str)


def _read(item: Mapping[str, Any]) -> OtherCall:
    known = item.get("call_id") or item.get("id")
    name = item.get("name")
    return OtherCall(
        type=item["type"],
        id=known if isinstance(known, str) else "",
        name=name if isinstance(name, str) else None,
        item=dict(item),
    )
