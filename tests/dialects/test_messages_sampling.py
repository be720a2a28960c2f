"""Which version of Anthropic's API is asked for, and whether ``temperature`` and its like go with it."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from lm_deluge import LLMClient, SamplingParams
from lm_deluge.dialects.dialect import Ask, Written
from lm_deluge.dialects.messages import MESSAGES
from lm_deluge.models.resolving import resolve_model
from support.messages import WHOLE
from support.scripted import ScriptedServer

HOME = "https://api.anthropic.com"
ELSEWHERE = "https://gateway.example"
TAKES, REFUSES, UNKNOWN = "claude-sonnet-4-6", "claude-sonnet-5-5", "claude-unheard-of"
NEWEST, EVERYWHERE = "2026-10-21", "2023-06-01"


def written(
    model: str,
    url: str,
    *,
    pinned: str | None = None,
    extra: dict[str, Any] | None = None,
    **params: Any,
) -> Written:
    info = resolve_model(f"anthropic:{model}", base_url=url, env_base_url=None)
    if pinned is not None:
        info = attrs.evolve(info, headers={"Anthropic-Version": pinned})
    return MESSAGES.write(
        Ask(
            info=info,
            messages=[{"role": "user", "content": "Hi"}],
            params=SamplingParams(**params),
            extra_body=extra,
        )
    )


@pytest.mark.parametrize("field", ["temperature", "top_p"])
@pytest.mark.parametrize(
    ("model", "url", "pinned", "is_set", "version", "is_sent"),
    [
        # at home the newest, but for what it does not take and the model does
        (TAKES, HOME, None, False, NEWEST, False),
        (TAKES, HOME, None, True, EVERYWHERE, True),
        (REFUSES, HOME, None, False, NEWEST, False),
        (REFUSES, HOME, None, True, NEWEST, False),
        (UNKNOWN, HOME, None, False, NEWEST, False),
        (UNKNOWN, HOME, None, True, EVERYWHERE, True),
        # elsewhere what every server knows
        (TAKES, ELSEWHERE, None, False, EVERYWHERE, False),
        (TAKES, ELSEWHERE, None, True, EVERYWHERE, True),
        (REFUSES, ELSEWHERE, None, True, EVERYWHERE, False),
        (UNKNOWN, ELSEWHERE, None, True, EVERYWHERE, True),
        # a header of the registration pins either, anywhere
        (TAKES, HOME, EVERYWHERE, False, EVERYWHERE, False),
        (TAKES, HOME, EVERYWHERE, True, EVERYWHERE, True),
        (TAKES, HOME, NEWEST, True, NEWEST, False),
        (TAKES, ELSEWHERE, NEWEST, True, NEWEST, False),
        (REFUSES, HOME, EVERYWHERE, True, EVERYWHERE, False),
        (UNKNOWN, ELSEWHERE, NEWEST, True, NEWEST, False),
    ],
)
def test_the_version_and_the_field_go_by_model_and_address(
    model: str,
    url: str,
    pinned: str | None,
    is_set: bool,
    version: str,
    is_sent: bool,
    field: str,
) -> None:
    given: dict[str, Any] = {field: 0.5} if is_set else {}
    asked = written(model, url, pinned=pinned, **given)
    assert asked.headers == {"anthropic-version": version}
    assert asked.body.get(field) == (0.5 if is_sent else None)
    dropped = [one.parameter for one in asked.dropped]
    assert dropped == ([field] if is_set and not is_sent else [])


@pytest.mark.parametrize("field", ["temperature", "top_p", "top_k"])
@pytest.mark.parametrize(
    ("model", "version"), [(TAKES, EVERYWHERE), (UNKNOWN, EVERYWHERE), (REFUSES, NEWEST)]
)
def test_a_field_of_extra_body_is_asked_for_where_the_model_takes_it(
    field: str, model: str, version: str
) -> None:
    asked = written(model, HOME, extra={field: 1})
    assert (asked.headers["anthropic-version"], asked.body[field]) == (version, 1)
    other = written(model, HOME, extra={"metadata": {"user_id": "u"}})
    assert other.headers["anthropic-version"] == NEWEST


async def test_what_is_left_out_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    async with ScriptedServer(WHOLE) as server:
        client = LLMClient(
            f"anthropic:{REFUSES}",
            base_url=server.base_url,
            api_key="k",
            printer=None,
            temperature=0.0,
            max_new_tokens=5,
        )
        for _ in range(2):
            await client.stream("Hi")
    assert [request.headers["anthropic-version"] for request in server.requests] == [EVERYWHERE] * 2
    assert not any("temperature" in request.json for request in server.requests)
    told = [
        record.getMessage() for record in caplog.records if "temperature" in record.getMessage()
    ]
    assert len(told) == 1
    assert "the model does not take it" in told[0]


@pytest.mark.parametrize("url", [HOME, ELSEWHERE])
@pytest.mark.parametrize(
    "model",
    ["claude-opus-4-1-20250805", "claude-opus-4-5", "claude-sonnet-4-5", "claude-haiku-4.5"],
)
def test_temperature_is_kept_where_the_model_refuses_it_beside_top_p(model: str, url: str) -> None:
    request = written(model, url, temperature=0.3, top_p=0.9)
    assert (request.body["temperature"], "top_p" in request.body) == (0.3, False)
    assert [each.parameter for each in request.dropped] == ["top_p"]
    for name in ("temperature", "top_p"):
        alone = written(model, url, **{name: 0.9})
        assert (alone.body[name], alone.dropped) == (0.9, [])


@pytest.mark.parametrize(
    "model", ["claude-opus-4-20250514", "claude-sonnet-4-0", "claude-3-7-sonnet-latest", "mine"]
)
def test_both_are_sent_to_others(model: str) -> None:
    request = written(model, ELSEWHERE, temperature=0.3, top_p=0.9)
    assert (request.body["temperature"], request.body["top_p"]) == (0.3, 0.9)
    assert request.dropped == []


@pytest.mark.parametrize(("said", "left_out"), [("temperature", "top_p"), ("top_p", "temperature")])
def test_the_one_in_the_providers_own_words_is_kept(said: str, left_out: str) -> None:
    request = written("claude-opus-4-5", ELSEWHERE, extra={said: 0.9}, **{left_out: 0.3})
    assert (request.body[said], left_out in request.body) == (0.9, False)
    assert [each.parameter for each in request.dropped] == [left_out]
