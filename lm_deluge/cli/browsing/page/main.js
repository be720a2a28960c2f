// The page: who answers, what is asked, and the one answer that runs.

import { TurnView } from "./answer.js";
import { Chat, Turn } from "./chat.js";
import { button, element } from "./elements.js";
import { Refused, about, ask, isThere, pieces, stop } from "./reading.js";

const SUGGESTIONS = [
  "Tell me a short story about a lighthouse.",
  "What makes a stream feel slow? With a table.",
  "Show me a program that streams an answer.",
];

/** Pixels from the page's end within which a reader wants to see what comes. */
const NEAR = 120;

/** Milliseconds between two times that a running chat is kept, beside when the page is left. */
const KEEPING = 1000;

/** Milliseconds between two looks at an answer that is silent. */
const WATCHING = 1000;

const UNREACHABLE = "lm-deluge cannot be reached. Does it still run?";
/** Errors of a fetch that found nobody, or was given up. */
const UNREACHED = ["TypeError", "AbortError", "ConnectionLost"];

const LOST = "The rest of this answer is gone: lm-deluge was started anew since.";

const $ = (id) => document.getElementById(id);
const [models, question, send, talk, greeting, latest] =
  ["model", "question", "send", "talk", "greeting", "latest"].map($);

let chat = Chat.again();
let running = null; // {turn, view, stop: AbortController}
const views = new Map();

/** Say something to whoever does not see the page. */
function tell(words) { $("told").textContent = words; }

// -- who answers

function option({ name, label, lacks }) {
  const made = element("option", { value: name }, lacks ? `${label} (no key)` : label);
  made.disabled = Boolean(lacks);
  return made;
}

function group(label, choices) {
  return choices.length ? [element("optgroup", { label }, ...choices.map(option))] : [];
}

function fillModels(choices) {
  models.append(
    ...group("Models", choices.filter((each) => !each.simulated)),
    ...group("Simulator", choices.filter((each) => each.simulated)),
  );
  const able = choices.filter(({ lacks }) => !lacks);
  const last = chat.turns.at(-1)?.model;
  models.value = (able.find(({ name }) => name === last) ?? able[0]).name;
  const say = () => {
    const chosen = choices.find(({ name }) => name === models.value);
    const lacking = choices.filter(({ lacks }) => lacks).map(({ name, lacks }) => `${name}: ${lacks}.`).join(" ");
    $("whom").textContent = chosen.simulated
      ? `A simulator answers: no key is needed, and what it says is made up. ${chosen.about} ${lacking}`
      : `${chosen.label} answers, with the key of whoever started this page. ${lacking}`;
  };
  models.addEventListener("change", say);
  say();
}

const chosen = () => [models.value, models.selectedOptions[0].textContent];

// -- one answer

function show(turn) {
  const view = new TurnView(turn, { again: () => again(turn) });
  views.set(turn, view);
  talk.append(view.node);
  greeting.hidden = true;
  return view;
}

function again(turn) {
  if (running) return;
  // What followed on the old answer does not follow on the new one.
  for (const later of chat.turns.splice(chat.turns.indexOf(turn) + 1)) {
    views.get(later).node.remove();
    views.delete(later);
  }
  turn.begin(...chosen());
  views.get(turn).clear();
  question.focus();
  run(turn);
}

/** Draw a turn; whoever was at the end of the page still is. */
function drawAndFollow(view) {
  const follows = isNearEnd();
  view.draw();
  if (follows) toEnd();
}

/** Paint what has come, and note when it was on the screen: in the frame after. */
function painter(turn, view) {
  let asked = false;
  const paint = () => {
    asked = false;
    drawAndFollow(view);
    const count = turn.timeline.came.length;
    if (document.hidden) return;
    requestAnimationFrame(() => {
      turn.timeline.paint(count);
      if (turn.isOpen) return;
      drawAndFollow(view);
      chat.keep();
    });
  };
  return () => {
    if (asked) return;
    asked = true;
    if (document.hidden) setTimeout(paint, 200); // no frames are drawn there
    else requestAnimationFrame(paint);
  };
}

/** Ask, or go on reading, until the answer has ended. */
async function run(turn) {
  const view = views.get(turn);
  const control = new AbortController();
  running = { turn, view, control };
  const paint = painter(turn, view);
  const ticking = setInterval(paint, 100);
  const keeping = setInterval(() => chat.keep(), KEEPING);
  const watching = watch(turn, view);
  showSending();
  tell("The answer is on its way.");
  try {
    await read(turn, control.signal, paint);
  } catch (error) {
    if (error.name === "StreamGone") turn.fail("lost", LOST);
    else if (error instanceof Refused || !UNREACHED.includes(error.name)) turn.fail("error", error.message);
    else turn.fail("error", UNREACHABLE);
  } finally {
    for (const timer of [ticking, keeping, watching]) clearInterval(timer);
    view.isLost = false;
    running = null;
    drawAndFollow(view);
    paint();
    showSending();
    chat.keep();
    tell(spoken(turn));
  }
}

