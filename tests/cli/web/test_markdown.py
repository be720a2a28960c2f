"""The page's Markdown in a real browser: what comes piece by piece ends as what comes at once."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from lm_deluge.cli import browsing
from support.browser import open_page
from support.web_page import serving_page

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

TEXTS = Path(str(browsing.__file__)).parent / "texts"

TRICKY = (
    "- a\n\n1. b\n2. c\n\ntext\n\n3. d",
    "1. one\n\n2. two\n\n   more of two\n3. three",
    "* a\n  * b\n    * c\n\n      deep\n* d\n\n\n* e",
    "# h\n\nline\n===\n\nother\n---\n\n---\n***\n\n- - -",
    "a\n| x | y |\n|:-:|--:|\n| `a|b` | c \\| d |\n\n| not a table",
    "```\nopen\n\n~~~\n```\n\n~~~py\nx\n```\n~~~\nend\n\n```never closed\n\n# no heading",
    "> q\nlazy\n> > deeper\n\n> other\n- list",
    "**bold *both* ~~gone~~** ***x*** *a **b* c** __d__ a_b_c 2*3*4 ** no",
    "`a` ``b`c`` ` open **x** \n\n`again",
    "[a](https://x.example 'ti\"t') [b] (c) [d](e f) ![i](https://x.example/i.png) [half](https://x",
    "- [ ] todo\n- [x] done\n- [x]no\n\nhttps://a.example/b_c_(d). <https://e.example> <b> &#x41; &nope;",
    "end with spaces  \nbreak\\\nbreak\r\n\r\ncarriage",
    "\n\n\n   \n\t\n",
    "1) a\n2) b\n- c\n+ d\n\n    indented\n\n-\n-x\n1.\n12345678901. no",
)  # fmt: skip

#: Shows a text whole, and in pieces cut at the given places; says where the two differ.
COMPARE = """(async (text, cuts) => {
  const { MarkdownView } = await import("/page/markdown/render.js");
  const make = () => { const div = document.createElement("div"); return [div, new MarkdownView(div)]; };
  const [whole, atOnce] = make();
  atOnce.update(text, false);
  const [grown, view] = make();
  for (const cut of cuts) view.update(text.slice(0, cut), true);
  view.update(text, false);
  return [whole.innerHTML, grown.innerHTML];
})"""


def texts() -> list[str]:
    """Those of the simulator, those that are hard to cut, and some of both in any order."""
    drawn = random.Random(3)
    own = [path.read_text("utf-8") for path in sorted(TEXTS.glob("*.md"))]
    mixed = ["\n\n".join(drawn.sample([*own, *TRICKY], 5)) for _ in range(10)]
    pieces = [piece for text in TRICKY for piece in text.split("\n")]
    odd = ["\n".join(drawn.choices([*pieces, "", ""], k=14)) for _ in range(60)]
    marks = [
        *"*_~`[]()!<>&\\#-+|:.1 \n\n",
        "a",
        "b ",
        "https://x.example",
        "```",
        "**",
        "  ",
        "&amp;",
        "\n- ",
    ]
    wild = ["".join(drawn.choices(marks, k=40)) for _ in range(200)]
    return [*own, *TRICKY, *mixed, *odd, *wild]


async def test_however_a_text_is_cut_the_page_shows_it_as_if_it_came_at_once() -> None:
    drawn = random.Random(5)
    async with serving_page({}) as url, open_page(url) as page:
        for text in texts():
            every = list(range(1, len(text)))
            for cuts in (every, sorted(drawn.sample(every, min(len(every), 9)))):
                call = f"{COMPARE}({json.dumps(text)}, {cuts})"
                whole, grown = await page.result_of(call)
                assert grown == whole, text
        assert page.complaints == []


#: What a text becomes, as it is written in HTML.
BECOMES = (
    ("*a* **b**", "<p><em>a</em> <strong>b</strong></p>"),
    ("***a***", "<p><em><strong>a</strong></em></p>"),
    ("snake_case_name 2*3", "<p>snake_case_name 2*3</p>"),
    ("- a\n  - b\n- c", "<ul><li>a<ul><li>b</li></ul></li><li>c</li></ul>"),
    ("3. a\n4. b", '<ol start="3"><li>a</li><li>b</li></ol>'),
    ("# A #\n\n###### B", "<h3>A</h3><h6>B</h6>"),
    ("> a\n> b", "<blockquote><p>a\nb</p></blockquote>"),
    ("a  \nb\nc", "<p>a<br>b\nc</p>"),
    ("a\\*b\\* `\\*`", "<p>a*b* <code>\\*</code></p>"),
    ("~~a~~ &lt;b&gt;", "<p><del>a</del> &lt;b&gt;</p>"),
    ("- [x] a", '<ul><li><span class="task">☑ </span>a</li></ul>'),
)


async def test_markdown_becomes_elements() -> None:
    async with serving_page({}) as url, open_page(url) as page:
        for text, shown in BECOMES:
            whole, _ = await page.result_of(f"{COMPARE}({json.dumps(text)}, [])")
            assert whole == shown
