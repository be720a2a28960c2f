// What the server says: whom one may talk to, the answer to a question, and the stream of an answer.

import { stream } from "/streams/lm_deluge.js";

/** A request that was answered with a no; its message says why. */
export class Refused extends Error {}

async function json(response) {
  let said = null;
  try { said = await response.json(); } catch { /* it is no JSON: the status has to do */ }
  if (response.ok && said !== null) return said;
  throw new Refused(said?.error ?? `The server answered ${response.status}.`);
}

export const about = async () => json(await fetch("/about"));

/** Ask; return the stream's id. */
export async function ask(model, messages) {
  const response = await fetch("/ask", {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ model, messages }),
  });
  return (await json(response)).id;
}

export const stop = (id) => fetch(`/streams/${encodeURIComponent(id)}/stop`, { method: "POST" });

/** Seconds without any connection after which an answer is given up. */
const PATIENCE = 120;

/** The pieces of an answer from its beginning to its ending, over as many connections as it takes. */
export const pieces = (id, signal) => stream(`/streams/${encodeURIComponent(id)}`, { signal, patience: PATIENCE });

/** Whether the server can be reached. */
export async function isThere() {
  if (!navigator.onLine) return false;
  try { return (await fetch("/about", { method: "HEAD" })).ok; } catch { return false; }
}
