// One question and its answer, as they are seen.

import { button, copyButton, element } from "./elements.js";
import { MarkdownView } from "./markdown/render.js";
import { Strip } from "./strip.js";
import { seconds } from "./words.js";

const ENDINGS = { cancelled: "Stopped. What had come is kept." };

const FINISHES = {
  length: "The answer is as long as it may be, and was cut there.",
  content_filter: "The provider's filter ended the answer.",
};

/** `node`: the turn as an article; `draw()` shows what the turn has by now. */
export class TurnView {
  constructor(turn, { again }) {
    this.turn = turn;
    this.isLost = false;
    this.strip = new Strip();
    this.thought = element("p", {});
    this.thinking = element("summary", {});
    this.reasoning = element("details", { class: "reasoning", hidden: "" }, this.thinking, this.thought);
    this.prose = element("div", { class: "prose" });
    this.markdown = new MarkdownView(this.prose);
    this.calls = element("div", { class: "calls" });
    this.note = element("p", { class: "note", hidden: "" });
    this.trouble = element("div", { class: "trouble", hidden: "" });
    this.again = button("Ask again", again);
    this.actions = element("div", { class: "actions", hidden: "" }, copyButton(() => turn.text, "Copy the answer"), this.again);
    this.who = element("span", { class: "who" }, turn.label);
    this.answer = element(
      "div", { class: "answer" }, this.who, this.reasoning, this.prose, this.calls, this.note, this.trouble,
      this.strip.node, this.actions,
    );
    this.node = element(
      "article", { class: "turn", tabindex: "-1", "aria-label": `Question: ${turn.question.slice(0, 80)}` },
      element("h2", { class: "unseen" }, "Question"), element("p", { class: "question" }, turn.question),
      this.answer,
    );
    this.draw();
  }

  /** Show the turn; return whether it has ended. */
  draw() {
    const { turn } = this;
    this.who.textContent = turn.label;
    this.markdown.update(turn.text, turn.isOpen);
    this.drawReasoning();
    this.drawCalls();
    this.drawNote();
    this.drawTrouble();
    this.strip.draw(turn.timeline, turn.isOpen ? turn.timeline.now : null);
    this.actions.hidden = turn.isOpen;
    this.again.textContent = ["error", "lost"].includes(turn.status) ? "Try again" : "Ask again";
    this.node.classList.toggle("open", turn.isOpen);
    this.answer.setAttribute("aria-busy", String(turn.isOpen));
    return !turn.isOpen;
  }

  drawReasoning() {
    const { reasoning, timeline, text, isOpen } = this.turn;
    this.reasoning.hidden = !reasoning;
    if (!reasoning) return;
    if (this.thought.textContent !== reasoning) this.thought.textContent = reasoning;
    const first = timeline.isText.indexOf(true);
    const until = first < 0 ? timeline.came.at(-1) : timeline.came[first];
    const words = isOpen && !text ? "Thinking …" : `Thought for ${seconds(until - timeline.came[0])}`;
    if (this.thinking.textContent !== words) this.thinking.textContent = words;
  }

  drawCalls() {
    this.turn.calls.forEach((call, at) => {
      if (!this.calls.children[at]) {
        this.calls.append(element("details", { class: "call" },
          element("summary", {}, "Called ", element("code", {}, "")), element("pre", { tabindex: "0", role: "region", "aria-label": "Arguments" }, "")));
      }
      const [summary, body] = this.calls.children[at].children;
      summary.lastChild.textContent = call.name || "a tool";
      const shown = pretty(call.arguments) + (call.result === null ? "" : `\n→ ${call.result}`);
      if (body.textContent !== shown) body.textContent = shown;
    });
    while (this.calls.children.length > this.turn.calls.length) this.calls.lastChild.remove();
  }

  drawNote() {
    const { turn } = this;
    let words = turn.isOpen ? turn.notes : ENDINGS[turn.status] ?? FINISHES[turn.finish] ?? "";
    if (turn.isOpen && this.isLost) words = "The connection is lost. Coming back …";
    else if (turn.status === "complete" && !turn.text && !turn.calls.length) words = "The model said nothing.";
    this.note.hidden = !words;
    if (this.note.textContent !== words) this.note.textContent = words;
  }

  drawTrouble() {
    const { error } = this.turn;
    this.trouble.hidden = !error;
    if (!error || this.shownError === error) return;
    this.shownError = error;
    const details = error.details && error.details !== error.sentence
      ? [element("details", {}, element("summary", {}, "What the error says"), element("p", {}, error.details))] : [];
    this.trouble.replaceChildren(element("p", {}, error.sentence), ...details);
  }

  /** Begin anew with an empty answer. */
  clear() {
    this.markdown.clear();
    this.calls.replaceChildren();
    this.strip.at = -1;
    this.shownError = null;
    this.draw();
  }
}

function pretty(text) {
  try { return JSON.stringify(JSON.parse(text), null, 2); } catch { return text; }
}
