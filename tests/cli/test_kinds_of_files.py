"""The files that people have: each is asked as it is meant, and carried into its answers' rows."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lm_deluge.simulator import Simulator
from support.kinds_of_files import CASES, GSM, Case, lines, said, table, user
from support.programs import Call

NOWHERE = {"OPENAI_API_KEY": "sk-1", "OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}

#: Those that standard input has to be told apart from each other.
PIPED = {
    "prompt.jsonl",
    "data.json",
    "plain.txt",
    "semicolon.csv",
    "unicode.txt.csv",
    "packed.jsonl.gz",
    "train.parquet",
}


@pytest.mark.parametrize(
    ("case", "way"),
    [(case, "file") for case in CASES] + [(case, "-") for case in CASES if case.name in PIPED],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_a_file_is_asked_as_it_is_meant(call: Call, tmp_path: Path, case: Case, way: str) -> None:
    path = tmp_path / case.name
    path.write_bytes(case.data)
    with Simulator(text="yes") as simulator:
        served = {"OPENAI_BASE_URL": simulator.base_url, "OPENAI_API_KEY": "sk-1"}
        given = str(path) if way == "file" else "-"
        stdin = b"" if way == "file" else case.data
        args = ("-m", "gpt-4o", "--quiet", "--concurrency", "1", *case.args)
        done = call("run", given, *args, stdin=stdin, **served)
        received = [request.json for request in simulator.requests]
    assert done.code == 0, done.err
    assert case.told in done.err
    assert len(done.err.splitlines()) == (1 if case.told else 0)
    assert len(received) == case.count
    assert received[0]["messages"] == case.messages
    assert {key: received[0].get(key) for key in case.body} == case.body
    row = json.loads(done.out.split("\n")[0])
    assert row["ok"]
    assert row["id"] == case.id
    assert row.get("row") == case.row
    assert row.get("reference") == case.reference


NOTHING = [
    (
        "gsm.jsonl",
        lines(GSM),
        ("line 1: there is nothing to ask", "`question`", "`answer`", "--prompt '{question}'"),
    ),
    (
        "dolly.jsonl",
        lines({"instruction": "Why?", "context": "It is so.", "response": "So."}),
        (r"--prompt '{instruction}\n\n{context}'",),
    ),
    (
        "typo.jsonl",
        lines({"promt": "Why?", "lang": "en"}),
        ("`promt` is nearly `prompt`", "--prompt '{promt}'", "`lang`"),
    ),
    (
        "typo.csv",
        table(["Prompt", "lang"], ["Why?", "en"]),
        ("`Prompt` is nearly `prompt`", "line 2"),
    ),
    ("typo.jsonl", lines({"mesages": [user("Why?")]}), ("`mesages` is nearly `messages`",)),
    (
        "deep.jsonl",
        lines({"doc": {"question": "Why?"}, "doc_id": 1}),
        ("--prompt '{doc.question}'",),
    ),
    ("empty.jsonl", lines({"prompt": ""}), ('"prompt" is empty',)),
    (
        "both.jsonl",
        lines({"a": "x"}, {"prompt": "ok"}, {"a": "y"}),
        ("line 1 and 1 more lines: there is nothing",),
    ),
    (
        "damage.jsonl",
        b'{"prompt": "a"}\n{"prompt": \n{"prompt": ""}\n\xff\n',
        ("line 2: not JSON", "line 3: ", "line 4: not UTF-8", "cp1252"),
    ),
    (
        "damage.json",
        b'[{"prompt": "a"},\n {"prompt": "b"\n {"prompt": "c"}]',
        ("line 2: not JSON",),
    ),
    ("cut.json", b'{"data": [{"prompt": "a"},\n{"prompt": "b"}', ("damage", "cut.json, line")),
    ("two.json", b'{"train": [{"q": "a"}], "test": [{"q": "b"}]}', ("`train`, `test`",)),
    ("cut.jsonl.gz", gzip.compress(lines({"prompt": "Why?"}) * 99_999)[:-100], ("damaged or cut",)),
    ("cut.parquet", b"PAR1" + b"x" * 50, ("Parquet file is damaged",)),
    ("book.xlsx", b"PK\x03\x04" + b"x" * 50, ("CSV",)),
    (
        "assistant.jsonl",
        lines({"messages": [said("So.")]}),
        ("nothing to ask", "only the assistant"),
    ),
    (
        "embeddings.jsonl",
        lines({"custom_id": "a", "url": "/v1/embeddings", "body": {"input": "x", "model": "m"}}),
        ("/v1/embeddings",),
    ),
    ("turns.jsonl", lines({"turns": ["a", ""]}), ("turns[1] is empty",)),
    (
        "speaker.jsonl",
        lines({"conversations": [{"from": "robot", "value": "x"}]}),
        ("'robot'", "human"),
    ),
    ("blank.csv", b"\r\n", ("no prompts",)),
]


@pytest.mark.parametrize(("name", "data", "words"), NOTHING)
def test_where_there_is_nothing_to_ask_it_says_what_there_is(
    call: Call, tmp_path: Path, name: str, data: bytes, words: tuple[str, ...]
) -> None:
    (tmp_path / name).write_bytes(data)
    done = call("run", str(tmp_path / name), **NOWHERE)
    assert done.code == 2, done.err
    assert len(done.err.splitlines()) == 1
    for word in words:
        assert word in done.err or word == "damage", done.err


TYPED = [
    (
        "{qestion}",
        "there is no column `qestion`; there are `question`, `answer`; did you mean {question}?",
    ),
    ("{{question}}", "no column is named"),
    ("Why?", "no column is named"),
    ("{question", "names no column"),
    ("{question} }", "closes nothing"),
    ('{"a": {question}}', "the brace at character 1 of"),
]


@pytest.mark.parametrize(("template", "words"), TYPED)
def test_a_template_that_makes_no_sense_is_told(
    call: Call, tmp_path: Path, template: str, words: str
) -> None:
    (tmp_path / "p.jsonl").write_bytes(lines(GSM))
    done = call("run", str(tmp_path / "p.jsonl"), "--prompt", template, **NOWHERE)
    assert (done.code, words in done.err) == (2, True), done.err


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (("--tag-by", "categry"), "there is no column `categry`; there are `prompt`, `category`"),
        (("--id-by", "categry"), "did you mean {category}?"),
        (("--seed", "3"), "--sample"),
        (("--encoding", "klingon"), "klingon"),
    ],
)
def test_a_column_that_is_not_there_is_told(
    call: Call, tmp_path: Path, option: tuple[str, ...], words: str
) -> None:
    (tmp_path / "p.jsonl").write_bytes(lines({"prompt": "Why?", "category": "x"}))
    done = call("run", str(tmp_path / "p.jsonl"), *option, **NOWHERE)
    assert (done.code, words in done.err) == (2, True), done.err


Ask = Callable[..., tuple[list[dict[str, Any]], list[dict[str, Any]], str]]


@pytest.fixture
def ask(call: Call, tmp_path: Path) -> Ask:
    """``received, rows, err = ask(data, *args)``: of a file of these lines."""

    def run(data: bytes, *args: str, text: Any = "yes", code: int = 0) -> Any:
        (tmp_path / "p.jsonl").write_bytes(data)
        with Simulator(text=text) as simulator:
            key = "sk-test-0123456789"
            served = {
                "OPENAI_BASE_URL": simulator.base_url, "OPENAI_API_KEY": key,
                "ANTHROPIC_BASE_URL": simulator.url, "ANTHROPIC_API_KEY": key,
                "GOOGLE_GEMINI_BASE_URL": simulator.url, "GEMINI_API_KEY": key,
            }  # fmt: skip
            done = call(
                "run", str(tmp_path / "p.jsonl"), "--quiet", "--concurrency", "1", *args, **served
            )
            received = [{**request.json, "path": request.path} for request in simulator.requests]
        assert done.code == code, done.err
        return received, [json.loads(line) for line in done.out.split("\n") if line], done.err

    return run


def test_turns_are_asked_one_after_the_other(ask: Ask) -> None:
    bench = {"question_id": 81, "category": "writing", "turns": ["Write.", "Rewrite.", "Again."]}
    count = iter(range(9))
    received, rows, _ = ask(
        lines(bench), "--id-by", "question_id", "--tag-by", "category",
        text=lambda _: f"answer {next(count)}",
    )  # fmt: skip
    assert [sent["messages"] for sent in received] == [
        [user("Write.")],
        [user("Write."), said("answer 0"), user("Rewrite.")],
        [user("Write."), said("answer 0"), user("Rewrite."), said("answer 1"), user("Again.")],
    ]
    assert [(row["id"], row["turn"], row["prompt"], row["completion"]) for row in rows] == [
        ("81", 0, "Write.", "answer 0"),
        ("81", 1, "Rewrite.", "answer 1"),
        ("81", 2, "Again.", "answer 2"),
    ]
    assert all(row["tags"] == {"category": "writing"} for row in rows)
    assert all(row["row"] == {"question_id": 81, "category": "writing"} for row in rows)


def test_a_conversation_goes_on_where_it_stopped(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("p.jsonl").write_bytes(lines({"turns": ["a", "b", "c"]}, {"turns": ["d"]}))
    with Simulator(text="yes") as simulator:
        served = {"OPENAI_BASE_URL": simulator.base_url, "OPENAI_API_KEY": "sk-1"}
        args = ("run", "p.jsonl", "--out", "out.jsonl", "-n", "2", "--quiet")
        assert call(*args, **served).code == 0
        rows = [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]
        assert sorted((row["id"], row["sample"], row["turn"]) for row in rows) == [
            *(("0", sample, turn) for sample in (0, 1) for turn in (0, 1, 2)),
            ("1", 0, 0),
            ("1", 1, 0),
        ]
        kept = [row for row in rows if (row["id"], row["sample"], row["turn"]) != ("0", 1, 2)]
        kept = [{**row, "completion": f"{row['sample']}{row['turn']}"} for row in kept]
        Path("out.jsonl").write_bytes(lines(*kept))
        before = simulator.request_count
        assert call(*args, **served).code == 0
        (left,) = simulator.requests[before:]
    assert left.json["messages"] == [user("a"), said("10"), user("b"), said("11"), user("c")]


def test_a_turn_that_fails_ends_its_conversation(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_bytes(lines({"turns": ["a", "b", "c"]}))
    with Simulator(text="yes yes", faults=[None, "eof:1"]) as simulator:
        served = {"OPENAI_BASE_URL": simulator.base_url, "OPENAI_API_KEY": "sk-1"}
        done = call("run", str(path), "--concurrency", "1", **served)
        assert simulator.request_count == 2
    assert done.code == 1
    assert "0 gpt-5.4-mini: the turn that follows was not asked" in done.err
    assert "1 of 3 answers" in done.err


def test_samples_are_rows_of_their_own(ask: Ask) -> None:
    received, rows, _ = ask(lines({"prompt": "dice"}, {"prompt": "coin"}), "-n", "3")
    assert len(received) == 6
    assert [(row["prompt"], row["sample"]) for row in rows] == [
        (prompt, sample) for prompt in ("dice", "coin") for sample in range(3)
    ]


def test_a_part_of_a_file_is_asked_and_the_same_part_again(ask: Ask) -> None:
    many = lines(*({"prompt": f"p{n}"} for n in range(100)))

    def ids(*args: str) -> list[int]:
        return [int(row["id"]) for row in ask(many, *args)[1]]

    assert ids("--limit", "3") == [0, 1, 2]
    first = ids("--sample", "8", "--seed", "1")
    assert first == sorted(first)
    assert len(set(first)) == 8
    assert ids("--sample", "8", "--seed", "1") == first
    assert ids("--sample", "8", "--seed", "2") != first
    assert set(ids("--sample", "8", "--seed", "1", "--limit", "20")) <= set(range(20))
    assert len(ids("--sample", "500")) == 100
