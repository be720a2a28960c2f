"""Small files of the kinds that people have, in the style of each, and what is asked of them."""

from __future__ import annotations

import csv
import gzip
import io
import json
from typing import Any

import attrs
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

PICTURE = "data:image/png;base64,iVBORw0KGgo="

WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOL = {"type": "function", "function": {"name": "weather", "parameters": WEATHER}}


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def said(content: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content}


def lines(*values: Any) -> bytes:
    return "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values).encode()


def table(*rows: list[str], delimiter: str = ",", encoding: str = "utf-8") -> bytes:
    made = io.StringIO(newline="")
    csv.writer(made, delimiter=delimiter).writerows(rows)
    return made.getvalue().encode(encoding)


def parquet(*rows: dict[str, Any]) -> bytes:
    made = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(rows)), made)
    return made.getvalue()


@attrs.frozen
class Case:
    """A file, what the server receives of its first row, and what is in the row of its answer."""

    name: str
    data: bytes
    args: tuple[str, ...] = ()
    messages: list[dict[str, Any]] = attrs.field(factory=lambda: [user("Why?")])
    row: dict[str, Any] | None = None
    id: str = "0"
    reference: Any = None
    told: str = ""
    count: int = 1
    body: dict[str, Any] = attrs.field(factory=dict)


