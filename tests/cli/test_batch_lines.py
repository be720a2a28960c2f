"""Lines that were written for a provider's batch API: asked as they are, answered in the API's shape."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from openai.types.chat import ChatCompletion
from openai.types.responses import Response

from lm_deluge.simulator import Simulator
from support.programs import Call, Finished, simulated

KEY = "sk-test-0123456789"
PICTURE = "data:image/png;base64,iVBORw0KGgo="
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}


def lines(*values: Any) -> str:
    return "".join(json.dumps(value) + "\n" for value in values)


def served(simulator: Simulator) -> dict[str, str]:
    return {
        "OPENAI_BASE_URL": simulator.base_url, "OPENAI_API_KEY": KEY,
        "ANTHROPIC_BASE_URL": simulator.url, "ANTHROPIC_API_KEY": KEY,
        "GOOGLE_GEMINI_BASE_URL": simulator.url, "GEMINI_API_KEY": KEY,
    }  # fmt: skip


def batch(name: str, url: str = "/v1/chat/completions", **body: Any) -> dict[str, Any]:
    return {"custom_id": name, "method": "POST", "url": url, "body": body}


CHAT = batch(
    "request-1",
    model="gpt-4o",
    messages=[
        {"role": "system", "content": "Be brief."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is it?"},
                {"type": "image_url", "image_url": {"url": PICTURE}},
            ],
        },
    ],
    max_tokens=50,
    temperature=0.5,
    seed=3,
    n=2,
    stop=["END"],
    tools=[{"type": "function", "function": {"name": "look", "parameters": SCHEMA}}],
    tool_choice="auto",
    metadata={"k": "v"},
    logit_bias={"50256": -100},
)

RESPONSES = batch(
    "request-2",
    "/v1/responses",
    model="gpt-4o",
    instructions="Be brief.",
    input=[
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "What is it?"},
                {"type": "input_image", "image_url": PICTURE, "detail": "low"},
            ],
        },
    ],
    max_output_tokens=50,
    text={"format": {"type": "json_schema", "name": "place", "schema": SCHEMA, "strict": True}},
    tools=[{"type": "function", "name": "look", "parameters": SCHEMA, "strict": True}],
)

MESSAGES = {
    "custom_id": "request-3",
    "params": {
        "model": "claude-sonnet-4-5",
        "max_tokens": 60,
        "system": "Be brief.",
        "top_k": 5,
        "messages": [
            {
                "role": "user",
                "content": [
                    {
                        "type": "image",
                        "source": {
                            "type": "base64",
                            "media_type": "image/png",
                            "data": "iVBORw0KGgo=",
                        },
                    },
                    {"type": "text", "text": "What is it?"},
                ],
            },
        ],
        "tools": [{"name": "look", "description": "Look.", "input_schema": SCHEMA}],
        "tool_choice": {"type": "tool", "name": "look"},
    },
}

GEMINI = {
    "key": "request-4",
    "request": {
        "model": "models/gemini-2.5-flash",
        "contents": [{"role": "user", "parts": [{"text": "What is it?"}]}],
        "system_instruction": {"parts": [{"text": "Be brief."}]},
        "generation_config": {"temperature": 0.5, "max_output_tokens": 70},
    },
}


def ran(
    call: Call, simulator: Simulator, path: Path, *args: str, code: int = 0, quiet: bool = True
) -> tuple[list[dict[str, Any]], Finished]:
    done = call("run", str(path), *(["--quiet"] if quiet else []), *args, **served(simulator))
    assert done.code == code, done.err
    return [json.loads(line) for line in done.out.split("\n") if line], done


def test_a_chat_body_is_sent_as_it_is(call: Call, tmp_path: Path) -> None:
    (tmp_path / "b.jsonl").write_text(lines(CHAT))
    with Simulator(text="A city.") as simulator:
        (row,), _ = ran(call, simulator, tmp_path / "b.jsonl")
        (request,) = simulator.requests
    sent = dict(request.json)
    assert request.path.endswith("/chat/completions")
    assert sent.pop("stream") is True
    sent.pop("stream_options", None)
    assert sent == CHAT["body"]
    assert (row["id"], row["model"]) == ("request-1", "gpt-4o")
    assert [choice["completion"] for choice in row["choices"]] == ["A city.", "A city."]
    assert row["params"]["max_tokens"] == 50
    assert row["params"]["seed"] == 3
    assert "row" not in row


def test_bodies_are_sent_by_the_api_that_they_are_for(call: Call, tmp_path: Path) -> None:
    (tmp_path / "b.jsonl").write_text(lines(CHAT, RESPONSES, MESSAGES, GEMINI))
    with Simulator(text="A city.") as simulator:
        rows, _ = ran(call, simulator, tmp_path / "b.jsonl")
        by_path = {request.path.rpartition("/")[2]: request.json for request in simulator.requests}
    assert {row["id"]: row["completion"] for row in rows} == {
        f"request-{n}": text for n, text in zip((1, 2, 3, 4), ["A city."] * 4, strict=True)
    }
    responses = by_path["responses"]
    for key in ("input", "instructions", "max_output_tokens", "text", "tools"):
        assert responses[key] == RESPONSES["body"][key], key
    messages = by_path["messages"]
    for key in ("messages", "system", "max_tokens", "top_k", "tools", "tool_choice"):
        assert messages[key] == MESSAGES["params"][key], key
    gemini = next(body for path, body in by_path.items() if "GenerateContent" in path)
    assert gemini["contents"] == GEMINI["request"]["contents"]
    assert gemini["generationConfig"]["maxOutputTokens"] == 70
    assert gemini["generationConfig"]["temperature"] == 0.5
    assert "Be brief." in json.dumps(gemini["systemInstruction"])


@pytest.mark.parametrize(
    ("line", "model", "path"),
    [
        (CHAT, "anthropic:claude-sonnet-4-5", "messages"),
        (RESPONSES, "gpt-4o-mini", "chat/completions"),
        (RESPONSES, "anthropic:claude-sonnet-4-5", "messages"),
        (MESSAGES, "gpt-4o-mini", "chat/completions"),
        (MESSAGES, "openai-responses:gpt-4o", "responses"),
        (GEMINI, "gpt-4o-mini", "chat/completions"),
    ],
)
def test_another_model_is_asked_the_same(
    call: Call, tmp_path: Path, line: dict[str, Any], model: str, path: str
) -> None:
    body = line.get("body", line.get("params", line.get("request")))
    line = json.loads(json.dumps(line))
    if "n" in body and "chat" not in path:
        line["body"].pop("n")
    (tmp_path / "b.jsonl").write_text(lines(line))
    with Simulator(text="A city.") as simulator:
        (row,), _ = ran(call, simulator, tmp_path / "b.jsonl", "-m", model)
        (request,) = simulator.requests
    assert request.path.endswith(path)
    assert row["model"] == model
    sent = request.json
    assert "What is it?" in json.dumps(sent)
    assert "Be brief." in json.dumps(sent)
    most = sent.get("max_tokens", sent.get("max_completion_tokens", sent.get("max_output_tokens")))
    assert most in (50, 60, 70)
    if "tools" in body:
        (tool,) = sent["tools"]
        assert tool.get("function", tool)["name"] == "look"
        schema = tool.get("function", tool)
        assert schema.get("parameters", schema.get("input_schema")) == SCHEMA
    if "key" not in line:
        assert "iVBORw0KGgo=" in json.dumps(sent)


def test_the_command_has_the_last_word(call: Call, tmp_path: Path) -> None:
    (tmp_path / "b.jsonl").write_text(lines(CHAT))
    args = (
        "--temperature",
        "0",
        "--max-tokens",
        "9",
        "--system",
        "In French.",
        "-m",
        "gpt-4o-mini",
    )
    with Simulator(text="A city.") as simulator:
        ran(call, simulator, tmp_path / "b.jsonl", *args)
        sent = simulator.requests[0].json
    assert sent["model"] == "gpt-4o-mini"
    assert sent["temperature"] == 0
    assert sent.get("max_tokens", sent.get("max_completion_tokens")) == 9
    assert not {"max_tokens", "max_completion_tokens"} <= sent.keys()
    assert sent["messages"][0] == {"role": "system", "content": "In French."}
    assert sent["seed"] == 3


def test_results_have_the_shape_of_the_batch_api(call: Call, tmp_path: Path) -> None:
    (tmp_path / "b.jsonl").write_text(lines(CHAT, RESPONSES, MESSAGES))
    out = tmp_path / "out.jsonl"
    args = ("--out", str(out), "--out-format", "batch", "--concurrency", "1")
    with Simulator(text="A city.") as simulator:
        ran(call, simulator, tmp_path / "b.jsonl", *args)
        assert simulator.request_count == 3
        chat, response, message = (json.loads(line) for line in out.read_text().splitlines())
        ran(call, simulator, tmp_path / "b.jsonl", *args)
        assert simulator.request_count == 3  # the same again: all are there
    assert list(chat) == ["id", "custom_id", "response", "error"]
    assert chat["custom_id"] == "request-1"
    assert chat["error"] is None
    assert chat["response"].keys() == {"status_code", "request_id", "body"}
    assert chat["response"]["status_code"] == 200
    parsed = ChatCompletion.model_validate(chat["response"]["body"], strict=True)
    assert [choice.message.content for choice in parsed.choices] == ["A city."] * 2
    assert parsed.usage is not None
    assert response["custom_id"] == "request-2"
    assert Response.model_validate(response["response"]["body"]).output_text == "A city."
    assert message.keys() == {"custom_id", "result"}
    assert message["result"]["type"] == "succeeded"
    assert message["result"]["message"]["content"][0]["text"] == "A city."
    assert message["result"]["message"]["stop_reason"] == "tool_use"  # which the line demands
    assert message["result"]["message"]["usage"]["output_tokens"] > 0


def test_failures_have_it_too_and_are_asked_again(call: Call, tmp_path: Path) -> None:
    ask = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Why?"}]}
    (tmp_path / "b.jsonl").write_text(lines(*(batch(f"r{n}", **ask) for n in range(3))))
    out = tmp_path / "out.jsonl"
    args = ("--out", str(out), "--out-format", "batch", "--concurrency", "1")
    with Simulator(text="So it is.", faults=["status:400", "eof:1", None]) as simulator:
        ran(call, simulator, tmp_path / "b.jsonl", *args, code=1)
        refused, cut, whole = (json.loads(line) for line in out.read_text().splitlines())
        before = simulator.request_count
        ran(call, simulator, tmp_path / "b.jsonl", *args)
        assert simulator.request_count == before + 2
    assert refused["response"]["status_code"] == 400
    assert refused["error"] is None
    assert refused["response"]["body"]["error"]["message"]
    assert (cut["response"], cut["error"].keys()) == (None, {"code", "message"})
    assert cut["error"]["code"] == "answer_cut"
    assert whole["response"]["status_code"] == 200


def test_a_batch_that_expired_goes_on_here(call: Call, tmp_path: Path) -> None:
    """Of OpenAI's own results those are kept that are answers; the others are asked."""
    ask = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Why?"}]}
    (tmp_path / "b.jsonl").write_text(lines(batch("a", **ask), batch("b", **ask)))
    out = tmp_path / "out.jsonl"
    body = {"id": "chatcmpl-1", "object": "chat.completion", "model": "gpt-4o", "choices": []}
    done = {"status_code": 200, "request_id": "r", "body": body}
    expired = {"code": "batch_expired", "message": "This request could not be executed."}
    out.write_text(
        lines(
            {"id": "batch_req_1", "custom_id": "a", "response": done, "error": None},
            {"id": "batch_req_2", "custom_id": "b", "response": None, "error": expired},
        )
    )
    with Simulator(text="So it is.") as simulator:
        ran(call, simulator, tmp_path / "b.jsonl", "--out", str(out), "--out-format", "batch")
        assert simulator.request_count == 1
    assert json.loads(out.read_text().splitlines()[-1])["custom_id"] == "b"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["turns", "batch"])
