// Figures of an answer in words. Pure: seconds in, sentences out.

/** Seconds of silence that are called a stall. */
export const STALL = 1.0;

/** Seconds from the server to the screen that only something between the two explains. */
const HELD = 0.5;

/** "0.42 s", "12.3 s", "2 min 5 s". */
export function seconds(value) {
  if (value >= 60) return `${Math.floor(value / 60)} min ${Math.round(value % 60)} s`;
  return `${value.toFixed(value < 10 ? 2 : 1)} s`;
}

const milliseconds = (value) => (value < 1 ? `${Math.round(value * 1000)} ms` : seconds(value));

const many = (count, word) => `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;

export function median(values) {
  if (values.length === 0) return null;
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

/** The silences of `STALL` or longer between two pieces: `[{from, to}]`. */
export function stalls(times) {
  const found = [];
  for (let i = 1; i < times.length; i++) {
    if (times[i] - times[i - 1] >= STALL) found.push({ from: times[i - 1], to: times[i] });
  }
  return found;
}

/** A second, counted from the second piece on: before it there is no rate. */
function rate(times, tokens) {
  const first = times[0], last = times.at(-1);
  if (times.length < 2 || last - first < 0.05) return null;
  const count = tokens ?? times.length;
  return `${Math.round((count - count / times.length) / (last - first))} ${tokens === null ? "pieces" : "tokens"} a second`;
}

/**
 * What an answer was like, in short sentences.
 *
 * `came`, `painted`: seconds from the question for each piece (painted: null where it never was);
 * `isText`: whether the piece is text of the answer; `tokens`: how many the provider counted, else null;
 * `now`: seconds from the question, while the answer is on its way, else null.
 */
export function figures({ came, painted, isText, tokens, now }) {
  const firstText = isText.indexOf(true);
  const said = [];
  if (came.length === 0) return now === null ? ["Nothing came."] : [`Waiting, ${seconds(now)} so far`];
  if (firstText < 0) said.push(now === null ? "No text" : `First piece after ${seconds(came[0])}, no text yet`);
  else {
    if (firstText > 0) said.push(`Reasoning from ${seconds(came[0])} on`);
    said.push(`First words after ${seconds(painted[firstText] ?? came[firstText])}`);
  }
  const pace = rate(came, now === null ? tokens : null);
  const total = many(came.length, "piece");
  said.push(pace === null ? total : `${total} in ${seconds(came.at(-1) - came[0])}, ${pace}`);
  const silent = stalls(came);
  const running = now !== null && now - came.at(-1) >= STALL ? now - came.at(-1) : 0;
  if (running) said.push(`Silent for ${seconds(running)}`);
  if (silent.length === 1) said.push(`1 stall of ${seconds(silent[0].to - silent[0].from)}`);
  else if (silent.length > 1) {
    const longest = Math.max(...silent.map(({ from, to }) => to - from));
    said.push(`${silent.length} stalls, the longest ${seconds(longest)}`);
  } else if (now === null && came.length > 1) said.push("No stalls");
  if (now === null) {
    const lag = median(painted.flatMap((at, i) => (at === null ? [] : [Math.max(0, at - came[i])])));
    const held = lag >= HELD ? "Held up on the way: on" : "On";
    if (lag !== null) said.push(`${held} screen ${milliseconds(lag)} after it came`);
    const unseen = painted.filter((at) => at === null).length;
    if (unseen) said.push(`${many(unseen, "piece")} never on screen`);
  }
  return said;
}