GSM = {"question": "Why?", "answer": "#### 42"}
SHAREGPT = {
    "id": "s1",
    "conversations": [
        {"from": "system", "value": "Be kind."},
        {"from": "human", "value": "Hi"},
        {"from": "gpt", "value": "Hello"},
        {"from": "human", "value": "Why?"},
        {"from": "gpt", "value": "Because."},
    ],
}
CASES = [
    Case(
        "prompt.jsonl",
        lines({"prompt": "Why?", "category": "x", "n": 1}),
        row={"category": "x", "n": 1},
    ),
    Case(
        "messages.jsonl", lines({"messages": [user("Why?")], "source": None}), row={"source": None}
    ),
    Case(
        "parts.jsonl",
        lines({"messages": [user([{"type": "image_url", "image_url": {"url": PICTURE}}])]}),
        messages=[user([{"type": "image_url", "image_url": {"url": PICTURE}}])],
    ),
    Case(
        "trl.jsonl",
        lines({"prompt": [user("Why?")], "completion": [said("So.")]}),
        row={"completion": [said("So.")]},
    ),
    Case(
        "evals.jsonl",
        lines(
            {"input": [{"role": "system", "content": "Be brief."}, user("Why?")], "ideal": "So."}
        ),
        messages=[{"role": "system", "content": "Be brief."}, user("Why?")],
        row={"ideal": "So."},
    ),
    Case(
        "inspect.json",
        json.dumps([{"input": "Why?", "target": "So.", "id": 7}]).encode(),
        row={"target": "So."},
        id="7",
    ),
    Case(
        "preferences.jsonl",
        lines(
            {
                "input": {"messages": [user("Why?")], "tools": [TOOL]},
                "preferred_output": [said("So.")],
            }
        ),
        row={"preferred_output": [said("So.")]},
        body={"tools": [TOOL]},
    ),
    Case(
        "helm.json",
        json.dumps([{"input": {"text": "Why?"}, "references": [], "id": "id3"}]).encode(),
        row={"references": []},
        id="id3",
    ),
    Case(
        "tuning.jsonl",
        lines(
            {
                "messages": [
                    {"role": "system", "content": "Be kind."},
                    user("Hi"),
                    {**said("Yo"), "weight": 0},
                    user("Why?"),
                    said("So."),
                ]
            }
        ),
        messages=[{"role": "system", "content": "Be kind."}, user("Hi"), said("Yo"), user("Why?")],
        reference="So.",
        told="1 lines: messages end with the assistant's",
    ),
    Case(
        "tuning_tools.jsonl",
        lines(
            {
                "messages": [
                    user("Why?"),
                    {
                        "role": "assistant",
                        "tool_calls": [
                            {
                                "id": "c",
                                "type": "function",
                                "function": {"name": "weather", "arguments": "{}"},
                            }
                        ],
                    },
                ],
                "tools": [TOOL],
            }
        ),
        reference={
            "role": "assistant",
            "tool_calls": [
                {"id": "c", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
            ],
        },
        told="reference",
        body={"tools": [TOOL]},
    ),
    Case(
        "sharegpt.json",
        json.dumps([SHAREGPT], indent=2).encode(),
        id="s1",
        reference="Because.",
        told="reference",
        messages=[
            {"role": "system", "content": "Be kind."},
            user("Hi"),
            said("Hello"),
            user("Why?"),
        ],
    ),
    Case(
        "wildchat.jsonl",
        lines(
            {"conversation": [{"role": "user", "content": "Why?", "hashed_ip": "x"}], "model": "m"}
        ),
        row={"model": "m"},
    ),
    Case(
        "alpaca.json",
        json.dumps([{"instruction": "Why?", "input": "", "output": "So."}]).encode(),
        row={"output": "So."},
        told="--prompt",
    ),
    Case(
        "alpaca_input.json",
        json.dumps([{"instruction": "Sum up.", "input": "A long text.", "output": "So."}]).encode(),
        messages=[user("Sum up.\n\nA long text.")],
        row={"output": "So."},
        told="--prompt",
    ),
    Case(
        "gsm8k.jsonl",
        lines(GSM),
        ("--prompt", r"{question}\nAnswer {{briefly}}."),
        [user("Why?\nAnswer {briefly}.")],
        row=GSM,
    ),
    Case(
        "mmlu.jsonl",
        lines({"question": "Why?", "choices": ["a", "b"], "answer": 1}),
        ("--prompt", "{question}: {choices} {choices.0}"),
        [user('Why?: ["a", "b"] a')],
        row={"question": "Why?", "choices": ["a", "b"], "answer": 1},
    ),
    Case(
        "lm_eval.jsonl",
        lines({"doc_id": 3, "doc": {"question": "Why?"}, "target": "So."}),
        ("--prompt", "{doc.question}", "--id-by", "doc_id"),
        row={"doc_id": 3, "doc": {"question": "Why?"}, "target": "So."},
        id="3",
    ),
    Case(
        "helm_state.json",
        json.dumps(
            {"adapter_spec": {"name": "x"}, "request_states": [{"request": {"prompt": "Why?"}}]},
            indent=1,
        ).encode(),
        ("--prompt", "{request.prompt}"),
        row={"request": {"prompt": "Why?"}},
    ),
    Case(
        "promptfoo.json",
        json.dumps({"tests": [{"vars": {"q": "Why?"}, "assert": []}]}).encode(),
        ("--prompt", "{vars.q}"),
        row={"vars": {"q": "Why?"}, "assert": []},
    ),
    Case(
        "bigbench.json",
        json.dumps(
            {"name": "b", "examples": [{"input": "Why?", "target": "So."}], "keywords": ["k"]}
        ).encode(),
        row={"target": "So."},
    ),
    Case("data.json", json.dumps({"data": [{"prompt": "Why?"}]}, indent=4).encode()),
    Case("texts.json", b'["Why?", "How?"]', count=2),
    Case("pretty.json", b'{\n "prompt": "Why?"\n}\n{\n "prompt": "How?"\n}', count=2),
    Case("lines.json", lines({"prompt": "Why?"}, {"prompt": "How?"}), count=2),
    Case("chats.jsonl", lines([user("Why?")], [user("How?")]), count=2),
    Case(
        "gemini.jsonl",
        lines(
            {
                "contents": [
                    {"role": "user", "parts": [{"text": "Why?"}]},
                    {"role": "model", "parts": [{"text": "So."}]},
                ],
                "systemInstruction": {"parts": [{"text": "Be kind."}]},
            }
        ),
        messages=[{"role": "system", "content": "Be kind."}, user("Why?")],
        reference="So.",
        told="reference",
    ),
    Case("plain.txt", b"Why?\r\n\r\nHow?\r\n", count=2),
    Case("classic.txt", b"Why?\rHow?\r", count=2),
    Case(
        "comma.csv",
        table(["prompt", "lang"], ["Why?", "en"], ["How?", "de"]),
        row={"lang": "en"},
        count=2,
    ),
    Case(
        "semicolon.csv",
        table(["prompt", "price"], ["Why?", "1,50"], delimiter=";", encoding="utf-8-sig"),
        row={"price": "1,50"},
    ),
    Case(
        "excel.csv",
        b"sep=;\r\n" + table(["prompt", "lang"], ["Why?", "en"], ["", ""], delimiter=";"),
        row={"lang": "en"},
    ),
    Case(
        "unicode.txt.csv",
        table(["prompt", "note"], ["Why?", "\u00fc"], delimiter="\t", encoding="utf-16"),
        row={"note": "\u00fc"},
    ),
    Case(
        "big_endian.csv",
        "\ufeffprompt;note\r\nWhy?;\u00fc\r\n".encode("utf-16-be"),
        row={"note": "\u00fc"},
    ),
    Case(
        "ansi.csv",
        table(["prompt", "note"], ["Why?", "\u20ac"], encoding="cp1252"),
        ("--encoding", "cp1252"),
        row={"note": "\u20ac"},
    ),
    Case(
        "tabs.tsv", table(["prompt", "note"], ["Why?", "a,b"], delimiter="\t"), row={"note": "a,b"}
    ),
    Case(
        "index.csv",
        table(["", "question"], ["0", "Why?"]),
        ("--prompt", "{question}"),
        row={"column 1": "0", "question": "Why?"},
    ),
    Case("cells.csv", table(["messages", "k"], [json.dumps([user("Why?")]), "1"]), row={"k": "1"}),
    Case(
        "promptfoo.csv",
        table(["q", "__expected"], ["Why?", "contains: So"]),
        ("--prompt", "{q}", "--tag-by", "q"),
        row={"q": "Why?", "__expected": "contains: So"},
    ),
    Case("packed.jsonl.gz", gzip.compress(lines({"prompt": "Why?", "k": 1})), row={"k": 1}),
    Case(
        "packed.csv.zst", zstandard.compress(table(["prompt", "k"], ["Why?", "1"])), row={"k": "1"}
    ),
    Case(
        "train.parquet",
        parquet({"prompt": "Why?", "score": 0.5, "tags": ["a"]}),
        row={"score": 0.5, "tags": ["a"]},
    ),
    Case(
        "chat.parquet",
        parquet({"messages": [user("Why?"), said("So.")]}),
        reference="So.",
        told="reference",
    ),
    Case("nameless", lines({"prompt": "Why?"})),
]
