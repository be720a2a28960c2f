"""Whatever is written as JSON or as a table is read back as it was, in pieces and more than once."""

from __future__ import annotations

import csv
import gzip
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from lm_deluge.cli.running.asked import Wrong
from lm_deluge.cli.running.formats import RowSource
from lm_deluge.cli.running.template import Template

TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0\r"), max_size=30)
VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
ROWS = st.lists(
    st.dictionaries(TEXT, VALUE, max_size=4).map(lambda row: {"prompt": "x", **row}),
    min_size=1,
    max_size=5,
)
ENCODINGS = st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"])

SHAPES: dict[str, Any] = {
    "lines.jsonl": lambda rows, write: "".join(write(row) + "\n" for row in rows),
    "array.json": lambda rows, write: write(rows),
    "pretty.json": lambda rows, write: write(rows, indent=2),
    "sequence.json": lambda rows, write: "\n".join(write(row, indent=1) for row in rows),
    "inside.json": lambda rows, write: write({"name": "x", "data": rows, "none": []}),
}


def read(data: bytes, name: str = "-", **more: Any) -> list[Any]:
    """Return the rows of a file, read twice."""
    source = RowSource(io.BytesIO(data), name, **more)
    found = [row for _, row in source]
    assert [row for _, row in source] == found
    return found


@settings(max_examples=60, deadline=None)
@given(ROWS, st.sampled_from(sorted(SHAPES)), ENCODINGS, st.booleans())
def test_json_comes_back(rows: list[Any], name: str, encoding: str, escaped: bool) -> None:
    def write(value: Any, **how: Any) -> str:
        return json.dumps(value, ensure_ascii=escaped, **how)

    assert read(SHAPES[name](rows, write).encode(encoding), name) == rows


#: Without the one character that Unicode promises never to give a meaning, which cuts tables of one column.
CELL = st.text(
    st.characters(exclude_categories=("Cs",), exclude_characters="\0\ufdd0"), max_size=20
)
TABLE = st.integers(1, 4).flatmap(
    lambda wide: st.lists(st.lists(CELL, min_size=wide, max_size=wide), min_size=1, max_size=5)
)


@settings(max_examples=100, deadline=None)
@given(TABLE, st.sampled_from(",;\t|"), ENCODINGS, st.booleans())
def test_tables_come_back(
    rows: list[list[str]],
    delimiter: str,
    encoding: str,
    quoted: bool,
) -> None:
    names = ["prompt", "b c", "d", "e"][: len(rows[0])]
    made = io.StringIO(newline="")
    quoting = csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL
    csv.writer(made, delimiter=delimiter, quoting=quoting).writerows([names, *rows])
    expected = [dict(zip(names, row, strict=True)) for row in rows if any(c.strip() for c in row)]
    assert read(made.getvalue().encode(encoding), "table.csv") == expected


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(TEXT, st.sampled_from(["a", "b c", "é"])), min_size=1, max_size=4),
    st.fixed_dictionaries({name: TEXT.filter(str.strip) for name in ("a", "b c", "é")}),
)
def test_what_a_template_says_comes_out(parts: list[tuple[str, str]], row: dict[str, str]) -> None:
    def typed(text: str) -> str:
        for what, by in (("\\", "\\\\"), ("{", "{{"), ("}", "}}"), ("\n", "\\n"), ("\t", "\\t")):
            text = text.replace(what, by)
        return text

    template = "".join(f"{typed(text)}{{{name}}}" for text, name in parts)
    assert Template.parse(template).filled(row) == "".join(t + row[name] for t, name in parts)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=60), st.sampled_from(["", ".jsonl", ".json", ".csv", ".txt", ".gz"]))
def test_no_bytes_end_in_anything_but_rows_or_a_word(data: bytes, extension: str) -> None:
    for begin in (
        b"",
        b"\x1f\x8b\x08",
        b"\x28\xb5\x2f\xfd",
        b"BZh9",
        b"\xfd7zXZ\x00",
        b"PAR1",
        b"[{",
    ):
        try:
            rows = read(begin + data, f"file{extension}")
        except click.UsageError:
            continue
        assert all(isinstance(row, dict | Wrong) for row in rows)


@pytest.mark.parametrize(
    ("data", "name", "expected"),
    [
        (b"[]", "-", []),
        (b"", "-", []),
        (b"[INST] Hi\n", "-", [{"prompt": "[INST] Hi"}]),
        (b"Why, oh why?\nYes, do\n", "-", [{"prompt": "Why, oh why?"}, {"prompt": "Yes, do"}]),
        (b"prompt\nWhy, oh why?\n", "p.csv", [{"prompt": "Why, oh why?"}]),
        (b'{"q": "x",\n "choices": [{"a": 1}]}', "p.json", [{"a": 1}]),
    ],
)  # fmt: skip
def test_what_is_seen_in_small_files(data: bytes, name: str, expected: list[Any]) -> None:
    assert read(data, name) == expected


def test_an_object_that_has_the_columns_asked_for_is_a_row() -> None:
    data = b'{"q": "x",\n "choices": [{"a": 1}]}'
    assert read(data, "p.json", columns=["q"]) == [{"q": "x", "choices": [{"a": 1}]}]


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind", ["big.jsonl", "big.json", "inside.json", "big.jsonl.gz", "big.csv.zst"]
)
def test_a_large_file_needs_no_more_memory_than_a_small_one(tmp_path: Path, kind: str) -> None:
    rows = [{"prompt": "p" * 200, "n": n} for n in range(400_000)]
    text = "\n".join(json.dumps(row) for row in rows)
    if "csv" in kind:
        text = "prompt,n\n" + "\n".join(f"{row['prompt']},{row['n']}" for row in rows)
    elif "jsonl" not in kind:
        text = "[" + text.replace("}\n", "},\n") + "]"
        text = text if kind == "big.json" else f'{{"data": {text}}}'
    data = text.encode()
    packed = {".gz": gzip.compress, ".zst": zstandard.compress}.get(Path(kind).suffix, bytes)(data)
    (tmp_path / kind).write_bytes(packed)
    code = f"""import resource
from lm_deluge.cli.running.formats import RowSource
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
count = sum(1 for _ in RowSource(open({str(tmp_path / kind)!r}, "rb"), {kind!r}))
print(count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    count, grown = map(int, done.stdout.split())
    assert count == 400_000
    assert grown < 20_000  # kB, of 90 MB
