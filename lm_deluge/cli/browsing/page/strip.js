// The timeline under an answer: when its pieces came, and when they were on the screen.

import { drawn, element } from "./elements.js";
import { figures, seconds, stalls } from "./words.js";

const WIDTH = 1000; // of the drawing's own units; it is as wide as the answer
const ROWS = { came: [4, 15], painted: [19, 15] }; // top and height
const HEIGHT = 38;

/** Seconds that fit before the first piece: a strip does not jump about while nothing is known yet. */
const LEAST = 2;

/** Seconds between two drawings of a running strip: it is looked at, not read. */
const PACE = 0.1;

const ticks = (times, row, scale) => {
  const [top, height] = ROWS[row];
  let path = "";
  let last = -1;
  for (const time of times) {
    const x = time === null ? last : Math.round(time * scale * 2) / 2;
    if (x === last) continue;
    path += `M${x} ${top}v${height}`;
    last = x;
  }
  return path;
};

/** A strip as a figure: `node`; `draw(timeline, now)` shows what there is. */
export class Strip {
  constructor() {
    // Until the first piece came, and until it was on the screen.
    this.waits = Object.values(ROWS).map(([y, height]) =>
      drawn("rect", { class: "wait", x: "0", y: String(y), height: String(height), width: "0" }));
    this.silences = drawn("g", { class: "stalls" });
    this.reasoning = drawn("path", { class: "reasoning" });
    this.came = drawn("path", { class: "came" });
    this.painted = drawn("path", { class: "painted" });
    this.picture = drawn(
      "svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": "Timeline" },
      ...this.waits, this.silences, this.reasoning, this.came, this.painted,
    );
    this.end = element("span", {}, "");
    this.other = element("span", { class: "key thought", hidden: "" }, "not text");
    this.words = element("figcaption", {});
    this.node = element(
      "figure", { class: "strip" }, this.picture,
      element("div", { class: "axis", "aria-hidden": "true" },
        element("span", {}, "0 s"),
        element("span", { class: "key came" }, "came"),
        this.other,
        element("span", { class: "key painted" }, "on screen"),
        this.end),
      this.words,
    );
    this.at = -1;
  }

  /** Show a timeline. `now`: seconds from the question while it is running, else null. */
  draw(timeline, now) {
    if (now !== null && now - this.at < PACE) return;
    this.at = now ?? Infinity;
    const { came, painted, isText } = timeline;
    const last = Math.max(now ?? 0, came.at(-1) ?? 0, ...painted.slice(-1).map((time) => time ?? 0));
    const span = now === null ? Math.max(last, 0.1) : Math.max(LEAST, last * 1.04);
    const scale = (WIDTH - 3) / span;
    [came[0], painted[0]].forEach((first, row) =>
      this.waits[row].setAttribute("width", String((first ?? last) * scale)));
    this.reasoning.setAttribute("d", ticks(came.filter((_, i) => !isText[i]), "came", scale));
    this.other.hidden = isText.every(Boolean);
    this.came.setAttribute("d", ticks(came.filter((_, i) => isText[i]), "came", scale));
    this.painted.setAttribute("d", ticks(painted, "painted", scale));
    const running = now !== null && came.length ? [...came, now] : came;
    this.silences.replaceChildren(...stalls(running).map(({ from, to }) => drawn("rect", {
      x: String(from * scale), y: "4", height: "30", width: String((to - from) * scale),
    })));
    this.end.textContent = seconds(span);
    const said = figures({ ...timeline, now }).join(" · ");
    this.words.textContent = said;
    // The picture says in words what it shows, once it stands still.
    this.picture.setAttribute("aria-label", now === null ? `Timeline. ${said}` : "Timeline, running");
  }
}
