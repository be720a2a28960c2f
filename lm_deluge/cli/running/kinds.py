"""The kinds of rows that people have, each known by its columns, and what each asks."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from attrs import evolve, frozen

from lm_deluge.cli.running.asked import ASKED, Row, RowAsks, columns_of
from lm_deluge.cli.running.bodies import body_of, gemini_of, params_of_anthropic
from lm_deluge.cli.running.foreign import from_contents, from_pairs, listed
from lm_deluge.cli.running.template import Template, paths_of
from lm_deluge.values.foreign import type_name
from lm_deluge.values.spelling import nearest

__all__ = ["KNOWN", "asked_by", "known_in"]

#: Columns that a row is asked by, as a message names them.
KNOWN: Final = ("prompt", "messages", "turns", "input", "body")

#: Columns that often hold the question, the likeliest first.
_LIKELY: Final = (
    "question", "query", "instruction", "problem", "text", "goal", "task", "user", "content",
    "sentence", "request",
)  # fmt: skip

#: What belongs behind a question of that name.
_BESIDE: Final = {"instruction": ("context", "input")}

_REFERENCE: Final = (
    "messages end with the assistant's (fine-tuning data): they are asked without that last message, "
    "which is kept as `reference`"
)


@frozen
class Kind:
    """``columns``: all are there, and the first is not empty; ``fits``: what it must hold beside."""

    columns: tuple[str, ...]
    ask: Callable[[Row], RowAsks]
    fits: Callable[[Any], bool] = lambda _: True


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _is_request(value: Any) -> bool:
    return isinstance(value, dict) and ("messages" in value or "input" in value)


def _is_list(value: Any) -> bool:
    return isinstance(value, list) or (isinstance(value, str) and value.lstrip()[:1] == "[")


def _prompt(row: Row) -> RowAsks:
    return _from_any(row["prompt"], "prompt")


def _from_messages(row: Row) -> RowAsks:
    return _without_answer(listed(row["messages"], "messages"), "messages")


def _from_turns(row: Row) -> RowAsks:
    given = row["turns"]
    if isinstance(given, str) and _is_list(given):
        try:
            given = json.loads(given)
        except (ValueError, RecursionError):
            raise ValueError('"turns" begins like a list and is not JSON') from None
    if isinstance(given, str):
        given = [given]
    if not isinstance(given, list):
        raise TypeError(f'"turns" must be a list of texts, not {type_name(given)}')
    first, *rest = [_turn(turn, index) for index, turn in enumerate(given)]
    return RowAsks(messages=[first], turns=rest, used=("turns",))


def _turn(turn: Any, index: int) -> dict[str, Any]:
    """Return what the user says in a turn: a text, or a message of the user's."""
    message = turn if isinstance(turn, dict) else {"role": "user", "content": turn}
    content = message.get("content")
    if message.get("role") != "user" or not isinstance(content, str | list):
        raise TypeError(
            f"turns[{index}] must be a text or the user's message, not {type_name(turn)}"
        )
    if not content or (isinstance(content, str) and not content.strip()):
        raise ValueError(f"turns[{index}] is empty")
    return message


def _input(row: Row) -> RowAsks:
    given = row["input"]
    if isinstance(given, dict):
        # Of datasets for preferences, and of HELM.
        inner = next((name for name in ("messages", "prompt", "text") if given.get(name)), None)
        if inner is None:
            raise ValueError(f'"input" has nothing to ask: its columns are {columns_of(given)}')
        tools = {"tools": given["tools"]} if given.get("tools") else {}
        return evolve(_from_any(given[inner], inner), used=("input",), options=tools)
    return _from_any(given, "input")


def _instruction(row: Row) -> RowAsks:
    texts = [row["instruction"], row["input"]]
    for name, text in zip(("instruction", "input"), texts, strict=True):
        if text is not None and not isinstance(text, str):
            raise TypeError(f'"{name}" must be a text, not {type_name(text)}')
    told = (
        "`instruction` and `input` are asked one below the other; "
        "--prompt '{instruction}\\n\\n{input}' makes it otherwise"
    )
    said = "\n\n".join(text for text in texts if text and text.strip())
    return RowAsks(messages=_user(said), used=("instruction", "input"), told=told)


def _pairs(name: str) -> Callable[[Row], RowAsks]:
    return lambda row: _without_answer(from_pairs(row[name], name), name)


def _contents(row: Row) -> RowAsks:
    system = row.get("systemInstruction", row.get("system_instruction"))
    asked = _without_answer(from_contents(system, row["contents"]), "contents")
    return evolve(asked, used=("contents", "systemInstruction", "system_instruction"))


