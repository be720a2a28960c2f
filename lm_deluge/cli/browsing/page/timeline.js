// When the pieces of one answer came and were painted, in seconds from the question; survives a reload.

/** Milliseconds since 1970 by the browser's steady clock. */
export const moment = () => performance.timeOrigin + performance.now();

const rounded = (times) => times.map((time) => (time === null ? null : Math.round(time * 1e4) / 1e4));

/**
 * `began`: the moment of the question. `shift`: seconds from it to the zero of the stream's own clock; `most`: what
 * it may be at most, as the reply to the question came then.
 */
export class Timeline {
  constructor({ began = moment(), shift = 0, most = 0, painted = [] } = {}) {
    this.began = began;
    this.shift = shift;
    this.most = most;
    this.came = [];
    this.isText = [];
    this.painted = painted;
    this.tokens = null;
    this.waiting = 0; // pieces that are in the page and not yet painted begin here
  }

  get now() { return (moment() - this.began) / 1000; }

  /** The reply to the question is here: the stream began before it. */
  replied() {
    this.most = this.now;
    this.shift = this.most / 2;
  }

  /** The server says at which second since 1970 the stream began; its clock may not be this one. */
  started(at) {
    this.shift = Math.min(Math.max(at - this.began / 1000, 0), this.most);
  }

  /** A piece came at second `t` of the stream's clock. */
  add(t, isText) {
    this.came.push(t + this.shift);
    this.isText.push(isText);
  }

  /** All pieces up to `count` are on the screen now; those that were before a reload keep their moment. */
  paint(count) {
    const now = this.now;
    for (; this.waiting < count; this.waiting++) this.painted[this.waiting] ??= now;
  }

  /** Nothing more comes: pieces that were never painted have no moment. */
  end() { while (this.painted.length < this.came.length) this.painted.push(null); }

  kept() {
    return {
      began: this.began, shift: this.shift, most: this.most, tokens: this.tokens,
      came: rounded(this.came), isText: this.isText.map(Number), painted: rounded(this.painted),
    };
  }

  /** A timeline whose answer has ended. */
  static of(kept) {
    const timeline = new Timeline({ ...kept, painted: [...kept.painted] });
    timeline.came = [...kept.came];
    timeline.isText = kept.isText.map(Boolean);
    timeline.tokens = kept.tokens;
    return timeline;
  }
}