async def test_all_is_there_once_after_kills_and_interruptions(
    start: Any, run: Any, command_name: tuple[str, ...], tmp_path: Path, kind: str
) -> None:
    ask = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Why?"}]}
    rows = [{"turns": ["a", "b"]} if kind == "turns" else batch(f"c{n}", **ask) for n in range(20)]
    (tmp_path / "p.jsonl").write_text(lines(*rows))
    out = tmp_path / "out.jsonl"
    args = ("run", str(tmp_path / "p.jsonl"), "--out", str(out), "--concurrency", "3", "--quiet")
    args += () if kind == "turns" else ("--out-format", "batch")
    async with Simulator(text="yes", ttft=0.1) as simulator:
        for count, kills in ((4, True), (9, False), (13, True)):
            running = await start(*args, env=simulated(simulator))
            async with asyncio.timeout(30):
                while not out.exists() or out.read_bytes().count(b"\n") < count:
                    await asyncio.sleep(0.01)
            if kills:
                running.process.kill()
            else:
                running.interrupt()
            await running.ended()
        done = await run(*command_name, *args, env=simulated(simulator))
    assert done.code == 0, done.err
    whole = [json.loads(line) for line in out.read_text().splitlines() if line.endswith("}")]
    found = [(row.get("custom_id") or row["id"], row.get("turn")) for row in whole]
    assert len(found) == len(set(found)) == (40 if kind == "turns" else 20)


