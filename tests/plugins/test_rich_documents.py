"""Markdown that is drawn while it grows ends as Markdown that is drawn once."""

from __future__ import annotations

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from support.markdown import Drawn, cut, whole

WORDS = st.sampled_from(
    "a word **bold** *em* `code` [x](https://example.com) ~~no~~ 漢字 かな 🤖 é e\u0301 "
    "&amp; <b> List<String> 1. - * # > | --- === ``` ~~~ !  \\ _ __ ** [a] : שלום".split(" ")
)
LINE = st.lists(WORDS, max_size=7).map(" ".join)
BLOCK = st.one_of(
    LINE,
    st.just(""),
    LINE.map("# {}".format),
    LINE.map("- {}".format),
    LINE.map("  - {}".format),
    LINE.map(" * {}".format),
    st.builds("{}. {}".format, st.sampled_from([1, 2, 7, 9, 10]), LINE),
    LINE.map("    {}".format),
    LINE.map("   {}".format),
    LINE.map("> {}".format),
    LINE.map(">> {}".format),
    LINE.map("| {} | b |".format),
    st.sampled_from(
        "===|---|- - -|***|```|```py|~~~|   ```|```` x|- ```|> ```|-|1.|#|\\".split("|")
        + "|---|:-:|@| a | b |\n|---|---|@x = [1, 2@'''doc@\t tab@a\\@a  ".split("@")
    ),
)
TEXTS = st.lists(BLOCK, max_size=25).map("\n".join)
CUTS = st.lists(st.integers(1, 40), max_size=30)


GIVEN = given(TEXTS, CUTS, st.integers(10, 90), st.integers(2, 30))


def stands_there_once(text: str, sizes: list[int], width: int, height: int) -> None:
    assert Drawn(width, height).all(cut(text, sizes)) == whole(text, width)


@settings(max_examples=60, deadline=None, phases=[Phase.explicit, Phase.generate])
@GIVEN
def test_at_the_end_the_whole_text_stands_there_once(
    text: str, sizes: list[int], width: int, height: int
) -> None:
    stands_there_once(text, sizes, width, height)


@pytest.mark.slow
@settings(max_examples=1500, deadline=None)
@GIVEN
def test_so_do_many_more(text: str, sizes: list[int], width: int, height: int) -> None:
    stands_there_once(text, sizes, width, height)


LONG = {
    "paragraph": "word " * 20_000,
    "code": "```py\n" + "value = 1  # words\n" * 5_500,
    "bullets": "".join(f"- item {number} of many\n" for number in range(5_000)),
    "numbers": "".join(f"{number}. item of many\n" for number in range(1, 6_000)),
    "table": "| a | b |\n|---|---|\n" + "| one | two words |\n" * 5_000,
    "quote": "> a quoted line\n" * 6_000,
    "paragraphs": "A paragraph of words.\n\n" * 4_500,
    "brackets": "[" * 100_000,
}


@pytest.mark.parametrize(
    "block",
    [
        pytest.param(block, id=name, marks=[pytest.mark.slow] if name != "paragraph" else [])
        for name, block in LONG.items()
    ],
)
def test_a_long_answer_costs_what_its_length_says(block: str) -> None:
    """Each look draws a bounded end, however long the answer is; all else is drawn about once."""
    drawn = Drawn(80, 24, emulated=False)
    looks = 0
    for at in range(0, len(block), 2_000):
        drawn.feed(block[at : at + 2_000])
        looks += 1
    drawn.draw(final=True)
    # Of a table or quote the end is seen while it grows: at most twice _SHORT at each look.
    assert drawn.painter.drawn < len(block) + looks * 8_192
    assert drawn.document.parsed < 9 * len(block) + looks * 8_192
