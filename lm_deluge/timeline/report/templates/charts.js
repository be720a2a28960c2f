"use strict";
(() => {
  const make = (tag, text, kind) => {
    const element = document.createElement(tag);
    if (text !== undefined) element.textContent = text;
    if (kind) element.className = kind;
    return element;
  };
  const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

  // Charts of groups: curves read off at a time, by pointer or arrow keys, and switched on and off.
  const inverse = (axis, place) =>
    axis.log ? axis.low * (axis.high / axis.low) ** place : axis.low + (axis.high - axis.low) * place;
  const pointsOf = (path) => {
    const points = [];
    let x = 0;
    let y = 0;
    for (const [, letter, first, second] of path.matchAll(/([MLHV])(\d+)(?: (\d+))?/g)) {
      if (letter === "H") x = +first;
      else if (letter === "V") y = +first;
      else { x = +first; y = +second; }
      points.push([x, y]);
    }
    return points;
  };
  const heightAt = (points, x, steps) => {
    if (!points.length || (!steps && x < points[0][0])) return null;
    if (x < points[0][0]) return 1000;
    let low = 0;
    let high = points.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (points[middle][0] <= x) low = middle; else high = middle - 1;
    }
    const [before, after] = [points[low], points[low + 1]];
    if (steps || !after || after[0] === before[0]) return before[1];
    return before[1] + (after[1] - before[1]) * (x - before[0]) / (after[0] - before[0]);
  };
  const inSeconds = (value) =>
    value >= 9.995 ? `${value.toFixed(1)} s` : value >= 0.9995 ? `${value.toFixed(2)} s` : `${(value * 1000).toPrecision(3)} ms`;

  const live = (plot) => {
    const area = plot.querySelector(".area");
    const cursor = plot.querySelector(".cursor");
    const readout = plot.querySelector(".readout");
    const [x, y] = [JSON.parse(plot.dataset.x), JSON.parse(plot.dataset.y)];
    const steps = plot.dataset.reads === "share";
    const curves = [...plot.querySelectorAll(".curve")].map((element) => ({element, points: null}));
    const small = plot.classList.contains("small");
    let place = 0;
    const read = (at) => {
      place = clamp(at, 0, 1);
      cursor.hidden = false;
      cursor.style.left = `${place * 100}%`;
      readout.replaceChildren(`after ${inSeconds(inverse(x, place))}`);
      for (const curve of curves) {
        if (curve.element.classList.contains("off")) continue;
        curve.points ??= pointsOf(curve.element.querySelector(".line").getAttribute("d"));
        const height = heightAt(curve.points, Math.round(place * 2000), steps);
        if (height === null) continue;
        const value = inverse(y, 1 - height / 1000);
        readout.append(" · ");
        if (!small) readout.append(make("bdi", curve.element.dataset.name), " ");
        readout.append(make("b", steps ? `${(value * 100).toFixed(1)} %` : `${Math.round(value)} tokens`));
      }
      area.setAttribute("aria-valuenow", String(Math.round(place * 100)));
      area.setAttribute("aria-valuetext", readout.textContent);
      if (small) say(area, area, 0.5, [make("div", readout.textContent)]);
    };
    const leave = () => { cursor.hidden = true; readout.replaceChildren(); hush(); };
    area.tabIndex = 0;
    area.setAttribute("role", "slider");
    // What is inside of a slider is no longer told: it says the chart's words itself.
    area.setAttribute("aria-label", `${area.querySelector("svg").getAttribute("aria-label")} The arrow keys read it at a time.`);
    area.setAttribute("aria-valuenow", "0");
    area.addEventListener("pointermove", (event) => {
      const box = area.getBoundingClientRect();
      read((event.clientX - box.left) / box.width);
    });
    area.addEventListener("pointerleave", leave);
    area.addEventListener("blur", leave);
    area.addEventListener("keydown", (event) => {
      const step = {ArrowRight: 0.01, ArrowLeft: -0.01, PageUp: 0.1, PageDown: -0.1}[event.key];
      if (event.key === "Home") read(0);
      else if (event.key === "End") read(1);
      else if (step) read(place + step);
      else return;
      event.preventDefault();
    });
    for (const key of plot.querySelectorAll("button.key")) {
      key.addEventListener("click", () => {
        const on = key.getAttribute("aria-pressed") === "false";
        key.setAttribute("aria-pressed", String(on));
        curves[+key.dataset.curve].element.classList.toggle("off", !on);
        plot.querySelector(`.marks[data-of="${key.dataset.curve}"]`)?.classList.toggle("off", !on);
      });
    }
  };

  // Single streams: what is under the pointer, or under the row that the arrow keys chose.
  const told = document.querySelector(".told");
  const strips = JSON.parse(document.getElementById("strips").textContent);
  const hush = () => { told.hidden = true; };
  const say = (element, box, at, parts) => {
    told.replaceChildren(...parts);
    told.hidden = false;
    const place = box.getBoundingClientRect();
    const own = told.getBoundingClientRect();
    const left = place.left + place.width * at + 12;
    told.style.left = `${clamp(left, 8, Math.max(8, innerWidth - own.width - 12))}px`;
    const under = place.bottom + 8;
    told.style.top = `${under + own.height < innerHeight ? under : Math.max(4, place.top - own.height - 8)}px`;
  };
  const about = (row) => {
    const line = make("div");
    line.append(make("b", row[0]), ` ${row[1]}`, make("br"), `began after ${row[2]}, ended after ${row[3]}: ${row[4]}`);
    return line;
  };
  const around = (stall) => {
    const line = make("div");
    const text = make("span", undefined, "text");
    text.append(make("bdi", stall[5]), make("b", " ▮ ", "mark"), make("bdi", stall[6]));
    line.append(make("b", `silence of ${stall[3]}`), ` after ${stall[4]}`, make("br"), text);
    return line;
  };
  const rowsAlive = (rows, words) => {
    const mark = rows.querySelector(".row");
    const pitch = +rows.dataset.pitch;
    let row = -1;
    let stall = -1;
    const show = (at, from) => {
      mark.hidden = false;
      mark.style.top = `${row * pitch}px`;
      mark.style.height = `${pitch}px`;
      const found = words.stalls[stall];
      say(rows, mark, found ? found[1] / 100 : at, [about(words.rows[row]), ...(found ? [around(found)] : [])]);
    };
    const leave = () => { mark.hidden = true; hush(); };
    rows.tabIndex = 0;
    rows.setAttribute("role", "group");
    rows.setAttribute("aria-label", `${rows.querySelector("svg").getAttribute("aria-label")} Up and down go from stream to stream, left and right from stall to stall.`);
    rows.addEventListener("pointermove", (event) => {
      const box = rows.getBoundingClientRect();
      const at = (event.clientX - box.left) / box.width;
      row = clamp(Math.floor((event.clientY - box.top) / pitch), 0, words.rows.length - 1);
      stall = words.stalls.findIndex((found) => found[0] === row && at * 100 >= found[1] - 0.3 && at * 100 <= found[2] + 0.3);
      show(at);
    });
    rows.addEventListener("pointerleave", leave);
    rows.addEventListener("blur", leave);
    rows.addEventListener("keydown", (event) => {
      if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        row = clamp(row + (event.key === "ArrowDown" ? 1 : -1), 0, words.rows.length - 1);
        stall = -1;
      } else if (event.key === "ArrowRight" || event.key === "ArrowLeft") {
        stall = clamp(stall + (event.key === "ArrowRight" ? 1 : -1), 0, words.stalls.length - 1);
        row = words.stalls[stall]?.[0] ?? Math.max(row, 0);
      } else if (event.key === "Escape") { leave(); return; } else return;
      event.preventDefault();
      show(0);
    });
  };
  document.querySelectorAll(".plot").forEach(live);
  for (const strip of document.querySelectorAll(".strip")) {
    for (const rows of strip.querySelectorAll(".rows")) rowsAlive(rows, strips[+strip.dataset.strip][+rows.dataset.block]);
  }
  const zooms = [...document.querySelectorAll("[data-zoom]")];
  for (const zoom of zooms) {
    zoom.addEventListener("click", () => {
      document.documentElement.style.setProperty("--zoom", zoom.dataset.zoom);
      for (const other of zooms) other.setAttribute("aria-pressed", String(other === zoom));
      hint();
    });
  }

  // What is wider than the screen says so, and is reached by the keyboard.
  const headed = (box, heads) => {
    const before = heads.filter((head) => head.compareDocumentPosition(box) & Node.DOCUMENT_POSITION_FOLLOWING);
    return before.length ? before[before.length - 1].textContent.trim() : "Table";
  };
  const hint = () => {
    const wide = [...document.querySelectorAll(".scroll, .wide")].map((box) => [box, box.scrollWidth > box.clientWidth + 1]);
    const heads = wide.some(([, over]) => over) ? [...document.querySelectorAll("h2, h3, summary")] : [];
    for (const [box, over] of wide) {
      box.classList.toggle("more", over);
      if (over) {
        box.tabIndex = 0;
        box.setAttribute("role", "region");
        box.setAttribute("aria-label", `${headed(box, heads)}, wider than the screen`);
      } else for (const name of ["tabindex", "role", "aria-label"]) box.removeAttribute(name);
    }
  };
  addEventListener("resize", hint);
  document.addEventListener("toggle", hint, true);
  hint();

  // Not every browser unfolds what a link leads to.
  for (const link of document.querySelectorAll("a.shown")) {
    link.addEventListener("click", () => {
      const folded = document.querySelector(link.hash)?.closest("details");
      if (folded) folded.open = true;
    });
  }

  // On paper nothing is folded, but single streams and answers: they would fill dozens of pages.
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open], .unprinted, .change, .examples, .watch-words)")];
    for (const details of opened) details.open = true;
  });
  addEventListener("afterprint", () => { for (const details of opened) details.open = false; });
  performance.mark("ready");
  document.documentElement.dataset.ready = "yes";
})();
