"""TypeScript's own compiler reads the types of the module for pages, and finds nothing wrong in it."""

from __future__ import annotations

import shutil
import sys
from importlib.resources import files
from pathlib import Path

import pytest

from support.outside import npm_program
from support.programs import Run

pytestmark = pytest.mark.slow

_PAGE = """
import { stream } from "./lm_deluge.js"
const signal = new AbortController().signal
const answer = stream("/chat", { method: "POST", body: "x", headers: { a: "b" }, signal, patience: 3 })
for await (const piece of answer) {
  const words: string[] = [piece.kind, piece.text ?? "", piece.finish_reason]
  console.log(words, piece.i?.toFixed())
}
const [stopped, id]: [boolean, string] = [await answer.stop(), answer.id]
stream(new URL("https://app.example/streams/" + id + stopped), { base: "/streams/" })
// @ts-expect-error: an option that there is not
stream("/chat", { patients: 3 })
// @ts-expect-error: a kind is a word
for await (const piece of stream("/chat")) piece.kind.then()
"""


async def test_the_module_has_the_types_that_it_says(run: Run, tmp_path: Path) -> None:
    program = npm_program("typescript@5.9.3", "tsc")
    module = files("lm_deluge_plugins.relay").joinpath("static", "lm_deluge.js")
    (tmp_path / "lm_deluge.js").write_bytes(module.read_bytes())
    (tmp_path / "page.ts").write_text(_PAGE)
    options = (
        "--allowJs --checkJs --noEmit --target es2022 --module esnext --moduleResolution bundler"
    )
    node = shutil.which("node") or sys.exit("no node")
    done = await run(
        node, program, *options.split(), "page.ts", "lm_deluge.js", cwd=tmp_path, seconds=100
    )
    assert (done.code, done.out) == (0, "")
