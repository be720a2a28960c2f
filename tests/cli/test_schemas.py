"""``--schema`` of ``lm-deluge stream`` and ``run``: what fits is printed, what does not is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lm_deluge.simulator import Simulator
from support.programs import Call

SCHEMA = {
    "title": "A dish!",
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "steps": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["name", "steps"],
}
DISH = {"name": "Soupe à l'oignon", "steps": ["cut", "fry", "boil"]}


def served(sim: Simulator) -> dict[str, str]:
    """What makes a simulator OpenAI, Anthropic and Google."""
    key = "sk-test-0123456789"
    urls = {"ANTHROPIC_BASE_URL": sim.url, "GOOGLE_GEMINI_BASE_URL": sim.url}
    keys = dict.fromkeys(("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY"), key)
    return {"OPENAI_BASE_URL": sim.base_url, **urls, **keys}


@pytest.fixture
def schema(tmp_path: Path) -> Path:
    path = tmp_path / "schema.json"
    path.write_text(json.dumps(SCHEMA), "utf-8")
    return path


@pytest.mark.parametrize(
    "model", ["gpt-4.1", "anthropic:claude-sonnet-4-5", "gemini:gemini-3.8-flash"]
)
def test_what_fits_is_printed_when_it_is_whole(call: Call, schema: Path, model: str) -> None:
    with Simulator(text=f"```json\n{json.dumps(DISH)}\n```") as sim:
        done = call("stream", "A soup", "-m", model, "--schema", schema, **served(sim))
        sent = json.dumps(sim.requests[-1].json)
    assert (done.code, json.loads(done.out), done.err) == (0, DISH, "")
    assert "à" in done.out
    assert '"steps"' in sent


def test_it_is_printed_as_it_grows(call: Call, schema: Path) -> None:
    pieces = [json.dumps(DISH)[at : at + 4] for at in range(0, 90, 4)]
    with Simulator(text=pieces, ttft=0, gap=0.02) as sim:
        done = call("stream", "?", "--schema", schema, "--growing", **served(sim))
    *growing, last = [json.loads(line) for line in done.out.splitlines()]
    assert (done.code, last) == (0, DISH)
    assert len(growing) >= 3
    assert all(value.keys() <= DISH.keys() for value in growing)


@pytest.mark.parametrize("growing", [(), ("--growing",)])
@pytest.mark.parametrize(
    ("text", "words"),
    [('{"name": 3, "steps": []}', "name"), ("Hello", "holds no"), ('{"name": "a', "no whole")],
)
def test_what_does_not_fit_has_an_exit_code_of_its_own(
    call: Call, schema: Path, text: str, words: str, growing: tuple[str, ...]
) -> None:
    with Simulator(text=text) as sim:
        done = call("stream", "?", "--schema", schema, *growing, **served(sim))
    assert done.code == 3
    assert done.err.startswith("lm-deluge: SchemaError: the answer ")
    assert words in done.err
    assert len(done.err.splitlines()) == 1
    if not growing:
        assert done.out == ""


def test_a_list_has_nothing_around_it(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "list.json"
    path.write_text('\ufeff{"type": "array", "items": {"type": "integer"}}', "utf-8")
    with Simulator(text='{"answer": [1, 2]}') as sim:
        done = call("stream", "?", "--schema", path, **served(sim))
    assert json.loads(done.out) == [1, 2]


@pytest.mark.parametrize(
    ("held", "words"),
    [
        ("{", "is no JSON"),
        (b"\xff\xfe{", "is no JSON"),
        ("[1]", "holds no JSON schema"),
        ("{}", "is empty"),
        ('{"a": 1}', "must be a JSON schema"),
        ('{"type": "text"}', "'text'"),
        (None, "No such file"),
    ],
)
@pytest.mark.parametrize("command", ["stream", "run"])
def test_what_is_no_schema_is_told(
    call: Call, tmp_path: Path, held: str | bytes | None, words: str, command: str
) -> None:
    path, prompts = tmp_path / "schema.json", tmp_path / "prompts.txt"
    prompts.write_text("Hi\n", "utf-8")
    if held is not None:
        path.write_bytes(held if isinstance(held, bytes) else held.encode())
    what = "Hi" if command == "stream" else prompts
    done = call(command, what, "--schema", path, OPENAI_API_KEY="sk-test")
    assert done.code == 2
    assert "--schema" in done.err
    assert words in done.err
    assert len(done.err.splitlines()) == 1


@pytest.mark.parametrize(
    "args",
    [("stream", "Hi", "--growing"), ("stream", "Hi", "--json", "--schema"), ("run", "--json")],
)
def test_what_would_have_no_effect_is_refused(
    call: Call, schema: Path, tmp_path: Path, args: tuple[str, ...]
) -> None:
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("Hi\n", "utf-8")
    given: list[Any] = [*args]
    if args[-1] == "--schema":
        given += [schema]
    if args[0] == "run":
        given += [prompts, "--schema", schema]
    done = call(*given, OPENAI_API_KEY="sk-test")
    assert (done.code, "--schema" in done.err) == (2, True)


def test_a_run_has_what_fits_in_its_rows_and_asks_again_for_another_schema(
    call: Call, schema: Path, tmp_path: Path
) -> None:
    prompts, out = tmp_path / "prompts.jsonl", tmp_path / "out.jsonl"
    form = {"type": "json_object"}
    lines = [{"prompt": "soup"}, {"prompt": "stone"}, {"prompt": "json", "response_format": form}]
    prompts.write_text("\n".join(map(json.dumps, lines)), "utf-8")

    def says(body: Any) -> str:
        return "no" if "stone" in str(body["messages"]) else json.dumps(DISH)

    given = ("run", prompts, "--schema", schema, "--out", out, "--quiet")
    with Simulator(text=says) as sim:
        done = call(*given, **served(sim))
        rows = {row["prompt"]: row for row in map(json.loads, out.read_text("utf-8").splitlines())}
        again = call(*given, **served(sim))
        asked = sim.request_count
    assert (done.code, again.code) == (1, 1)
    assert rows["soup"]["parsed"] == DISH
    assert rows["soup"]["params"]["schema"] == SCHEMA
    assert (rows["stone"]["error"], rows["stone"]["partial"]) == ("SchemaError", "no")
    assert "parsed" not in rows["json"]
    assert asked == 4  # of the second run only the one that failed
    schema.write_text(json.dumps(SCHEMA | {"description": "other"}), "utf-8")
    with Simulator(text=says) as sim:
        other = call(*given, **served(sim))
        assert (other.code, sim.request_count) == (2, 0)
        assert "--again" in other.err
