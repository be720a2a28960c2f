"""``trimmed`` and what counts for it: whole turns go, and what is left can be sent."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_deluge import Conversation, Message, OtherCall, ToolCall
from lm_deluge.values.conversation import counting


@pytest.fixture(autouse=True)
def estimates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts do not depend on what is installed."""
    monkeypatch.setattr(counting, "_encoding_name", lambda model: None)


def called(*ids: str) -> Message:
    return Message.ai(None, [ToolCall(known, "look", "{}") for known in ids])


def words(conversation: Conversation) -> list[str]:
    return [message.completion or message.role for message in conversation]


LONG = "word " * 60


def long_talk() -> Conversation:
    talk = Conversation().system("Be brief.")
    for number in range(5):
        talk.user(f"{number} {LONG}").ai(f"answer {number}")
    return talk


def test_what_fits_stays_whole_and_the_first_is_never_changed() -> None:
    talk = long_talk()
    assert talk.trimmed(talk.count_tokens()) == talk
    before = talk.copy()
    short = talk.trimmed(200)
    assert talk == before
    assert short.messages[1] is not talk.messages[-4]


@pytest.mark.parametrize("room", [90, 100, 200, 250, 300, 400])
def test_whole_turns_go_the_oldest_first(room: int) -> None:
    talk = long_talk()
    short = talk.trimmed(room)
    assert short.count_tokens() <= room
    assert short.messages[0] == talk.messages[0]
    assert short.messages[1].role == "user"
    assert short.messages[1:] == talk.messages[-len(short) + 1 :]
    # One turn more would be too much.
    more = Conversation([talk.messages[0], *talk.messages[-len(short) - 1 :]])
    assert more.count_tokens() > room


def test_without_the_system_there_is_more_room() -> None:
    talk = Conversation().system(LONG).user("1").ai("2").user("3")
    with pytest.raises(ValueError, match=r"trimmed to 40 tokens: its last turn has 5, .* 71"):
        talk.trimmed(40)
    assert words(talk.trimmed(40, keep_system=False)) == ["1", "2", "3"]


def test_a_call_stays_with_its_results() -> None:
    talk = Conversation().user(LONG).add(called("a", "b")).tool("a", "1").tool("b", "2")
    talk.user("and?").ai("so").user("now?")
    for room in range(12, talk.count_tokens()):
        assert words(talk.trimmed(room)) in (["and?", "so", "now?"], ["now?"])


def test_a_question_between_a_call_and_its_result_begins_nothing() -> None:
    talk = Conversation().user(LONG).add(called("a")).user("wait").tool("a", "1").user("now?")
    assert words(talk.trimmed(30)) == ["now?"]


def test_of_one_long_turn_the_question_stays_and_the_oldest_rounds_go() -> None:
    talk = Conversation().system("S").user("Find it.")
    for number in range(6):
        talk.add(called(f"c{number}")).tool(f"c{number}", LONG)
    short = talk.trimmed(250)
    assert words(short)[:2] == ["S", "Find it."]
    assert [message.role for message in short.messages[2:]] == ["assistant", "tool"] * 2
    assert short.messages[2:] == talk.messages[-4:]
    with pytest.raises(ValueError, match="cannot be trimmed to 60 tokens"):
        talk.trimmed(60)


def test_results_of_other_calls_stay_with_them_too() -> None:
    other = OtherCall(type="custom_tool_call", id="c9", name="run")
    came = {"provider_content": {"content": [{"type": "custom_tool_call", "call_id": "c9"}]}}
    asks = Message("assistant", "", extra=came)
    talk = Conversation().user(LONG).add(asks).user("wait").add(other.answer("done")).user("now?")
    assert words(talk.trimmed(40)) == ["now?"]


def test_results_that_nothing_asked_for_go() -> None:
    talk = Conversation().user(LONG).ai("1").user("2").tool("lost", "x").ai("3").user("4")
    assert words(talk.trimmed(60)) == ["2", "3", "4"]


def test_without_a_question_there_is_nothing_to_begin_with() -> None:
    with pytest.raises(ValueError, match="no message of a user"):
        Conversation().system("S").ai(LONG).trimmed(20)


@pytest.mark.parametrize(
    ("given", "error"),
    [(0, ValueError), (-1, ValueError), (1.5, TypeError), ("9", TypeError), (True, TypeError)],
)
def test_a_limit_that_makes_no_sense_is_named(given: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="max_tokens must be an integer at least 1"):
        long_talk().trimmed(given)


def test_other_arguments_are_named_too() -> None:
    with pytest.raises(TypeError, match="keep_system must be True or False"):
        long_talk().trimmed(9, keep_system=None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="model must be a str"):
        long_talk().count_tokens(3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="tools must be a list of dicts"):
        long_talk().count_tokens(tools="look")  # type: ignore[arg-type]


