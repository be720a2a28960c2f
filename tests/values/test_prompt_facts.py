"""What a stream tells of its prompt: the same hash for the same conversation, and how it begins."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

import pytest

from lm_deluge import Conversation, Message, ToolCall
from lm_deluge.values.conversation import Prompt, to_messages
from lm_deluge.values.prompt_facts import PromptFacts, prompt_hash
from lm_deluge.values.redaction import Redactor

SKY = "Why is the sky blue?"
PIXEL = b"\x89PNG\r\n\x1a\n" + bytes(16)


def hashed(prompt: Prompt) -> str:
    return prompt_hash(to_messages(prompt))


def begins(prompt: Prompt, *secrets: str) -> str:
    return PromptFacts(to_messages(prompt)).begins(Redactor(secrets))


def called(id_: str) -> list[dict[str, Any]]:
    call = ToolCall(id_, "weather", '{"city": "Graz"}')
    return Conversation().user(SKY).ai(tool_calls=[call]).tool(id_, "rain").to_openai()


@pytest.mark.parametrize(
    "same",
    [
        Message.user(SKY),
        Conversation().user(SKY),
        [{"role": "user", "content": SKY}],
        [{"content": SKY, "role": "user", "name": None, "tool_calls": []}],
        [{"role": "user", "content": [{"type": "text", "text": SKY}]}],
        [{"role": "user", "content": [{"type": "text", "text": "Why is "},
                                      {"type": "text", "text": "the sky blue?"}]}],
        [{"role": "user", "content": SKY, "cache_control": {"type": "ephemeral"}}],
        [{"role": "user", "content": [{"type": "text", "text": SKY, "cache_control": {"a": 1}}]}],
    ],
)  # fmt: skip
def test_a_prompt_has_one_hash_however_it_is_written(same: Prompt) -> None:
    assert hashed(same) == hashed(SKY)


def test_the_same_hash_comes_out_in_every_process() -> None:
    code = (
        "from lm_deluge.values.prompt_facts import prompt_hash;"
        f"print(prompt_hash([{{'role': 'user', 'content': {SKY!r}}}]))"
    )
    for seed in ("1", "2"):
        told = subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
        )
        # Written out: a log of today is compared with one of next year.
        assert told.stdout.strip() == hashed(SKY) == "ee4a738ba5c66949", told.stderr


@pytest.mark.parametrize(
    "other",
    [
        SKY + " ",
        Message.system(SKY),
        Conversation().system("Be brief.").user(SKY),
        Conversation().user(SKY).user(SKY),
        Conversation().user("Why is ").user("the sky blue?"),
        Message.user(SKY, images=[PIXEL]),
        Conversation().user(SKY).ai("Rayleigh").user("Who?"),
        called("call_1"),
    ],
)
def test_another_prompt_has_another_hash(other: Prompt) -> None:
    assert hashed(other) != hashed(SKY)


def test_images_and_arguments_of_calls_count() -> None:
    assert hashed(Message.user(SKY, images=[PIXEL])) != hashed(
        Message.user(SKY, images=[PIXEL + b"x"])
    )
    another = called("call_1")
    another[1]["tool_calls"][0]["function"]["arguments"] = '{"city": "Wien"}'
    assert hashed(another) != hashed(called("call_1"))


def test_ids_that_a_provider_makes_up_for_calls_do_not_count_but_their_order_does() -> None:
    assert hashed(called("call_1")) == hashed(called("toolu_02"))
    two = [ToolCall("a", "weather", "{}"), ToolCall("b", "weather", "{}")]
    straight = Conversation().user(SKY).ai(tool_calls=two).tool("a", "rain").tool("b", "sun")
    crossed = Conversation().user(SKY).ai(tool_calls=two).tool("b", "rain").tool("a", "sun")
    assert hashed(straight) != hashed(crossed)


def test_a_developer_message_is_a_system_message() -> None:
    developer = [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": SKY}]
    assert hashed(developer) == hashed(Conversation().system("Be brief.").user(SKY))


def test_a_long_prompt_is_hashed_in_no_time() -> None:
    messages = to_messages(Conversation().user("ü" * 500_000))
    taken = []
    for _ in range(3):
        begun = time.perf_counter()
        prompt_hash(messages)
        taken.append(time.perf_counter() - begun)
    assert min(taken) < 0.05


def test_a_prompt_begins_as_its_last_user_message_with_text_does() -> None:
    assert begins(SKY) == SKY
    assert begins("x" * 300) == "x" * 200
    talk = Conversation().system("Be brief.").user("first").ai("hm").user("second")
    assert begins(talk) == "second"
    assert (
        begins(talk.user([{"type": "image_url", "image_url": {"url": "https://h/i.png"}}]))
        == "second"
    )
    assert begins(called("call_1")) == SKY
    assert begins(Message.system("Tell a story.")) == "Tell a story."
    assert (
        begins([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "u"}}]}])
        == ""
    )


@pytest.mark.parametrize("before", [0, 150, 180, 195, 199])
def test_no_part_of_a_secret_is_in_how_a_prompt_begins(before: int) -> None:
    secret = "sk-live-4f9a8c1be27d"
    told = begins("x" * before + secret + " is my key", secret)
    assert "sk-live" not in told
    assert "4f9" not in told
    assert len(told) <= 200


def test_characters_are_those_of_all_texts() -> None:
    talk = (
        Conversation().system("ab").user([{"type": "text", "text": "cde"}, {"type": "x"}]).ai("f")
    )
    assert PromptFacts(to_messages(talk)).chars == 6


def test_messages_are_let_go_of_once_all_is_known() -> None:
    facts = PromptFacts(to_messages(SKY))
    told = facts.hash, facts.begins(Redactor()), facts.chars
    assert facts._messages is None
    assert (
        (facts.hash, facts.begins(Redactor()), facts.chars) == told == (hashed(SKY), SKY, len(SKY))
    )