def test_rows_and_batch_results_are_not_mixed(call: Call, tmp_path: Path) -> None:
    ask = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Why?"}]}
    (tmp_path / "b.jsonl").write_text(lines(batch("a", **ask)))
    out = tmp_path / "out.jsonl"
    with Simulator(text="So it is.") as simulator:
        ran(call, simulator, tmp_path / "b.jsonl", "--out", str(out), "--out-format", "batch")
        _, done = ran(call, simulator, tmp_path / "b.jsonl", "--out", str(out), code=2)
    assert "--out-format batch" in done.err


def test_a_model_that_nobody_serves_is_told_with_its_line(call: Call, tmp_path: Path) -> None:
    ask = {"messages": [{"role": "user", "content": "Why?"}]}
    (tmp_path / "b.jsonl").write_text(
        lines(batch("a", model="gpt-4o", **ask), batch("b", model="claude-opus-4-1", **ask))
    )
    done = call("run", str(tmp_path / "b.jsonl"), OPENAI_API_KEY=KEY)
    assert done.code == 2
    assert "line 2: " in done.err
    assert "claude-opus-4-1" in done.err


def test_a_dry_run_needs_no_key_and_sends_nothing(call: Call, tmp_path: Path) -> None:
    (tmp_path / "b.jsonl").write_text(lines(CHAT, RESPONSES, {"turns": ["a", "b"]}))
    out, log = tmp_path / "out.jsonl", tmp_path / "log.jsonl"
    args = ("--dry-run", "--out", str(out), "--log", str(log))
    with Simulator(text="A city.") as simulator:
        base = {"OPENAI_BASE_URL": simulator.base_url.replace("://", "://me:geheim@")}
        done = call("run", str(tmp_path / "b.jsonl"), *args, **base)
        assert simulator.request_count == 0
    assert done.code == 0, done.err
    shown = [json.loads(line) for line in done.out.splitlines()]
    assert [each["id"] for each in shown] == ["request-1", "request-2", "2", "2"]
    assert shown[0]["body"]["seed"] == 3
    assert shown[0]["url"].endswith("/chat/completions")
    assert shown[1]["url"].endswith("/responses")
    assert [message["role"] for message in shown[3]["body"]["messages"]] == [
        "user", "assistant", "user",
    ]  # fmt: skip
    assert "geheim" not in done.out + done.err
    assert "2 requests to gpt-4o would be sent" in done.err
    assert "estimated cost $0.00" in done.err
    assert not out.exists()
    assert not log.exists()