async function read(turn, signal, paint) {
  if (turn.id === null) {
    turn.id = await ask(turn.model, chat.messagesFor(turn));
    turn.timeline.replied();
    turn.status = "running";
    chat.keep();
    if (turn.stopsEarly) stop(turn.id);
  }
  let isFirst = true;
  for await (const piece of pieces(turn.id, signal)) {
    // After a reload all of it comes again; until it does, what the tab has kept is shown.
    if (isFirst) turn.rewind();
    isFirst = false;
    turn.take(piece);
    paint();
  }
  if (turn.isOpen) turn.fail("lost", LOST);
}

/** Look from time to time whether the server is there, while an answer is silent. */
function watch(turn, view) {
  let heard = 0, silent = 0;
  return setInterval(async () => {
    silent = turn.timeline.came.length === heard ? silent + 1 : 0;
    heard = turn.timeline.came.length;
    const isLost = silent > 0 && silent % 2 === 0 ? !(await isThere()) : view.isLost && silent > 0;
    if (view.isLost !== isLost) Object.assign(view, { isLost }).draw();
  }, WATCHING);
}

/** What is said of an answer that has ended. */
function spoken({ status, text, error }) {
  if (status === "cancelled") return "Stopped.";
  if (error) return error.sentence;
  if (text.length <= 400) return `The answer: ${text}`;
  return `The answer is there: ${text.split(/\s+/).length} words.`;
}

function stopRunning() {
  if (!running) return;
  const { turn, view, control } = running;
  if (turn.id === null) { turn.stopsEarly = true; return; }
  turn.notes = "Stopping …";
  view.draw();
  stop(turn.id).catch(() => control.abort());
}

// -- asking

function showSending() {
  send.textContent = running ? "Stop" : "Send";
  send.classList.toggle("stops", running !== null);
  $("new").disabled = running !== null;
}

function submit() {
  const text = question.value.trim();
  if (running || !text) return;
  question.value = "";
  grow();
  const turn = new Turn(text, ...chosen());
  chat.turns.push(turn);
  show(turn);
  toEnd();
  run(turn);
}

/** The box is as high as what is written in it. */
function grow() {
  question.style.height = "auto";
  question.style.height = `${question.scrollHeight + 2}px`;
}

const toEnd = () => scrollTo({ top: document.documentElement.scrollHeight, behavior: "instant" });

const isNearEnd = () => {
  const { scrollHeight } = document.documentElement;
  return scrollHeight - scrollY - innerHeight < NEAR;
};

function listen() {
  $("composer").addEventListener("submit", (event) => {
    event.preventDefault();
    if (running) stopRunning();
    else submit();
    question.focus();
  });
  question.addEventListener("input", grow);
  question.addEventListener("keydown", (event) => {
    // On a phone the key of the keyboard begins a line; there is a button beside it.
    const isTouch = matchMedia("(pointer: coarse) and (hover: none)").matches;
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || isTouch) return;
    event.preventDefault();
    if (running) tell("An answer is on its way. Escape stops it.");
    else submit();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !event.isComposing) stopRunning();
  });
  $("new").addEventListener("click", () => {
    chat.forget();
    views.clear();
    talk.replaceChildren();
    greeting.hidden = false;
    question.focus();
    tell("A new chat.");
  });
  latest.addEventListener("click", () => {
    toEnd();
    question.focus();
  });
  addEventListener("scroll", () => { latest.hidden = isNearEnd(); }, { passive: true });
  addEventListener("pagehide", () => chat.keep());
  document.addEventListener("visibilitychange", () => { if (!document.hidden) running?.view.draw(); });
}

async function begin() {
  listen();
  showSending();
  $("suggestions").append(...SUGGESTIONS.map((text) =>
    element("li", {}, button(text, () => { question.value = text; submit(); question.focus(); }))));
  chat.turns.forEach(show);
  try {
    const told = await about();
    fillModels(told.choices);
    if (told.system) {
      $("system").hidden = false;
      $("system").lastElementChild.textContent = told.system;
    }
  } catch {
    $("whom").textContent = UNREACHABLE;
  }
  document.documentElement.dataset.ready = "yes";
  if (chat.turns.length) toEnd();
  const open = chat.open;
  if (open?.id) run(open);
  else if (open) { open.fail("lost", "The page was left before the question was sent."); views.get(open).draw(); }
}

begin();
