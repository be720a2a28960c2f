"use strict";
// Replays streams. All times inside are microseconds since the request; text goes in as text alone.
(() => {
  const root = document.getElementById("watch");
  const data = JSON.parse(document.getElementById("watch-data").textContent);
  const part = (name) => root.querySelector(`[data-watch="${name}"]`);
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  const [panelsPart, lanesPart, slider] = ["panels", "lanes", "slider"].map(part);
  const PAUSE = Math.min(400_000, data.stall / 2); // a silence that a reader notices
  const BAR = 0.5; // em for each character that is not there

  const make = (tag, name, text) => {
    const node = document.createElement(tag);
    if (name) node.className = name;
    if (text !== undefined) node.textContent = text;
    return node;
  };
  const said = (micro) => {
    const seconds = micro / 1e6;
    return `${seconds > 0 && seconds < 0.095 ? seconds.toFixed(2) : seconds.toFixed(1)} s`;
  };
  const clock = (micro) => `${(Math.floor(micro / 1e5 + 1e-6) / 10).toFixed(1)} s`;
  const GLYPHS = {whole: "✓", broke: "✕", cancelled: "■", open: "?"};

  const TAILS = {broke: "✕ broke here", cancelled: "■ cancelled here", open: "no ending in the log"};

  for (const stream of data.streams) {
    let time = 0;
    stream.times = stream.gaps.map((gap) => (time += gap));
    stream.name = data.groups[stream.group].name;
    stream.color = data.groups[stream.group].color;
    stream.length = Math.max(stream.end, time);
  }

  /** How many of these ascending times are not after this one. */
  const upTo = (times, micro) => {
    let low = 0, high = times.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (times[middle] <= micro) low = middle + 1; else high = middle;
    }
    return low;
  };

  /** What a reader of this stream has before them at a time, in words: [state, words]. */
  const stateAt = (stream, micro) => {
    const count = upTo(stream.times, micro);
    if (micro >= stream.end) return [stream.kind, `${GLYPHS[stream.kind]} ${stream.ending}`];
    if (!count) {
      if (stream.first === null || micro < stream.first) return ["waiting", `waiting … ${clock(micro)}`];
      const since = clock(micro - stream.first);
      return stream.thinks ? ["thinking", `thinking … ${since}`] : ["waiting", `at work, no text yet … ${since}`];
    }
    let silence = micro - stream.times[count - 1];
    if (stream.cut && count === stream.times.length) {
      const stall = stream.stalls.find(([start, length]) => start < micro && micro < start + length);
      silence = stall ? micro - stall[0] : 0;
    }
    if (silence > data.stall) return ["stalled", `stalled, nothing comes … ${clock(silence)}`];
    if (silence > PAUSE) return ["waiting", `waiting … ${clock(silence)}`];
    return ["writing", stream.cut && count === stream.times.length ? "writing (text not in this page)" : "writing"];
  };

  /** One stream before its reader. */
  class Panel {
    constructor(stream) {
      this.stream = stream;
      this.count = 0;
      this.node = make("article", "watch-panel");
      this.node.style.setProperty("--group", stream.color);
      const head = make("header");
      head.append(make("h3", "", stream.name), make("p", "", `${stream.label}: ${stream.begins}`));
      this.view = make("div", "watch-view");
      this.text = make("div", "watch-said");
      this.text.dir = "auto";
      this.text.tabIndex = 0;
      this.text.setAttribute("role", "group");
      this.text.setAttribute("aria-label", `${stream.name}: the text so far`);
      this.blank = make("div", "watch-blank");
      this.blank.setAttribute("aria-hidden", "true");
      this.dots = make("span", "watch-dots");
      this.dots.append(make("i"), make("i"), make("i"));
      this.big = make("b");
      this.word = make("span");
      this.blank.append(this.dots, this.big, this.word);
      this.view.append(this.text, this.blank);
      this.state = make("p", "watch-state");
      const caption = make("small");
      caption.append(make("span", "", `${stream.words} `), stream.notes.join(" "));
      this.node.append(head, this.view, this.state, caption);
    }

    /** Show what had arrived by this time, and not a piece more. */
    show(micro) {
      const stream = this.stream;
      const count = upTo(stream.times, micro);
      if (count < this.count) {
        this.text.replaceChildren();
        this.count = 0;
      }
      const grown = count > this.count;
      while (this.count < count) this.add(this.count++);
      const [state, words] = stateAt(stream, micro);
      if (this.state.textContent !== words) this.state.textContent = words;
      this.state.dataset.state = state;
      const over = micro >= stream.end;
      if (!count || (over && stream.kind === "whole")) delete this.text.dataset.tail;
      else this.text.dataset.tail = over ? TAILS[stream.kind] : state === "stalled" ? words.split(" … ")[1] : "";
      this.text.dataset.kind = over ? stream.kind : "";
      this.blank.hidden = count > 0;
      if (!count) {
        this.dots.hidden = over;
        this.big.textContent = over ? GLYPHS[stream.kind] : clock(state === "thinking" ? micro - stream.first : micro);
        this.word.textContent = over ? "no text" : words.split(" … ")[0];
      }
      if (grown) this.text.scrollTop = this.text.scrollHeight;
    }

    add(place) {
      const stream = this.stream;
      const before = place ? stream.times[place - 1] : 0;
      const stall = place && stream.stalls.find(([start]) => start >= before && start < stream.times[place]);
      if (stall) {
        const mark = make("span", "silence");
        mark.dataset.seconds = said(stall[1]);
        this.text.append(mark);
      }
      if (!stream.texts) {
        const bar = make("span", "bar");
        bar.style.width = `${Math.max(1, stream.lengths[place]) * BAR}em`;
        this.text.append(bar, document.createElement("wbr"));
        return;
      }
      const last = this.text.lastChild;
      if (last && last.nodeType === Node.TEXT_NODE) last.appendData(stream.texts[place]);
      else this.text.append(document.createTextNode(stream.texts[place]));
    }
  }

  let panels = [];
  let length = 1; // of what is shown
  let now = 0;
  let speed = 1;
  let playing = false;
  let touched = false;
  let time = () => performance.now(); // milliseconds
  let before = 0;

  const paint = () => {
    for (const panel of panels) panel.show(Math.round(now));
    const share = length ? Math.min(1, now / length) : 0;
    slider.value = String(now / 1e6);
    root.querySelector(".watch-line").style.setProperty("--at", String(share));
    part("now").textContent = clock(now);
    lanesPart.dataset.still = `The picture shows what was there after ${clock(now)}.`;
    const over = now >= length;
    root.toggleAttribute("data-playing", playing);
    part("play-word").textContent = playing ? "Pause" : over && touched ? "Again" : calm.matches ? "Play anyway" : touched ? "Play" : "Watch";
  };

  /** What a screen reader is told, once a step; while it plays it is told nothing. */
  const tell = () => {
    const each = panels.map((panel) => `${panel.stream.name}: ${stateAt(panel.stream, now)[1]}`);
    part("say").textContent = `After ${clock(now)}. ${each.join(". ")}`;
    slider.setAttribute("aria-valuetext", `${clock(now)} of ${clock(length)}`);
  };

  const seek = (micro) => {
    now = Math.max(0, Math.min(length, micro));
    touched = true;
    before = time();
    paint();
    if (!playing) tell();
  };

  const frame = () => {
    if (!playing) return;
    const moment = time();
    now = Math.min(length, now + (moment - before) * 1e3 * speed);
    before = moment;
    if (now >= length) pause();
    else {
      paint();
      requestAnimationFrame(frame);
    }
  };

  const play = () => {
    if (playing) return;
    if (now >= length || !touched) now = 0; // the still picture is no place to begin
    touched = true;
    playing = true;
    before = time();
    part("say").textContent = "";
    paint();
    requestAnimationFrame(frame);
  };

  const pause = () => {
    playing = false;
    paint();
    tell();
  };

  const toggle = () => (playing ? pause() : play());

  /** The moment that a still picture shows. */
  const stillMoment = (preset) => {
    const streams = panels.map((panel) => panel.stream);
    if (preset === "broken") return length;
    if (preset === "worst") {
      const stalls = streams.flatMap((stream) => stream.stalls).sort((one, other) => other[1] - one[1]);
      if (stalls.length) return stalls[0][0] + stalls[0][1] - 1;
    }
    // When they differ most in how much of their text is there.
    let best = length, most = 0.05;
    for (let step = 1; step < 200 && streams.length > 1; step++) {
      const micro = (length * step) / 200;
      const shares = streams.map((stream) => upTo(stream.times, micro) / Math.max(1, stream.times.length));
      const apart = Math.max(...shares) - Math.min(...shares);
      if (apart > most) [best, most] = [micro, apart];
    }
    return best;
  };

  const lane = (stream) => {
    const node = make("div", "watch-lane");
    node.style.setProperty("--group", stream.color);
    node.append(make("span", "", `${stream.name}: ${stream.begins}, ${stream.ending}`));
    const track = make("div");
    const at = (micro) => `${(100 * micro) / length}%`;
    const begins = stream.text ?? stream.end;
    const wait = make("i", "lane-wait");
    wait.style.width = at(begins);
    const body = make("i", "lane-body");
    body.style.left = at(begins);
    body.style.width = at(stream.end - begins);
    track.append(wait, body);
    for (const [start, silence] of stream.stalls) {
      const mark = make("i", "lane-stall");
      mark.style.left = at(start);
      mark.style.width = at(silence);
      if (silence / length > (innerWidth < 600 ? 0.16 : 0.07)) mark.append(make("b", "", said(silence)));
      track.append(mark);
    }
    if (stream.text !== null) {
      const first = make("i", "lane-text");
      first.style.left = at(stream.text);
      track.append(first);
    }
    const end = make("b", `lane-end ${stream.kind}`, GLYPHS[stream.kind]);
    end.style.left = at(stream.end);
    track.append(end);
    node.append(track);
    return node;
  };

  /** Put these streams before the reader, in a still picture. */
  const show = (places, preset) => {
    playing = false;
    touched = false;
    panels = places.map((place) => new Panel(data.streams[place]));
    length = Math.max(1, ...panels.map((panel) => panel.stream.length));
    panelsPart.replaceChildren(...panels.map((panel) => panel.node));
    panelsPart.style.setProperty("--panels", String(panels.length));
    panelsPart.dataset.count = String(panels.length);
    lanesPart.replaceChildren(...panels.map((panel) => lane(panel.stream)), make("div", "watch-head"));
    slider.max = String(length / 1e6);
    part("all").textContent = said(length);
    root.querySelector('[data-step="stall"]').disabled = !panels.some((panel) => panel.stream.stalls.length);
    root.querySelector('[data-step="text"]').disabled = panels.every((panel) => panel.stream.text === null);
    now = stillMoment(preset);
    paint();
    slider.setAttribute("aria-valuetext", `${clock(now)} of ${clock(length)}`);
    part("say").textContent = "";
  };

  const choose = (key) => {
    for (const button of root.querySelectorAll("[data-preset]")) {
      button.setAttribute("aria-pressed", String(button.dataset.preset === key));
    }
    for (const note of root.querySelectorAll("[data-note]")) note.hidden = note.dataset.note !== key;
    if (key === "two") show([Number(part("one").value), Number(part("other").value)]);
    else show(data.presets.find((preset) => preset.key === key).shown, key);
  };

  /** Go to the next of these times; after the last to the first. */
  const step = (times) => {
    if (!times.length) return;
    playing = false;
    times.sort((one, other) => one - other);
    seek(times.find((micro) => micro > Math.round(now)) ?? times[0]);
  };
  const STEPS = {
    text: () => panels.flatMap(({stream}) => (stream.text === null ? [] : [stream.text])),
    stall: () => panels.flatMap(({stream}) => stream.stalls.map(([start, silence]) => start + silence - 1)),
    end: () => [length],
  };

  const fill = (select, chosen) => {
    for (const [place, group] of data.groups.entries()) {
      const options = make("optgroup");
      options.label = group.name;
      for (const [number, stream] of data.streams.entries()) {
        if (stream.group !== place) continue;
        const option = make("option", "", `${group.name}, ${stream.label}: ${stream.begins}, ${stream.ending}`);
        option.value = String(number);
        options.append(option);
      }
      if (options.children.length) select.append(options);
    }
    select.value = String(chosen);
    select.addEventListener("change", () => choose("two"));
  };
  const median = data.presets[0].shown;
  fill(part("one"), median[0] ?? 0);
  fill(part("other"), median[1] ?? data.presets[1].shown[0] ?? 0);

  for (const button of root.querySelectorAll("[data-preset]")) {
    button.addEventListener("click", () => choose(button.dataset.preset));
  }
  for (const button of root.querySelectorAll("[data-step]")) {
    button.addEventListener("click", () => step(STEPS[button.dataset.step]()));
  }
  part("play").addEventListener("click", toggle);
  part("speed").addEventListener("change", () => {
    speed = Number(part("speed").value);
  });
  slider.addEventListener("input", () => seek(Number(slider.value) * 1e6));
  const drag = (event) => {
    if (event.type === "pointermove" && !event.buttons) return;
    const box = lanesPart.getBoundingClientRect();
    seek(((event.clientX - box.left) / box.width) * length);
  };
  lanesPart.addEventListener("pointerdown", drag);
  lanesPart.addEventListener("pointermove", drag);
  root.addEventListener("keydown", (event) => {
    if (event.target.localName === "select" || event.ctrlKey || event.metaKey || event.altKey) return;
    const far = event.shiftKey ? 2e6 : 5e5;
    const to = {ArrowLeft: now - far, ArrowRight: now + far, Home: 0, End: length,
      PageUp: now - 2e6, PageDown: now + 2e6}[event.key];
    const scrolls = event.target.classList.contains("watch-said") && !event.key.startsWith("Arrow");
    if (to !== undefined && !scrolls) seek(to);
    else if (event.key === " " && event.target.localName !== "button") toggle();
    else return;
    event.preventDefault();
  });
  calm.addEventListener("change", paint);
  addEventListener("resize", () => {
    for (const panel of panels) panel.text.scrollTop = panel.text.scrollHeight;
  });

  // Presets that have streams; the first of them is shown.
  root.hidden = false;
  choose(data.presets.find((preset) => preset.shown.length).key);
  window.lmDelugeWatch = {
    seek: (seconds) => seek(seconds * 1e6), play, pause, show, streams: data.streams,
    set clock(milliseconds) { time = milliseconds; },
    get state() { return {seconds: now / 1e6, length: length / 1e6, playing, speed}; },
  };
})();
