"""Every program in examples/, run as a user runs it, against the simulator."""

from __future__ import annotations

import hashlib
import re
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from lm_deluge.simulator import Simulator
from support.extras import needs
from support.programs import ROOT, Finished, Run, clean_environment, simulated

EXAMPLES = ROOT / "examples"

#: Programs of the streaming page of lm-deluge, character for character.
PAGE = (
    "basic_streaming",
    "conversation_streaming",
    "custom_processing",
    "chat_loop",
    "collecting",
    "error_handling",
)


@pytest.fixture
def example(run: Run, python: tuple[str, ...], tmp_path: Path) -> Run:
    """Run an example by name; it must end well and say nothing on stderr."""

    async def start(name: str, simulator: Simulator, *args: str, stdin: str = "") -> Finished:
        done = await run(
            *python, EXAMPLES / f"{name}.py", *args,
            env=simulated(simulator), stdin=stdin, cwd=tmp_path,
        )  # fmt: skip
        assert (done.code, done.complaints) == (0, "")
        return done

    return start


def test_no_example_is_without_a_test() -> None:
    here = "".join(path.read_text("utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    programs = [path.stem for path in EXAMPLES.glob("*.py")]
    assert [name for name in programs if f'"{name}"' not in here] == []


async def test_basic_streaming_prints_the_answer_and_its_length(example: Run) -> None:
    async with Simulator(text="A robot found a brush.") as simulator:
        done = await example("basic_streaming", simulator)
    assert done.out == "A robot found a brush.\n\nFinal response length: 22 chars\n"
    assert simulator.requests[0].json["model"] == "gpt-4o"
    assert simulator.requests[0].json["stream"] is True


async def test_conversation_streaming_sends_both_messages(example: Run) -> None:
    async with Simulator(text="Silent circuits hum") as simulator:
        done = await example("conversation_streaming", simulator)
    assert done.out == "Silent circuits hum\n\nComplete: Silent circuits hum\n"
    roles = [message["role"] for message in simulator.requests[0].json["messages"]]
    assert roles == ["system", "user"]


async def test_custom_processing_prints_tokens_and_total(example: Run) -> None:
    async with Simulator(text="Qubits are odd.") as simulator:
        done = await example("custom_processing", simulator)
    assert done.out.startswith("Qubits are odd.\n\nStreaming complete!\nTotal tokens: ")
    assert int(done.out.rpartition(" ")[2]) > 0
    sent = simulator.requests[0].json
    assert sent["temperature"] == 0.7
    assert (sent["max_completion_tokens"], sent.get("max_tokens")) == (500, None)


async def test_custom_processing_says_unknown_where_the_server_sent_no_usage(example: Run) -> None:
    async with Simulator(text="Qubits are odd.", usage=False) as simulator:
        done = await example("custom_processing", simulator)
    assert done.out.endswith("Total tokens: Unknown\n")


async def test_collecting_counts_the_chunks_that_were_sent(example: Run) -> None:
    async with Simulator(text=["Mars ", "is ", "red."]) as simulator:
        done = await example("collecting", simulator)
    assert done.out == "Mars is red.\n\nCollected 3 chunks, 12 chars\n"
    assert simulator.requests[0].json["model"] == "gpt-4o-mini"


async def test_chat_loop_keeps_the_conversation_and_reuses_the_connection(example: Run) -> None:
    async with Simulator(text=lambda body: f"Answer {len(body['messages']) // 2}.") as simulator:
        done = await example("chat_loop", simulator, stdin="Hello\n\nAnd then?\nQUIT\n")
        assert simulator.connections == 1
    assert done.out == (
        "Streaming chat! Type 'quit' to exit.\n\n"
        "\nYou: Assistant: Answer 1.\n"
        "\nYou: "  # an empty line is asked again
        "\nYou: Assistant: Answer 2.\n"
        "\nYou: "
    )
    first, second = simulator.requests
    assert [message["content"] for message in second.json["messages"]] == [
        "You are a helpful assistant.", "Hello", "Answer 1.", "And then?",
    ]  # fmt: skip
    assert (first.connection, second.connection) == (1, 1)


async def test_chat_loop_survives_a_failed_answer(example: Run) -> None:
    async with Simulator(text="Back again.", faults=["eof:1", None]) as simulator:
        done = await example("chat_loop", simulator, stdin="One\nTwo\nquit\n")
    assert "Error: the answer was cut" in done.out
    assert "Assistant: Back again.\n" in done.out
    sent = simulator.requests[-1].json["messages"]
    assert [message["content"] for message in sent[1:]] == ["Two"]


async def test_error_handling_reports_success(example: Run) -> None:
    async with Simulator(text="Something.") as simulator:
        done = await example("error_handling", simulator)
    assert done.out == "Something.\n\nSuccess: 10 chars\n"


async def test_error_handling_reports_a_wrong_key_without_showing_it(example: Run) -> None:
    async with Simulator(api_key="sk-the-right-one") as simulator:
        done = await example("error_handling", simulator)
    assert done.out.startswith("Streaming error: ")
    assert "sk-test-0123456789" not in done.out


async def test_custom_handler_shows_progress_and_counts_words(example: Run) -> None:
    # Words come in several pieces, and several words in one piece.
    async with Simulator(text=["Sun", "light scat", "ters, ", "mostly blue."]) as simulator:
        done = await example("custom_handler", simulator)
    lines = [line.strip() for line in re.split(r"[\r\n]+", done.out) if line.strip()]
    assert lines[0] == "gpt-6-sol is thinking ..."
    assert [line.split()[0] for line in lines[1:5]] == ["1", "2", "2", "4"]
    assert re.fullmatch(r"4 words in \d+\.\d s", lines[5])
    assert lines[6] == "31 characters, the first word: Sunlight"


async def test_custom_handler_says_what_stopped_it(run: Run, tmp_path: Path) -> None:
    async with Simulator(text=["One ", "two ", "three"], faults="eof:2") as simulator:
        done = await run(sys.executable, EXAMPLES / "custom_handler.py", env=simulated(simulator))
    assert "stopped after 2 words: the answer was cut" in done.out
    assert done.code == 1  # the program does not catch it


async def test_save_to_database_keeps_every_answer(example: Run, tmp_path: Path) -> None:
    async with Simulator(seed=3, tokens=40) as simulator:
        done = await example("save_to_database", simulator, "answers.db")
    assert len(done.out.splitlines()) == 3
    assert all(line.startswith("stop: ") for line in done.out.splitlines())
    with closing(sqlite3.connect(tmp_path / "answers.db")) as connection:
        rows = connection.execute("SELECT text, outcome FROM answers").fetchall()
    assert [outcome for _, outcome in rows] == ["stop"] * 3
    assert len({text for text, _ in rows}) == 3
    assert all(len(text) > 40 for text, _ in rows)


@pytest.mark.slow
async def test_timeline_log_draws_a_strip_per_variant(example: Run, tmp_path: Path) -> None:
    async with Simulator(tokens=30, ttft=0.3, gap=0.02) as simulator:
        done = await example("timeline_log", simulator, "log.jsonl")
    first, second = done.out.splitlines()
    for line, variant in ((first, "A"), (second, "B")):
        found = re.fullmatch(
            rf"{variant}  \|(.+)\|  30 tokens, the first after (\d\.\d\d) s, all after (\d\.\d\d) s",
            line,
        )
        assert found, line
        assert found[1].startswith("  ")  # silence until the first token
        assert 0.29 <= float(found[2]) < float(found[3])
    assert (tmp_path / "log.jsonl").read_text("utf-8").count('"e":"token"') == 60


async def test_tools_are_run_and_told(example: Run) -> None:
    calls = [("get_weather", {"city": "Oslo"}), ("local_time", {"zone": "Europe/Oslo"})]
    async with Simulator(tool_calls=calls) as simulator:
        done = await example("tools", simulator)
    weather = '{"city":"Oslo","sky":"clear","temperature":18,"unit":"C"}'
    assert done.out.startswith(
        f"[round 2: get_weather said {weather}]\n"
        "[round 2: local_time said 12:00 in Europe/Oslo]\n"
        f"The tools say: {weather}; 12:00 in Europe/Oslo\n2 rounds, 5 messages, answer\n$0.00"
    )


async def test_tool_calls_answers_the_call_and_goes_on(example: Run) -> None:
    calls = [("get_weather", {"city": "Oslo"})]
    async with Simulator(text=["It is clear."], tool_calls=calls) as simulator:
        done = await example("tool_calls", simulator)
    assert '[get_weather({"city": "Oslo"})]' in done.out
    assert done.out.endswith("It is clear.\n4 messages\n")
    last = simulator.requests[-1].json["messages"][-1]
    assert (last["role"], "celsius" in last["content"]) == ("tool", True)


async def test_fallbacks_asks_the_other_model(example: Run) -> None:
    faults = ["status:503", "status:503", None]
    async with Simulator(text="Rhine, Nile, Amur.", faults=faults) as simulator:
        done = await example("fallbacks", simulator)
    assert done.out.count("; asking gpt-6-sol in 0.1 s]") == 1
    assert done.out.count("; asking gpt-6-luna in 0.0 s]") == 1
    assert done.out.endswith("Rhine, Nile, Amur.\nanswered by gpt-6-luna in attempt 3\n")


async def test_fallbacks_keeps_what_was_received(example: Run) -> None:
    async with Simulator(text=["Rhine, ", "Nile, ", "Amur."], faults="reset:2") as simulator:
        done = await example("fallbacks", simulator)
    assert done.out.startswith("Rhine, Nile, \nConnectionLostError: ")
    assert done.out.endswith("; 13 characters are kept\n")


async def test_other_providers_tells_how_each_answered(example: Run) -> None:
    async with Simulator(text="Nile", faults=[None, None, None, "reset:1"]) as simulator:
        done = await example("other_providers", simulator)
    *whole, broken = done.out.splitlines()
    ends = {
        "openai:gpt-6-sol": "stop",
        "openai-responses:gpt-6-sol": "completed",
        "anthropic:claude-sonnet-5-5": "end_turn",
    }
    assert [line.partition(": ")[0] for line in whole] == list(ends)
    for line, end in zip(whole, ends.values(), strict=True):
        assert re.search(rf": 'Nile' after \d\.\d s; end: stop \({end}\); cost: \$0\.0", line)
    assert broken.startswith("gemini:gemini-3.8-flash: 'Nile', then ConnectionLostError: ")


async def test_other_providers_names_the_variable_of_a_missing_key(
    run: Run, python: tuple[str, ...]
) -> None:
    done = await run(*python, EXAMPLES / "other_providers.py", env=clean_environment())
    assert (done.code, done.complaints) == (0, "")
    for variable in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY"):
        assert variable in done.out


async def test_many_prompts_yields_answers_and_failures(example: Run) -> None:
    async with Simulator(text="Grey on grey.", faults=[None, "reset:2", None]) as simulator:
        done = await example("many_prompts", simulator)
        assert simulator.request_count == 8
    *lines, last = done.out.splitlines()
    assert sum(line.endswith(": Grey on grey.") for line in lines) == 7
    assert sum(": ConnectionLostError: " in line for line in lines) == 1
    assert last == "7 answers, 91 characters, 1 failed"


async def test_files_are_asked_about_and_the_conversation_is_kept(
    example: Run, tmp_path: Path
) -> None:
    async with Simulator(text="Rain.") as simulator:
        done = await example("files", simulator)
    assert re.search(r"^2 messages, about \d+ tokens$", done.out, re.M)
    assert done.out.count("Rain.") == 2


def test_programs_of_the_page_are_as_they_were_given() -> None:
    """They are the page's, not ours to improve: a change here is a change of the promise."""
    digest = hashlib.sha256()
    for name in PAGE:
        digest.update((EXAMPLES / f"{name}.py").read_bytes())
    assert digest.hexdigest() == "1430c740d3971e0dfa04357959e566309c083dcda6994d5e84be5d19ae901c8a"


@needs("jiter")
async def test_structured_answer_shows_a_recipe_that_grows(example: Run) -> None:
    text = '{"title": "Pancakes", "ingredients": [{"name": "milk", "grams": 5}], "steps": ["Mix"]}'
    async with Simulator(text=text, gap=0.02) as simulator:
        done = await example("structured_answer", simulator)
    lines = done.out.splitlines()
    assert lines[-1] == "Pancakes: 1 steps"
    assert lines[-2].startswith("... title, ingredients")
    assert simulator.requests[0].json["response_format"]["json_schema"]["strict"] is True
    async with Simulator(text=text[:40]) as simulator:
        done = await example("structured_answer", simulator)
    assert "no recipe: the answer holds no whole Recipe: at ingredients[0]" in done.out