#: In the order in which they are looked for.
_KINDS: Final = (
    Kind(("body", "custom_id"), body_of, _is_object),
    Kind(("body",), body_of, _is_request),
    Kind(("params", "custom_id"), params_of_anthropic, _is_object),
    Kind(("modelInput", "recordId"), params_of_anthropic, _is_object),
    Kind(("request",), gemini_of, lambda value: isinstance(value, dict) and "contents" in value),
    Kind(("prompt",), _prompt),
    Kind(("messages",), _from_messages),
    Kind(("turns",), _from_turns),
    Kind(("instruction", "input"), _instruction),
    Kind(("input",), _input),
    Kind(("conversations",), _pairs("conversations"), _is_list),
    Kind(("conversation",), _pairs("conversation"), _is_list),
    Kind(("contents",), _contents, _is_list),
)


def known_in(row: Row) -> Kind | None:
    """Return the kind of a row; ``None`` where there is nothing to ask without ``--prompt``."""
    for kind in _KINDS:
        first, *others = kind.columns
        if row.get(first) and all(name in row for name in others) and kind.fits(row[first]):
            return kind
    return None


def asked_by(row: Row, template: Template | None = None) -> RowAsks:
    """Return what a row asks; raises ``ValueError`` or ``TypeError`` saying why it asks nothing."""
    if template is not None:
        asked = RowAsks(messages=_user(template.filled(row)))
    elif (kind := known_in(row)) is not None:
        asked = kind.ask(row)
    else:
        raise ValueError(_nothing(row))
    own = {name: row[name] for name in ASKED if row.get(name) not in (None, "")}
    return evolve(asked, options={**own, **asked.options}) if own else asked


def _nothing(row: Row) -> str:
    """Say that there is nothing to ask, what there is, and how it can be asked."""
    empty = next((name for name in KNOWN if name in row and row[name] in ("", None, [], {})), None)
    if empty is not None:
        return f'"{empty}" is empty, and nothing else is there to ask: the columns are {columns_of(row)}'
    if not row:
        return "there is nothing to ask: the row is empty"
    near = [
        (name, found[0]) for name in row if (found := nearest(name.lower(), KNOWN, cutoff=0.75))
    ]
    spelled = "".join(f"; `{name}` is nearly `{known}`" for name, known in near[:1])
    likely = near[0][0] if near else _likely(row)
    return (
        f"there is nothing to ask: the columns are {columns_of(row)}, none of them `prompt`, "
        f"`messages`, `turns`, `input`, or `custom_id` with `body`{spelled}; "
        f"say what to ask: --prompt '{_shown_template(likely, row)}'"
    )


def _likely(row: Row) -> str:
    paths = paths_of(row)
    for name in _LIKELY:
        for path in paths:
            if path.rpartition(".")[2].lower() == name:
                return path
    texts = {name: value for name, value in row.items() if isinstance(value, str)}
    return max(texts, key=lambda name: len(texts[name])) if texts else next(iter(row))


def _shown_template(name: str, row: Row) -> str:
    beside = [f"{{{other}}}" for other in _BESIDE.get(name, ()) if row.get(other)]
    return "\\n\\n".join([f"{{{name}}}", *beside])


def _user(text: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": text}]


def _from_any(value: Any, name: str) -> RowAsks:
    """Return what a text, a list of messages or JSON of one asks."""
    if isinstance(value, list) or (isinstance(value, str) and _is_messages(value)):
        return _without_answer(listed(value, name), name)
    if not isinstance(value, str):
        raise TypeError(f'"{name}" must be a text or a list of messages, not {type_name(value)}')
    if not value.strip():
        raise ValueError(f'"{name}" is empty')
    return RowAsks(messages=_user(value), used=(name,))


def _is_messages(text: str) -> bool:
    """Whether a text is JSON of a list of messages, as a cell of a table holds them."""
    if not text.lstrip().startswith("[{") or '"role"' not in text:
        return False
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return all(isinstance(item, dict) and "role" in item for item in found)


def _without_answer(messages: list[dict[str, Any]], name: str) -> RowAsks:
    """Return what messages ask: the last one is the answer where it is the assistant's."""
    if not messages or messages[-1].get("role") != "assistant":
        return RowAsks(messages=messages, used=(name,))
    *asked, last = messages
    if not any(said.get("role") not in ("system", "developer") for said in asked):
        raise ValueError(f'there is nothing to ask: of "{name}", only the assistant says something')
    content = last.get("content")
    answer: Any = content if isinstance(content, str) and not last.get("tool_calls") else last
    # What is said of training alone, and no server takes.
    told = [{key: said[key] for key in said if key != "weight"} for said in asked]
    return RowAsks(messages=told, used=(name,), reference=answer, told=_REFERENCE)
