// What is wrong with the layout of a page, told by its boxes. Text is taken by the boxes of its lines, cut
// off by the containers that scroll. Boxes may touch: a line's box is higher than its letters.
(() => {
  const complaints = new Set();
  const shown = (element) => element.checkVisibility({visibilityProperty: true});
  const named = (element) =>
    `${element.localName}.${String(element.className?.baseVal ?? element.className).replaceAll(" ", ".")} ` +
    JSON.stringify((element.textContent ?? "").trim().slice(0, 40));
  // What is left of a box inside of all containers that cut it off; scrolled containers cut it, too.
  const visible = (element, box) => {
    const rest = {left: box.left, right: box.right, top: box.top, bottom: box.bottom, inScroller: false};
    for (let around = element; around && around !== document.body; around = around.parentElement) {
      const style = getComputedStyle(around);
      if (style.overflowX === "visible" || style.display === "inline") continue;
      const frame = around.getBoundingClientRect();
      rest.left = Math.max(rest.left, frame.left);
      rest.right = Math.min(rest.right, frame.right);
      rest.top = Math.max(rest.top, frame.top);
      rest.bottom = Math.min(rest.bottom, frame.bottom);
      rest.inScroller ||= /auto|scroll/.test(style.overflowX);
    }
    return rest;
  };

  // Nothing is wider than the screen, but inside of what scrolls.
  if (document.documentElement.scrollWidth > innerWidth) {
    complaints.add(`the page is ${document.documentElement.scrollWidth} wide on ${innerWidth}`);
  }

  const texts = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.data.trim() || /^(script|style|noscript|option|title)$/i.test(element.localName)) continue;
    if (!shown(element) || element.closest("[hidden], .told")) continue;  // these lie on top
    const style = getComputedStyle(element);
    if (style.clip !== "auto" || style.clipPath !== "none") continue;  // for screen readers alone
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const box of range.getClientRects()) {
      const inset = Math.min(3, box.height * 0.18);
      const rest = visible(element, {left: box.left, right: box.right, top: box.top + inset, bottom: box.bottom - inset});
      if (rest.right - rest.left < 2 || rest.bottom - rest.top < 1) continue;
      texts.push({element, ...rest});
      if (rest.right > innerWidth + 1 || rest.left < -1) complaints.add(`off the screen: ${named(element)}`);
    }
    // Cut off by its own box.
    for (let box = element; box && box !== document.body; box = box.parentElement) {
      const css = getComputedStyle(box);
      if (!/hidden|clip/.test(css.overflowX + css.overflowY)) continue;
      if (box.matches(".watch-said")) break;  // shows the last lines of a text that grows
      if (css.textOverflow === "ellipsis" && box.closest("[aria-hidden]")) break;  // said in full elsewhere
      if (box.scrollWidth > box.clientWidth + 1 || box.scrollHeight > box.clientHeight + 1) {
        complaints.add(`cut off: ${named(box)}`);
      }
      break;
    }
  }

  // Beside a column that stays while its table scrolls there is room for the others.
  for (const table of document.querySelectorAll(".scroll.more > table")) {
    const [frame, first] = [table.parentElement, table.querySelector("tbody > tr > :first-child")];
    if (!first || !shown(first) || getComputedStyle(first).position !== "sticky") continue;
    if (first.getBoundingClientRect().width > 0.65 * frame.clientWidth) complaints.add(`no room beside: ${named(first)}`);
  }

  // No text lies on another one's, or on a chart that is not its own.
  const meets = (a, b) =>
    Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1.5 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1;
  texts.sort((a, b) => a.top - b.top);
  texts.forEach((one, place) => {
    for (let other = place + 1; other < texts.length && texts[other].top < one.bottom; other++) {
      const two = texts[other];
      if (one.element !== two.element && meets(one, two)) {
        complaints.add(`text on text: ${named(one.element)} and ${named(two.element)}`);
      }
    }
  });
  for (const area of document.querySelectorAll(".area, .rows")) {
    if (!shown(area)) continue;
    const box = area.getBoundingClientRect();
    const frame = visible(area, box);
    for (const text of texts) {
      if (!area.contains(text.element) && meets(frame, text)) complaints.add(`text on a chart: ${named(text.element)}`);
    }
  }

  // Contrast of text, WCAG 2.2, 1.4.3.
  const parse = (colour) => {
    const [r, g, b, a = 1] = colour.match(/[\d.]+/g).map(Number);
    return colour.startsWith("color(srgb") ? [r * 255, g * 255, b * 255, a] : [r, g, b, a];
  };
  const over = (top, under) => [0, 1, 2].map((k) => top[k] * top[3] + under[k] * (1 - top[3])).concat(1);
  const ground = (element) => {
    const layers = [];
    for (let box = element; box; box = box.parentElement) {
      const colour = parse(getComputedStyle(box).backgroundColor);
      if (colour[3] > 0) layers.push(colour);
      if (colour[3] === 1) break;
    }
    return layers.reduceRight((under, layer) => over(layer, under), [255, 255, 255, 1]);
  };
  const light = (colour) => {
    const [r, g, b] = colour.slice(0, 3).map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  for (const element of new Set(texts.map((text) => text.element))) {
    if (element.closest("button:disabled, [aria-disabled=true]")) continue;
    const style = getComputedStyle(element);
    let opacity = 1;
    for (let box = element; box; box = box.parentElement) opacity *= Number(getComputedStyle(box).opacity);
    const back = ground(element);
    const colour = parse(element instanceof SVGElement ? style.fill : style.color);
    const front = over([...colour.slice(0, 3), colour[3] * opacity], back);
    const [low, high] = [light(front), light(back)].sort((a, b) => a - b);
    const ratio = (high + 0.05) / (low + 0.05);
    const size = parseFloat(style.fontSize);
    const needed = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
    if (ratio < needed) complaints.add(`contrast ${ratio.toFixed(2)}: ${named(element)}`);
  }

  // A name is broken at its spaces; inside of a word only where the word is longer than any line may be.
  for (const name of document.querySelectorAll(".called")) {
    if (!shown(name)) continue;
    const text = name.firstChild;
    const line = name.getBoundingClientRect().width;
    for (const word of (text?.data ?? "").matchAll(/[\p{L}\p{N}]+/gu)) {
      const range = document.createRange();
      range.setStart(text, word.index);
      range.setEnd(text, word.index + word[0].length);
      const boxes = [...range.getClientRects()].filter((box) => box.width > 0.5);
      const tops = new Set(boxes.map((box) => Math.round(box.top / 4)));
      const width = boxes.reduce((sum, box) => sum + box.width, 0);
      if (tops.size > 1 && width <= line + 1) complaints.add(`broken inside a word: ${named(name)}`);
    }
  }
  return [...complaints];
})()
