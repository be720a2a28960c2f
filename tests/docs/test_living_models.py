"""What is shown to users names models that are served for a while yet."""

from __future__ import annotations

import re
from datetime import date, timedelta
from pathlib import Path

import pytest

from lm_deluge.cli.options import DEFAULT_MODEL
from lm_deluge.dialects.chat.dialect import _HINTS
from lm_deluge.models.listed import last_day_of
from lm_deluge.models.names import model_data
from lm_deluge.models.resolving import resolve_model
from lm_deluge.models.retiring import NOTICE
from support.pages import PAGES
from support.programs import ROOT

#: When what is shown is given to users.
RELEASED = date(2026, 11, 27)

#: Programs of the streaming page, which keep their names (`test_examples`).
KEPT = {
    *("basic_streaming.py", "conversation_streaming.py", "custom_processing.py"),
    *("chat_loop.py", "collecting.py", "error_handling.py"),
}

SHOWN = (
    *PAGES,
    *sorted((ROOT / "docs" / "guide").glob("*.py")),
    *sorted(path for path in (ROOT / "examples").rglob("*.py") if path.name not in KEPT),
    *(ROOT / "lm_deluge" / name for name in ("cli/demo.py", "simulator/server.py")),
)


def names_in(text: str) -> set[str]:
    """Names of listed models whose provider has named their last day and it is near; not of their kin."""
    going = set()
    for provider, dialect in (("OpenAI", "chat"), ("Anthropic", "messages"), ("Google", "gemini")):
        for name in model_data()["models"][provider]:
            last = last_day_of(name, dialect)
            if last is not None and last - RELEASED < timedelta(days=NOTICE):
                going.add(name)
    words = re.findall(r"[A-Za-z0-9][\w.-]*\w", text)
    return {word for word in words if re.sub(r"-(\d{4}-\d\d-\d\d|\d{8})$", "", word) in going}


@pytest.mark.parametrize("page", SHOWN, ids=lambda path: path.name)
def test_a_page_names_models_that_live(page: Path) -> None:
    text = page.read_text("utf-8")
    # What is said of a model that has gone is said of that one.
    text = re.sub(r"`Hint: [^`]*`", "", text)
    assert names_in(text) == set()


def test_a_name_that_goes_is_found_and_one_that_looks_like_it_is_not() -> None:
    assert names_in('LLMClient("gpt-4o")') == {"gpt-4o"}
    assert names_in("-m gpt-5-2025-08-07, or `anthropic:claude-sonnet-4-5`.") == {
        "gpt-5-2025-08-07",
        "claude-sonnet-4-5",
    }
    assert names_in("gpt-4o-ours, gpt-5.4-nano, my-gpt-4o") == set()


def test_the_commands_ask_a_model_that_lives_and_takes_their_options() -> None:
    assert names_in(DEFAULT_MODEL) == set()
    info = resolve_model(DEFAULT_MODEL, base_url=None, env_base_url=None)
    assert info.origin == "builtin"
    assert info.takes("temperature")
    assert info.takes_effort("high")


def test_hints_name_models_that_live() -> None:
    assert [names_in(hint) for _, hint in _HINTS] == [set()] * len(_HINTS)
