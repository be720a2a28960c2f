// What the server says: whom one may talk to, the answer to a question, and the stream of an answer.

/** Seconds after which a lost connection is tried again; the last one again and again. */
const PAUSES = [0.3, 0.7, 1.5, 3];

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

const waited = (seconds, signal) => new Promise((done) => {
  const timer = setTimeout(done, seconds * 1000);
  const now = () => { clearTimeout(timer); done(); };
  addEventListener("online", now, { once: true });
  signal.addEventListener("abort", now, { once: true });
});

async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    const blocks = (rest + read.value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const found = /^id: (\d+)\ndata: (.*)$/m.exec(block);
      if (found) yield { number: Number(found[1]), ...JSON.parse(found[2]) };
    }
  }
}

const ENDINGS = ["complete", "error", "cancelled"];

/**
 * Yield the frames of an answer, `{number, t, items}`, from its beginning to its ending, over as many connections
 * as it takes. `onConnection(isThere)` hears whether the server can be reached. Ends without an ending where
 * the server knows nothing of the stream any more.
 */
export async function* frames(id, { signal, onConnection }) {
  let after = 0;
  let failures = 0;
  while (!signal.aborted) {
    try {
      const response = await fetch(`/streams/${encodeURIComponent(id)}?after=${after}`, { signal });
      if (response.status === 204 || response.status === 404) return;
      if (!response.ok) throw new Error(`status ${response.status}`);
      onConnection(true);
      for await (const frame of events(response)) {
        failures = 0;
        after = frame.number;
        yield frame;
        if (frame.items.some(({ kind }) => ENDINGS.includes(kind))) return;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof SyntaxError) throw error;
    }
    onConnection(false);
    await waited(PAUSES[Math.min(failures++, PAUSES.length - 1)], signal);
  }
}
