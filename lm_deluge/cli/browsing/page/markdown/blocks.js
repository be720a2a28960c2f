// Markdown's blocks: headings, paragraphs, lists, quotes, code, tables, rules. Text in, plain objects out.

/** @typedef {{type: string, key: string, start: number, [more: string]: any}} Block */

const FENCE = /^( {0,3})(`{3,}|~{3,})[ \t]*([^`]*)$/;
const HEADING = /^ {0,3}(#{1,6})(?:[ \t]+(.*))?$/;
const RULE = /^ {0,3}(?:(?:-[ \t]*){3,}|(?:\*[ \t]*){3,}|(?:_[ \t]*){3,})$/;
const QUOTE = /^ {0,3}> ?/;
const ITEM = /^( {0,3})([-*+]|\d{1,9}[.)])(?:( {1,4})(?=\S)|[ \t]*$| {5,})/;
const DELIMITER = /^[ \t]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$/;

/** Deeper than this, what would be a block within blocks is text. */
const DEEPEST = 12;

const isBlank = (line) => line.trim() === "";
const indentOf = (line) => line.length - line.trimStart().length;

/** Whether a line begins a block that ends the paragraph before it. */
function interrupts(line) {
  if (FENCE.test(line) || HEADING.test(line) || RULE.test(line) || QUOTE.test(line)) return true;
  const item = ITEM.exec(line);
  return item !== null && !isBlank(line.slice(item[0].length)) && (item[2].length === 1 || /^1[.)]$/.test(item[2]));
}

/** The cells of a table's row; a bar after a backslash, or within code, is text. */
export function cells(line) {
  const found = [];
  let cell = "";
  let ticks = false;
  for (let i = 0; i < line.length; i++) {
    const c = line[i];
    if (c === "\\" && line[i + 1] === "|") cell += line[++i];
    else if (c === "|" && !ticks) { found.push(cell.trim()); cell = ""; }
    else { if (c === "`") ticks = !ticks; cell += c; }
  }
  found.push(cell.trim());
  if (line.trimStart().startsWith("|")) found.shift();
  if (found.length > 1 && found.at(-1) === "") found.pop();
  return found;
}

const isTableAt = (lines, at) =>
  at + 1 < lines.length && lines[at].includes("|") && lines[at + 1].includes("-") &&
  DELIMITER.test(lines[at + 1]) && cells(lines[at]).length === cells(lines[at + 1]).length;

function fence(lines, at, [, indent, marks, info]) {
  const body = [];
  const closing = new RegExp(`^ {0,3}${marks[0]}{${marks.length},}[ \\t]*$`);
  let next = at + 1;
  for (; next < lines.length; next++) {
    if (closing.test(lines[next])) return { type: "code", lang: info.trim(), text: body.join("\n"), end: next + 1 };
    body.push(lines[next].slice(Math.min(indent.length, indentOf(lines[next]))));
  }
  return { type: "code", lang: info.trim(), text: body.join("\n"), end: next };
}

function quote(lines, at, depth) {
  const body = [];
  let next = at;
  for (; next < lines.length; next++) {
    if (QUOTE.test(lines[next])) body.push(lines[next].replace(QUOTE, ""));
    else if (isBlank(lines[next]) || interrupts(lines[next]) || isBlank(body.at(-1))) break;
    else body.push(lines[next]);
  }
  return { type: "quote", blocks: blocksOf(body, depth + 1), end: next };
}

/** The list that begins here. Models nest by two spaces, three or four: from two on a line belongs to the item. */
function list(lines, at, depth) {
  const first = ITEM.exec(lines[at]);
  const kind = first[2].at(-1);
  const own = first[1].length;
  const items = [];
  let next = at;
  let loose = false;
  while (next < lines.length) {
    const found = ITEM.exec(lines[next]);
    if (found === null || found[2].at(-1) !== kind || found[1].length >= own + 2 || RULE.test(lines[next])) break;
    const inner = found[0].length;
    const body = [lines[next++].slice(inner)];
    let blanks = 0;
    for (; next < lines.length; next++) {
      const line = lines[next];
      if (isBlank(line)) { blanks++; continue; }
      const deep = indentOf(line) >= own + 2;
      if (!deep && (blanks > 0 || interrupts(line) || ITEM.test(line))) break;
      if (blanks > 0) { loose ||= !ITEM.test(line.trimStart()); body.push(...Array(blanks).fill("")); }
      blanks = 0;
      body.push(deep ? line.slice(Math.min(inner, indentOf(line))) : line);
    }
    items.push({ blocks: blocksOf(body, depth + 1) });
    const follows = next < lines.length ? ITEM.exec(lines[next]) : null;
    if (blanks > 0 && follows !== null && follows[2].at(-1) === kind) loose = true;
  }
  const ordered = first[2].length > 1;
  return { type: "list", ordered, from: ordered ? parseInt(first[2], 10) : 1, loose, items, end: next };
}

function table(lines, at) {
  const aligns = cells(lines[at + 1]).map((c) =>
    c.endsWith(":") ? (c.startsWith(":") ? "center" : "right") : "left");
  const rows = [];
  let next = at + 2;
  for (; next < lines.length && !isBlank(lines[next]) && !interrupts(lines[next]); next++) {
    const row = cells(lines[next]).slice(0, aligns.length);
    while (row.length < aligns.length) row.push("");
    rows.push(row);
  }
  return { type: "table", head: cells(lines[at]), aligns, rows, end: next };
}

function paragraph(lines, at) {
  const body = [lines[at]];
  let next = at + 1;
  for (; next < lines.length; next++) {
    const line = lines[next];
    if (/^ {0,3}=+[ \t]*$/.test(line)) return { type: "heading", level: 1, text: body.join("\n").trim(), end: next + 1 };
    if (/^ {0,3}-{3,}[ \t]*$/.test(line)) return { type: "heading", level: 2, text: body.join("\n").trim(), end: next + 1 };
    if (isBlank(line) || interrupts(line) || isTableAt(lines, next)) break;
    body.push(line);
  }
  return { type: "paragraph", text: body.map((line) => line.trimStart()).join("\n").trimEnd(), end: next };
}

function blockAt(lines, at, depth) {
  const line = lines[at];
  const fenced = FENCE.exec(line);
  if (fenced) return fence(lines, at, fenced);
  const heading = HEADING.exec(line);
  if (heading) {
    const text = (heading[2] ?? "").replace(/(?:^|[ \t]+)#+[ \t]*$/, "").trim();
    return { type: "heading", level: heading[1].length, text, end: at + 1 };
  }
  if (RULE.test(line)) return { type: "rule", end: at + 1 };
  if (depth < DEEPEST && QUOTE.test(line)) return quote(lines, at, depth);
  if (depth < DEEPEST && ITEM.test(line)) return list(lines, at, depth);
  if (isTableAt(lines, at)) return table(lines, at);
  return paragraph(lines, at);
}

/** The blocks of lines. `start`: the line at which each begins; `key`: what it is made of. @returns {Block[]} */
export function blocksOf(lines, depth = 0) {
  const found = [];
  let at = 0;
  while (at < lines.length) {
    if (isBlank(lines[at])) { at++; continue; }
    const { end, ...block } = blockAt(lines, at, depth);
    found.push({ ...block, start: at, key: lines.slice(at, end).join("\n") });
    at = end;
  }
  return found;
}
