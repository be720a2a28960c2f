"""Names of functions and ids of calls, as each service takes them: what is declared, and what went back."""

from __future__ import annotations

import re
from typing import Any, Final

from lm_deluge.simulator.checks.refusals import Refused, bad_request, missing

__all__ = [
    "CHAT_ID",
    "RESPONSES_ID",
    "check_claude_id",
    "check_claude_name",
    "check_gemini_name",
    "check_openai_id",
    "check_openai_name",
]

#: Characters of an id, as messages of chat completions and items of Responses have it.
CHAT_ID: Final = 40
RESPONSES_ID: Final = 64

_OPENAI_NAME: Final = 64
_OPENAI: Final = re.compile(r"[a-zA-Z0-9_-]+")
_CLAUDE_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_CLAUDE_ID: Final = re.compile(r"[a-zA-Z0-9_-]+")
_GEMINI: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,127}")


def check_openai_name(name: Any, path: str) -> str:
    """Return the name of a function. Raises `Refused` (400) for one that is none."""
    if not isinstance(name, str):
        raise missing(path)
    _check_length(name, path, _OPENAI_NAME)
    if _OPENAI.fullmatch(name) is None:
        raise bad_request(
            f"Invalid '{path}': string does not match pattern. Expected a string that matches the "
            "pattern '^[a-zA-Z0-9_-]+$'.",
            path,
            "invalid_value",
        )
    return name


def check_openai_id(known: Any, path: str, most: int) -> str:
    """Return the id of a call. Raises `Refused` (400) for one that is none, or too long."""
    if not isinstance(known, str):
        raise missing(path)
    _check_length(known, path, most)
    return known


def _check_length(text: str, path: str, most: int) -> None:
    if not text:
        raise bad_request(
            f"Invalid '{path}': empty string. Expected a string with minimum length 1, but got an "
            "empty string instead.",
            path,
            "empty_string",
        )
    if len(text) > most:
        raise bad_request(
            f"Invalid '{path}': string too long. Expected a string with maximum length {most}, but "
            f"got a string with length {len(text)} instead.",
            path,
            "string_above_max_length",
        )


def check_claude_name(name: Any, where: str) -> None:
    """Raises `Refused` (400) for what Messages takes for no name of a tool."""
    _check_pattern(name, where, _CLAUDE_NAME)


def check_claude_id(known: Any, where: str) -> None:
    """Raises `Refused` (400) for what Messages takes for no id of a call."""
    _check_pattern(known, where, _CLAUDE_ID)


def _check_pattern(text: Any, where: str, pattern: re.Pattern[str]) -> None:
    if not isinstance(text, str):
        raise Refused(400, f"{where}: Input should be a valid string")
    if pattern.fullmatch(text) is None:
        raise Refused(400, f"{where}: String should match pattern '^{pattern.pattern}$'")


def check_gemini_name(name: Any, where: str) -> str:
    """Return the name of a function. Raises `Refused` (400) for what Gemini takes for none."""
    if not isinstance(name, str) or _GEMINI.fullmatch(name) is None:
        raise Refused(
            400,
            f"* GenerateContentRequest.{where}.name: Invalid function name. Must start with a letter "
            "or an underscore. Must be alphameric (a-z, A-Z, 0-9), underscores (_), dots (.), colons "
            "(:), or dashes (-), with a maximum length of 128.",
        )
    return name
