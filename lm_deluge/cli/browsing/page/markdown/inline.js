// Markdown inside a line: code, emphasis, links. Text in, plain objects out; nothing of it is ever markup.

/** @typedef {string | {type: string, [more: string]: any}} Inline */

const ESCAPABLE = /[!-/:-@[-`{-~]/;
const SPACE = /\s/u;
const PUNCTUATION = /[\p{P}\p{S}]/u;
const ENTITIES = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: "\u00a0", hellip: "…", mdash: "—", ndash: "–" };

/** Runs of marks beyond this many are text: pairing them would take longer than reading them. */
const MOST_MARKS = 400;

/** How far the end of a link is looked for. */
const LONGEST_LINK = 1_000;

/** After so many brackets that begin no link, the others are text. */
const MOST_FAILURES = 200;

/** The address as a link may have it, else null: an absolute one of the web, or of mail. */
export function safeAddress(text) {
  let url;
  try { url = new URL(text.trim()); } catch { return null; }
  return ["http:", "https:", "mailto:"].includes(url.protocol) ? url.href : null;
}

/** The end of `[…]`, or -1. */
function closingBracket(text, at) {
  let depth = 0;
  const last = Math.min(text.length, at + LONGEST_LINK);
  for (let i = at; i < last; i++) {
    if (text[i] === "\\") i++;
    else if (text[i] === "[") depth++;
    else if (text[i] === "]" && --depth === 0) return i;
  }
  return -1;
}

/** `(address "title")` at a place: `{address, end}`; "open" where the text ends within it; null otherwise. */
function destination(text, at) {
  let depth = 0;
  const last = Math.min(text.length, at + LONGEST_LINK);
  for (let i = at; i < last; i++) {
    if (text[i] === "\\") i++;
    else if (text[i] === "(") depth++;
    else if (text[i] === "\n" && text[i + 1] === "\n") return null;
    else if (text[i] === ")" && --depth === 0) {
      const inner = text.slice(at + 1, i).trim();
      const found = /^(?:<([^<>\n]*)>|(\S*))(?:\s+(?:"[^]*"|'[^]*'|\([^]*\)))?$/.exec(inner);
      return found === null ? null : { address: found[1] ?? found[2], end: i + 1 };
    }
  }
  return last === text.length ? "open" : null;
}

/** A bare address at a place, without the punctuation of the sentence around it; "" where there is none. */
function bareAddress(text, at) {
  const found = /^https?:\/\/[^\s<>"`]+/.exec(text.slice(at, at + LONGEST_LINK));
  if (found === null) return "";
  let address = found[0].replace(/[.,;:!?'*_~]+$/, "");
  while (address.endsWith(")") && address.split(")").length > address.split("(").length) {
    address = address.slice(0, -1).replace(/[.,;:!?'*_~]+$/, "");
  }
  return address.length > 8 ? address : "";
}

function entity(text, at) {
  const found = /^&(?:#(\d{1,7})|#[xX]([\da-fA-F]{1,6})|([a-z]{2,6}));/.exec(text.slice(at, at + 12));
  if (found === null) return null;
  if (found[3]) return found[3] in ENTITIES ? { text: ENTITIES[found[3]], end: at + found[0].length } : null;
  const code = found[1] ? parseInt(found[1], 10) : parseInt(found[2], 16);
  const isOne = code > 0 && code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff);
  return { text: isOne ? String.fromCodePoint(code) : "\ufffd", end: at + found[0].length };
}

/** What a run of marks can do, by the characters beside it. */
function mark(text, at, length) {
  const char = text[at];
  const before = at > 0 ? text[at - 1] : " ";
  const after = at + length < text.length ? text[at + length] : " ";
  const spaceAfter = SPACE.test(after), spaceBefore = SPACE.test(before);
  const pointAfter = PUNCTUATION.test(after), pointBefore = PUNCTUATION.test(before);
  const left = !spaceAfter && (!pointAfter || spaceBefore || pointBefore);
  const right = !spaceBefore && (!pointBefore || spaceAfter || pointAfter);
  const within = char === "_";
  return {
    mark: char, length, opens: left && (!within || !right || pointBefore),
    closes: right && (!within || !left || pointAfter), afterSpace: spaceBefore,
  };
}

/** Marks that found no partner are text. */
const unmarked = (pieces) => pieces.map((piece) => (piece.mark ? piece.mark.repeat(piece.length) : piece));

const wrapped = (char, used, children) =>
  ({ type: char === "~" ? "del" : used === 2 ? "strong" : "em", children: unmarked(children) });

/** Pair the marks among the pieces; those without a partner are text, or, in text that goes on, reach its end. */
function paired(pieces, goesOn) {
  const done = [];
  const open = [];
  for (const piece of pieces) {
    if (typeof piece === "string" || !piece.mark) { done.push(piece); continue; }
    let left = piece.length;
    for (let i = open.length - 1; piece.closes && left > 0 && i >= 0; i--) {
      const opener = done[open[i]];
      if (opener.mark !== piece.mark) continue;
      while (left > 0 && opener.length > 0) {
        const used = opener.length >= 2 && left >= 2 ? 2 : 1;
        if (piece.mark === "~" && used === 1) break;
        const children = done.splice(open[i] + 1);
        open.length = i + 1;
        done.push(wrapped(piece.mark, used, children));
        opener.length -= used;
        left -= used;
      }
      if (opener.length === 0) { done.splice(open[i], 1); open.length = i; }
    }
    if (left > 0) {
      if (piece.opens) open.push(done.length);
      done.push({ ...piece, length: left });
    }
  }
  for (let i = open.length - 1; goesOn && i >= 0; i--) {
    const opener = done[open[i]];
    const follows = open[i] < done.length - 1;
    if (!follows || !(opener.length === 2 || (opener.mark !== "~" && opener.afterSpace))) continue;
    const children = done.splice(open[i] + 1);
    done[open[i]] = wrapped(opener.mark, Math.min(opener.length, 2), children);
  }
  return unmarked(done);
}

class Scanner {
  constructor(text, goesOn, inLink) {
    this.text = text;
    this.goesOn = goesOn;
    this.inLink = inLink;
    this.pieces = [];
    this.plain = "";
    this.marks = 0;
    this.failures = 0;
    this.unclosed = new Set();
  }

  push(piece) {
    if (this.plain) this.pieces.push(this.plain);
    this.plain = "";
    this.pieces.push(piece);
  }

  run() {
    const text = this.text;
    let at = 0;
    while (at < text.length) at = this.step(text[at], at);
    if (this.plain) this.pieces.push(this.plain);
    return paired(this.pieces, this.goesOn);
  }

  step(c, at) {
    const text = this.text;
    if (c === "\\" && at + 1 < text.length) {
      if (text[at + 1] === "\n") { this.push({ type: "break" }); return at + 2; }
      if (ESCAPABLE.test(text[at + 1])) { this.plain += text[at + 1]; return at + 2; }
    } else if (c === "`") return this.code(at);
    else if (c === "*" || c === "_" || c === "~") return this.marked(c, at);
    else if (c === "[" || (c === "!" && text[at + 1] === "[")) return this.link(c, at);
    else if (c === "<") return this.angle(at);
    else if (c === "&") {
      const found = entity(text, at);
      if (found) { this.plain += found.text; return found.end; }
    } else if (c === "\n") {
      const hard = this.plain.endsWith("  ");
      this.plain = this.plain.trimEnd();
      if (hard) this.push({ type: "break" });
      else this.plain += "\n";
      return at + 1;
    } else if (c === "h" && !this.inLink && (at === 0 || !/\w/.test(text[at - 1]))) {
      const address = bareAddress(text, at);
      const href = address && safeAddress(address);
      if (href) { this.push({ type: "link", href, children: [address] }); return at + address.length; }
    }
    this.plain += c;
    return at + 1;
  }

  code(at) {
    const length = /^`+/.exec(this.text.slice(at))[0].length;
    const end = this.unclosed.has(length) ? -1 : this.closingTicks(at + length, length);
    if (end < 0) {
      this.unclosed.add(length);
      if (this.goesOn && at + length < this.text.length) {
        this.push({ type: "code", text: this.text.slice(at + length) });
        return this.text.length;
      }
      this.plain += "`".repeat(length);
      return at + length;
    }
    let inner = this.text.slice(at + length, end).replace(/\n/g, " ");
    if (/^ .*[^ ].* $/.test(inner)) inner = inner.slice(1, -1);
    this.push({ type: "code", text: inner });
    return end + length;
  }

  closingTicks(from, length) {
    const runs = /`+/g;
    runs.lastIndex = from;
    for (let found = runs.exec(this.text); found; found = runs.exec(this.text)) {
      if (found[0].length === length) return found.index;
    }
    return -1;
  }

  marked(c, at) {
    let length = 1;
    while (this.text[at + length] === c) length++;
    if (++this.marks > MOST_MARKS || length > 3 || (c === "~" && length !== 2)) this.plain += c.repeat(length);
    else this.push(mark(this.text, at, length));
    return at + length;
  }

  link(c, at) {
    const text = this.text;
    const begin = c === "!" ? at + 1 : at;
    const close = this.inLink || this.failures > MOST_FAILURES ? -1 : closingBracket(text, begin);
    const target = close >= 0 && text[close + 1] === "(" ? destination(text, close + 1) : null;
    if (target === null) {
      this.failures++;
      this.plain += text.slice(at, begin + 1);
      return begin + 1;
    }
    const children = new Scanner(text.slice(begin + 1, close), false, true).run();
    if (target === "open") {
      if (!this.goesOn) { this.plain += text.slice(at, begin + 1); return begin + 1; }
      for (const child of children) this.push(child);
      return text.length;
    }
    const href = safeAddress(target.address);
    if (c === "!") this.push({ type: "image", href, children, address: target.address });
    else if (href) this.push({ type: "link", href, children });
    else { for (const child of children) this.push(child); this.plain += ` (${target.address})`; }
    return target.end;
  }

  angle(at) {
    const found = /^<(https?:\/\/[^\s<>]+|[^\s<>@:/]+@[\w.-]+)>|^<br ?\/?>/i.exec(this.text.slice(at, at + LONGEST_LINK));
    if (found === null || this.inLink) { this.plain += "<"; return at + 1; }
    if (!found[1]) this.push({ type: "break" });
    else {
      const href = safeAddress(/^https?:/i.test(found[1]) ? found[1] : `mailto:${found[1]}`);
      if (href === null) { this.plain += "<"; return at + 1; }
      this.push({ type: "link", href, children: [found[1]] });
    }
    return at + found[0].length;
  }
}

/** What a text says. `goesOn`: more of it is still to come, so that what is open may yet be closed. @returns {Inline[]} */
export const inlineOf = (text, goesOn = false) => new Scanner(text, goesOn, false).run();
