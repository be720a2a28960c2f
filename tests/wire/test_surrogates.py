"""Characters that servers cut in two."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lm_deluge.wire.surrogates import join_surrogates, without_surrogates

HIGH, LOW = "\ud83d", "\ude00"
LONE = "\N{REPLACEMENT CHARACTER}"


def test_two_halves_become_their_character() -> None:
    assert join_surrogates(f"a{HIGH}{LOW}b") == ("a\N{GRINNING FACE}b", "")


def test_a_first_half_at_the_end_is_held_back() -> None:
    assert join_surrogates(f"a{HIGH}") == ("a", HIGH)
    assert join_surrogates(HIGH) == ("", HIGH)


def test_a_half_that_finds_no_other_becomes_a_replacement_character() -> None:
    assert join_surrogates(f"{HIGH}a") == (f"{LONE}a", "")
    assert join_surrogates(f"a{LOW}") == (f"a{LONE}", "")
    assert join_surrogates(f"{LOW}{HIGH}") == (LONE, HIGH)
    assert join_surrogates(f"{HIGH}{HIGH}{LOW}") == (f"{LONE}\N{GRINNING FACE}", "")


def test_text_without_halves_is_the_same_object() -> None:
    for text in ("", "abc", "é🤖"):
        assert join_surrogates(text)[0] is text


@given(st.text(st.sampled_from([HIGH, LOW, "a", "é", "🤖"])))
def test_whatever_comes_in_utf8_can_write_what_comes_out(text: str) -> None:
    joined, held = join_surrogates(text)
    joined.encode()
    assert held in ("", HIGH)
    # Halves are joined or replaced one by one; everything else is kept in order.
    assert [char for char in joined if char in "aé"] == [char for char in text if char in "aé"]


def test_a_json_value_is_mended_everywhere_but_where_text_comes_in_pieces() -> None:
    value = {
        "id": f"x{HIGH}",
        f"k{LOW}": [f"{HIGH}{LOW}", 1, None, 2.5, True],
        "delta": {"content": HIGH, "refusal": LOW, "arguments": f"a{HIGH}"},
        "content": [{"token": LOW, "text": HIGH}],
    }
    assert without_surrogates(value) == {
        "id": f"x{LONE}",
        f"k{LONE}": ["\N{GRINNING FACE}", 1, None, 2.5, True],
        "delta": {"content": HIGH, "refusal": LOW, "arguments": f"a{HIGH}"},
        "content": [{"token": LONE, "text": HIGH}],
    }
