// From Markdown to elements, while the text grows: what stands is left alone, its end is made anew.

import { copyButton, element } from "../elements.js";
import { blocksOf } from "./blocks.js";
import { inlineOf } from "./inline.js";

function inlineNode(piece) {
  if (typeof piece === "string") return document.createTextNode(piece);
  switch (piece.type) {
    case "code": return element("code", {}, piece.text);
    case "break": return element("br");
    case "link": return outside(piece.href, piece.children.map(inlineNode));
    case "image": {
      // A picture from elsewhere would tell its server who reads what, and when.
      const words = ["image: ", ...(piece.children.length ? piece.children.map(inlineNode) : [piece.address])];
      return piece.href ? outside(piece.href, words) : element("span", {}, ...words);
    }
    default: return element(piece.type, {}, ...piece.children.map(inlineNode));
  }
}

const outside = (href, children) =>
  element("a", { href, rel: "noopener noreferrer nofollow", target: "_blank", title: href }, ...children);

const inline = (text, goesOn) => inlineOf(text, goesOn).map(inlineNode);

function code({ lang, text }) {
  const body = element("code", {}, document.createTextNode(text));
  const name = lang.split(/\s/)[0].slice(0, 30);
  return element(
    "div", { class: "code" },
    element("div", { class: "code-head" }, element("span", {}, name || "text"), copyButton(() => body.textContent, "Copy code")),
    element("pre", { tabindex: "0", role: "region", "aria-label": name ? `Code, ${name}` : "Code" }, body),
  );
}

function table({ head, aligns, rows }, goesOn) {
  const cell = (tag) => (text, at) =>
    element(tag, { class: `to-${aligns[at]}`, ...(tag === "th" ? { scope: "col" } : {}) }, ...inline(text, goesOn));
  return element(
    "div", { class: "table", tabindex: "0", role: "region", "aria-label": "Table" },
    element("table", {},
      element("thead", {}, element("tr", {}, ...head.map(cell("th")))),
      element("tbody", {}, ...rows.map((row) => element("tr", {}, ...row.map(cell("td")))))),
  );
}

function item({ blocks }, loose, goesOn) {
  const task = blocks[0]?.type === "paragraph" ? /^\[([ xX])\] /.exec(blocks[0].text) : null;
  if (task) blocks[0].text = blocks[0].text.slice(4);
  const nodes = blocks.flatMap((block, at) => {
    const open = goesOn && at === blocks.length - 1;
    return block.type === "paragraph" && !loose ? inline(block.text, open) : [blockNode(block, open)];
  });
  const box = task ? [element("span", { class: "task" }, task[1] === " " ? "☐ " : "☑ ")] : [];
  return element("li", {}, ...box, ...nodes);
}

function list({ ordered, from, loose, items }, goesOn) {
  const children = items.map((each, at) => item(each, loose, goesOn && at === items.length - 1));
  return element(ordered ? "ol" : "ul", ordered && from !== 1 ? { start: String(from) } : {}, ...children);
}

function blockNode(block, goesOn) {
  switch (block.type) {
    case "code": return code(block);
    case "heading": return element(`h${Math.min(6, block.level + 2)}`, {}, ...inline(block.text, goesOn));
    case "rule": return element("hr");
    case "quote": return element("blockquote", {}, ...block.blocks.map((each, at) =>
      blockNode(each, goesOn && at === block.blocks.length - 1)));
    case "list": return list(block, goesOn);
    case "table": return table(block, goesOn);
    default: return element("p", {}, ...inline(block.text, goesOn));
  }
}

/** Shows a text that grows in an element of its own. */
export class MarkdownView {
  constructor(container) {
    this.container = container;
    this.text = "";
    this.settled = 0; // characters before the blocks that may still change
    this.shown = []; // {key, type, node, open} of the blocks that may
  }

  /** Show this text, which begins as the one before. `goesOn`: more is to come. */
  update(text, goesOn) {
    if (!text.startsWith(this.text)) this.clear();
    this.text = text;
    const tail = text.slice(this.settled);
    const lines = tail.split("\n");
    const blocks = blocksOf(lines);
    blocks.forEach((block, at) => this.show(block, at, goesOn && at === blocks.length - 1));
    for (const { node } of this.shown.splice(blocks.length)) node.remove();
    this.settle(lines, blocks);
  }

  clear() {
    this.container.replaceChildren();
    Object.assign(this, { text: "", settled: 0, shown: [] });
  }

  show(block, at, open) {
    const before = this.shown[at];
    if (before && before.key === block.key && before.type === block.type && before.open === open) return;
    if (before && before.type === "code" && block.type === "code" && before.lang === block.lang) {
      // A long program is not drawn again for each of its lines.
      const words = before.node.querySelector("pre code").firstChild;
      if (block.text.startsWith(words.data)) words.appendData(block.text.slice(words.data.length));
      else words.data = block.text;
      this.shown[at] = { ...before, key: block.key, open };
      return;
    }
    const node = blockNode(block, open);
    if (before) before.node.replaceWith(node);
    else this.container.append(node);
    this.shown[at] = { key: block.key, type: block.type, lang: block.lang, node, open };
  }

  /** All but the last two blocks stay as they are: a number below a list may yet become its next item. */
  settle(lines, blocks) {
    if (blocks.length < 3) return;
    const from = blocks[blocks.length - 2].start;
    for (let at = 0; at < from; at++) this.settled += lines[at].length + 1;
    this.shown.splice(0, blocks.length - 2);
  }
}