_SHORT = st.text("ab ", max_size=60)


@st.composite
def _talks(draw: st.DrawFn) -> Conversation:
    talk = Conversation()
    for _ in range(draw(st.integers(0, 2))):
        talk.system(draw(_SHORT))
    ids = iter(range(1000))
    for _ in range(draw(st.integers(1, 6))):
        talk.user(draw(_SHORT))
        for _ in range(draw(st.integers(0, 3))):
            names = [f"c{next(ids)}" for _ in range(draw(st.integers(1, 3)))]
            talk.add(called(*names))
            for name in draw(st.permutations(names)):
                talk.tool(name, draw(_SHORT))
        if draw(st.booleans()):
            talk.ai(draw(_SHORT))
    return talk


@given(_talks(), st.integers(1, 400), st.booleans())
def test_what_is_left_fits_and_can_be_sent(talk: Conversation, room: int, keep: bool) -> None:
    try:
        short = talk.trimmed(room, keep_system=keep)
    except ValueError:
        last = max(at for at, message in enumerate(talk) if message.role == "user")
        rounds = [at for at in range(last, len(talk)) if talk.messages[at].role == "assistant"]
        system = [one for one in talk if one.role == "system"] if keep else []
        tail = talk.messages[rounds[-1] :] if rounds else []
        assert Conversation([*system, talk.messages[last], *tail]).count_tokens() > room
        return
    assert short.count_tokens() <= room
    told = [message for message in short if message.role != "system"]
    assert told[0].role == "user"
    if keep:
        assert [m for m in short if m.role == "system"] == [m for m in talk if m.role == "system"]
    asked = [call.id for message in told for call in message.tool_calls]
    answered = [message.tool_call_id for message in told if message.role == "tool"]
    assert sorted(map(str, asked)) == sorted(map(str, answered))
    if talk.count_tokens() <= room:
        assert short == talk


def test_characters_are_those_that_a_stream_tells() -> None:
    talk = Conversation().system("abc").user([{"type": "text", "text": "de"}]).ai("f")
    assert talk.chars == 6
    assert Conversation().chars == 0


def test_an_estimate_follows_the_rule_of_the_page() -> None:
    for text, tokens in (("a" * 45, 10), ("1" * 10, 5), ("я" * 10, 5), ("語" * 10, 10), ("😀", 2)):
        count = Conversation().user(text).count_tokens()
        assert (count, count.by) == (3 + 4 + tokens, "estimate")


def test_everything_counts() -> None:
    plain = Conversation().user("Hi").count_tokens()
    tool = {"type": "function", "function": {"name": "look"}}
    assert Conversation().user("Hi").count_tokens(tools=[tool]) > plain
    assert Conversation().user("Hi").add(called("a")).count_tokens() > plain + 8
    png = b"\x89PNG\r\n\x1a\n" + bytes(8)
    assert Conversation().user("Hi", images=[png]).count_tokens() == plain + 1000
    wav = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0" + (8000).to_bytes(4, "little")
    wav += (16000).to_bytes(4, "little") + bytes(160_000 - 32)
    assert Conversation().user("Hi", audio=wav).count_tokens() == plain + 10 * 32
    pdf = b"%PDF-1.7\n" + b"<< /Type /Page >>" * 3 + b"<< /Type /Pages >>"
    assert Conversation().user("Hi", files=pdf).count_tokens() == plain + 3 * 2000
    assert Conversation().user("Hi", files=("a.md", b"a" * 45)).count_tokens() == plain + 10


@pytest.mark.slow
def test_tiktoken_counts_where_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tiktoken", reason="tiktoken is not installed (extra tokens)")
    litellm = pytest.importorskip("litellm.litellm_core_utils.tokenizers", reason="no tables")
    monkeypatch.undo()
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", os.fspath(Path(str(litellm.__file__)).parent))
    counting._encoder.cache_clear()
    talk = Conversation().user("tiktoken is great! <|endoftext|>")
    count = talk.count_tokens("openai:gpt-4o")
    assert count.by == "tiktoken o200k_base"
    assert talk.count_tokens("gpt-4").by == "tiktoken cl100k_base"
    assert talk.count_tokens("anthropic:claude-sonnet-4-5").by == "tiktoken o200k_base"
    assert 3 + 4 + 6 < count < 3 + 4 + 20


def test_without_its_tables_the_rule_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    tiktoken = pytest.importorskip("tiktoken", reason="tiktoken is not installed (extra tokens)")
    monkeypatch.undo()

    def fail(name: str) -> None:
        raise OSError("no network")

    monkeypatch.setattr(tiktoken, "get_encoding", fail)
    counting._encoder.cache_clear()
    try:
        assert Conversation().user("Hi").count_tokens().by == "estimate"
    finally:
        counting._encoder.cache_clear()
