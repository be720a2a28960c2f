"""Requests that the real service would refuse are refused in its words."""

from __future__ import annotations

import fnmatch
import json
from importlib.resources import files
from typing import Any

import pytest

from lm_deluge.simulator import Simulator
from lm_deluge.simulator.saying.rules import find_rules
from support.plain_client import Ask
from support.requests_checked import ACCEPTED, REFUSED

LISTED: dict[str, Any] = json.loads((files("lm_deluge.models") / "models.json").read_text("utf-8"))


@pytest.mark.parametrize(("body", "message", "param", "code"), REFUSED)
async def test_a_bad_request_gets_the_error_of_the_real_service(
    ask: Ask, body: dict[str, Any], message: str, param: str | None, code: str | None
) -> None:
    async with Simulator() as sim:
        heard = await ask(sim, **body)
    assert heard.status == 400
    error = heard.json["error"]
    assert message in error["message"]
    assert (error["type"], error["param"], error["code"]) == ("invalid_request_error", param, code)


@pytest.mark.parametrize("body", ACCEPTED)
async def test_a_good_request_gets_an_answer(ask: Ask, body: dict[str, Any]) -> None:
    async with Simulator() as sim:
        heard = await ask(sim, **body)
    assert (heard.status, heard.error) == (200, None), heard.body
    assert heard.done


@pytest.mark.parametrize("key", [None, ""])
async def test_no_key_is_a_401_that_explains_bearer_auth(ask: Ask, key: str | None) -> None:
    async with Simulator() as sim:
        heard = await ask(sim, key=key)
        basic = await ask(sim, key=None, headers={"Authorization": "Basic abc"})
    assert heard.status == basic.status == 401
    assert heard.json["error"]["message"].startswith("You didn't provide an API key.")
    assert heard.json["error"]["code"] is None


async def test_a_wrong_key_is_a_401_with_the_key_masked(ask: Ask) -> None:
    async with Simulator(api_key="right") as sim:
        heard = await ask(sim, key="test_opentelemetry_key")
        short = await ask(sim, key="short")
        assert (await ask(sim, key="right")).done
    assert heard.status == 401
    assert heard.json["error"]["code"] == "invalid_api_key"
    assert "provided: test_ope**********_key. You can" in heard.json["error"]["message"]
    assert "short" not in short.json["error"]["message"]


@pytest.mark.parametrize("model", ["gpt-4o-nonsense", "claude-3-opus", "gpt-9", "ft:", ""])
async def test_an_unknown_model_is_a_404(ask: Ask, model: str) -> None:
    async with Simulator() as sim:
        heard = await ask(sim, model=model)
    if not model:
        assert heard.status == 400
        return
    assert heard.status == 404
    assert heard.json["error"]["code"] == "model_not_found"
    assert f"The model `{model}` does not exist" in heard.json["error"]["message"]


async def test_a_server_may_have_models_of_its_own(ask: Ask) -> None:
    async with Simulator(models=["llama3"]) as sim:
        assert (await ask(sim, model="llama3", temperature=0.1)).done
        assert (await ask(sim, model="gpt-4o")).status == 404


@pytest.mark.parametrize("raw", [b"{", b"", b"[]", b"\xff"])
async def test_a_body_that_is_no_json_object_is_a_400(ask: Ask, raw: bytes) -> None:
    async with Simulator() as sim:
        heard = await ask(sim, raw=raw)
    assert heard.status == 400
    assert heard.json["error"]["message"].startswith("We could not parse the JSON body")


async def test_a_content_type_other_than_json_is_a_400(ask: Ask) -> None:
    async with Simulator() as sim:
        heard = await ask(sim, headers={"Content-Type": "text/plain"})
    assert heard.status == 400
    assert heard.json["error"]["code"] == "unsupported_content_type"


async def test_an_error_leaves_the_connection_usable(ask: Ask) -> None:
    async with Simulator() as sim:
        await ask(sim, n=0)
        await ask(sim)
        assert sim.connections == 1
        assert [request.connection for request in sim.requests] == [1, 1]


@pytest.mark.parametrize("name", sorted(LISTED["models"]["OpenAI"]))
def test_openais_models_of_today_are_known_with_their_efforts(name: str) -> None:
    (family,) = [
        family for pattern, family in LISTED["families"] if fnmatch.fnmatch(name, pattern)
    ][:1]
    rules = find_rules(name, served=None)
    assert rules is not None
    if "-chat" not in name:  # which take no effort but their own
        told = LISTED["rules"][family]
        assert list(rules.efforts) == told.get("efforts", [])
        assert rules.default_effort == told.get("default_effort")