USAGE = {"prompt_tokens": 1000, "completion_tokens": 1000, "total_tokens": 2000}


def test_no_stream_starts_beyond_the_most_that_it_may_cost(call: Call, tmp_path: Path) -> None:
    """gpt-4o costs 2.50 and 10 dollars a million tokens: an answer of these is $0.0125."""
    (tmp_path / "p.jsonl").write_text(lines(*({"prompt": f"p{n}"} for n in range(40))))
    out = tmp_path / "out.jsonl"
    args = ("-m", "gpt-4o", "--out", str(out))
    with Simulator(text="yes", usage=USAGE, ttft=0.05) as simulator:
        path = tmp_path / "p.jsonl"
        _, done = ran(call, simulator, path, *args, "--max-cost", "0.1", code=1)
        asked = simulator.request_count
        assert 8 <= asked <= 12
        assert "of --max-cost 0.1 are spent" in done.err
        assert f"{40 - asked} answers are missing" in done.err
        assert "higher --max-cost" in done.err
        ran(call, simulator, path, *args, "--max-cost", "0.1", code=1)
        assert simulator.request_count == asked  # what is in the file counts
        ran(call, simulator, path, *args, "--max-cost", "9")
        assert simulator.request_count == 40
    assert len(out.read_text().splitlines()) == 40


def test_a_bound_that_would_bound_nothing_is_refused(call: Call, tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text(lines({"prompt": "Why?"}))
    with Simulator() as simulator:
        _, done = ran(
            call, simulator, tmp_path / "p.jsonl", "-m", "my-model-7b", "--max-cost", "1", code=2
        )
        assert simulator.request_count == 0
    assert "no price of my-model-7b is known" in done.err
