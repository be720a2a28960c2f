// Elements made by hand: text is only ever text.

const SVG = "http://www.w3.org/2000/svg";

function made(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** An element of HTML with attributes and children (elements or text). */
export const element = (tag, attributes = {}, ...children) =>
  made(document.createElement(tag), attributes, children);

/** The same of SVG. */
export const drawn = (tag, attributes = {}, ...children) =>
  made(document.createElementNS(SVG, tag), attributes, children);

/** A button with words on it. */
export function button(words, act, attributes = {}) {
  const made = element("button", { type: "button", class: "quiet", ...attributes }, words);
  made.addEventListener("click", act);
  return made;
}

/** A button that copies what `text()` says, and says that it did. */
export function copyButton(text, label) {
  const made = button("Copy", async () => {
    let words = "Copied";
    try { await navigator.clipboard.writeText(text()); } catch { words = "Not copied"; }
    made.textContent = words;
    setTimeout(() => { made.textContent = "Copy"; }, 1500);
  }, { "aria-label": label });
  return made;
}
