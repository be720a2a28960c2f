// The conversation: what was asked and answered, kept in this tab across reloads.

import { Timeline } from "./timeline.js";

const KEY = "lm-deluge-chat";

/** Characters of a chat that the tab keeps; beyond it the timelines of the oldest answers go first. */
const MOST_KEPT = 4_000_000;

/**
 * One question and its answer. `status`: "asking", "running", or how it ended: "complete", "cancelled", "error",
 * "lost" (the server knows nothing of it any more).
 */
export class Turn {
  constructor(question, model, label) {
    Object.assign(this, {
      question, model, label, id: null, status: "asking", text: "", reasoning: "", calls: [], notes: "",
      error: null, finish: null, timeline: new Timeline(),
    });
  }

  get isOpen() { return this.status === "asking" || this.status === "running"; }

  /** Forget the answer, to be asked again. */
  begin(model, label) {
    Object.assign(this, new Turn(this.question, model, label));
  }

  /** Forget what is read again from the stream's beginning; not when what was painted. */
  rewind() {
    const { began, shift, most, painted } = this.timeline;
    Object.assign(this, { text: "", reasoning: "", calls: [], error: null });
    this.timeline = new Timeline({ began, shift, most, painted });
  }

  /** Take a piece, at second `t` of the stream's clock. */
  take(item) {
    const { kind, t } = item;
    if (kind === "text" || kind === "refusal") { this.text += item.text; this.timeline.add(t, true); }
    else if (kind === "reasoning") { this.reasoning += item.text ?? ""; this.timeline.add(t, false); }
    else if (kind === "tool_call" || kind === "server_tool") { this.call(item); this.timeline.add(t, false); }
    else if (kind === "tool_result") this.result(item);
    else if (kind === "start") this.timeline.started(item.at);
    else if (kind === "retry") this.notes = `Trying again with ${item.model}, attempt ${item.attempt + 1} …`;
    else if (kind === "reset") this.rewind();
    else this.ending(item);
    if (["text", "reasoning", "refusal"].includes(kind)) this.notes = "";
  }

  call({ index, id, name, arguments: part, text }) {
    let call = this.calls.find((each) => each.index === index);
    if (!call) this.calls.push(call = { index, id: null, name: "", arguments: "", result: null });
    call.id ??= id ?? null;
    if (name) call.name = name;
    call.arguments += part ?? text ?? "";
  }

  result({ id, text, data }) {
    const call = this.calls.find((each) => each.id === id);
    if (call) call.result = text ?? JSON.stringify(data ?? null);
  }

  ending(item) {
    if (item.kind === "complete") {
      this.status = "complete";
      this.finish = item.finish_reason;
      this.timeline.tokens = item.usage?.output_tokens ?? null;
    } else if (item.kind === "cancelled") this.status = "cancelled";
    if (!this.isOpen) this.timeline.end();
  }

  /** It ended with an error: a sentence, and after a line break what more there is to know. */
  fail(status, message) {
    const [sentence, ...details] = message.split("\n");
    this.status = status;
    this.error = { sentence, details: details.join("\n") };
    this.timeline.end();
  }

  kept() { return { ...this, timeline: this.timeline.kept() }; }

  static of(kept) {
    const turn = Object.assign(new Turn(kept.question, kept.model, kept.label), kept);
    turn.timeline = Timeline.of(kept.timeline);
    return turn;
  }
}

export class Chat {
  constructor() { this.turns = []; }

  get open() { return this.turns.find((turn) => turn.isOpen) ?? null; }

  /** What a server is sent for the turn: those before it that have an answer, and its question. */
  messagesFor(turn) {
    const before = this.turns.slice(0, this.turns.indexOf(turn)).filter(({ text }) => text.trim());
    return [
      ...before.flatMap(({ question, text }) => [
        { role: "user", content: question }, { role: "assistant", content: text },
      ]),
      { role: "user", content: turn.question },
    ];
  }

  keep() {
    const kept = this.turns.map((turn) => turn.kept());
    for (const turn of kept) {
      const text = JSON.stringify(kept);
      if (text.length <= MOST_KEPT) {
        try { sessionStorage.setItem(KEY, text); return; } catch { /* less of it may fit */ }
      }
      turn.timeline = new Timeline({ began: 0 }).kept();
    }
  }

  forget() {
    this.turns = [];
    sessionStorage.removeItem(KEY);
  }

  /** The chat that this tab had before it was reloaded. */
  static again() {
    const chat = new Chat();
    try { chat.turns = JSON.parse(sessionStorage.getItem(KEY) ?? "[]").map(Turn.of); } catch { /* begin anew */ }
    return chat;
  }
}
