// What the AI SDK's, React's and AG-UI's own clients make of a relay: one JSON object on standard output.
// node relay_readers.mjs URL: POST {URL}/ui, GET {URL}/ui/{chat}/stream, POST {URL}/ag-ui, GET {URL}/streams/{id}.
import { DefaultChatTransport, readUIMessageStream } from "ai";
import { Chat, useChat } from "@ai-sdk/react";
import { HttpAgent } from "@ag-ui/client";
import { EventSource } from "eventsource";
import { createElement } from "react";
import { create } from "react-test-renderer";

const url = process.argv[2];
const user = { id: "u1", role: "user", parts: [{ type: "text", text: "hi" }] };
const later = (ms) => new Promise((done) => setTimeout(done, ms));

async function last(stream) {
  let message = null;
  const errors = [];
  const told = [];
  const [one, two] = stream.tee();
  const chunks = (async () => { for await (const chunk of two) told.push(chunk.type); })();
  for await (const each of readUIMessageStream({ stream: one, onError: (e) => errors.push(String(e)) })) message = structuredClone(each);
  await chunks;
  return { message, errors, told };
}

async function asked(path) {
  const transport = new DefaultChatTransport({ api: `${url}${path}` });
  const request = { chatId: "chat", messages: [user], trigger: "submit-message" };
  return last(await transport.sendMessages(request));
}

async function resumed(path, chatId) {
  const transport = new DefaultChatTransport({ api: `${url}${path}` });
  const stream = await transport.reconnectToStream({ chatId });
  return stream === null ? null : last(stream);
}

// The hook in a component that shows nothing: all that it ever returned, and its last state. React draws when it
// has time: a state that soon passes may not be drawn, and the last one is there once it equals the chat's own.
async function hook(path, drive) {
  const statuses = [];
  let chat = null;
  let finished = null;
  const own = new Chat({
    id: "hook",
    transport: new DefaultChatTransport({ api: `${url}${path}` }),
    onFinish: ({ isAbort, isError, isDisconnect }) => { finished = { isAbort, isError, isDisconnect }; },
    onError: () => {},
  });
  const isDrawn = () => chat.status === own.status && JSON.stringify(chat.messages) === JSON.stringify(own.messages);
  function Page() {
    chat = useChat({ chat: own });
    if (statuses.at(-1) !== chat.status) statuses.push(chat.status);
    return null;
  }
  // As in a browser, and not in React's test mode: there nothing is drawn before all is over.
  const page = create(createElement(Page));
  while (chat === null) await later(1);
  await drive(() => chat);
  while (finished === null || !["ready", "error"].includes(own.status) || !isDrawn()) await later(5);
  const found = { statuses, finished, messages: structuredClone(chat.messages), error: chat.error ? String(chat.error) : null };
  page.unmount();
  return found;
}

const send = (chat) => chat().sendMessage({ text: "hi" });
const stopAfterSome = async (chat) => {
  const sending = chat().sendMessage({ text: "hi" });
  while (!JSON.stringify(chat().messages).includes("two")) await later(10);
  await chat().stop();
  await sending;
};

async function agent(path) {
  const agent = new HttpAgent({ url: `${url}${path}`, threadId: "t1", initialMessages: [{ id: "u1", role: "user", content: "hi" }] });
  const events = [];
  const errors = [];
  try {
    await agent.runAgent({ runId: "r1" }, { onEvent: ({ event }) => { events.push(event.type); } });
  } catch (error) {
    errors.push(String(error));
  }
  return { messages: agent.messages, events, errors };
}

// An EventSource whose connection is cut by the server after some events; it stays away once it is told 204.
function events(path) {
  return new Promise((done) => {
    const found = { ids: [], text: "", opened: 0, ending: null };
    setInterval(() => {}, 1000); // its own timer would let node end
    const source = new EventSource(`${url}${path}`);
    source.onopen = () => { found.opened += 1; };
    source.onmessage = ({ data, lastEventId }) => {
      found.ids.push(Number(lastEventId));
      for (const item of JSON.parse(data).items) {
        if (item.kind === "text") found.text += item.text;
        if (["complete", "error", "cancelled"].includes(item.kind)) found.ending = item.kind;
      }
    };
    source.onerror = () => { if (source.readyState === EventSource.CLOSED) done(found); };
  });
}

const found = {
  ui: await asked("/ui"),
  resumed: await resumed("/ui", "chat"),
  nothing: await resumed("/ui", "no-such-chat"),
  tools: await asked("/ui?model=tools"),
  failed: await asked("/ui?model=failing"),
  stopped: await asked("/ui?model=stopped"),
  retried: await asked("/ui?model=retried"),
  twoTries: await asked("/ui?model=second"),
  hook: await hook("/ui?model=paced", send),
  hookFailed: await hook("/ui?model=failing", send),
  hookStopped: await hook("/ui?model=stopped", send),
  hookStops: await hook("/ui?model=slow", stopAfterSome),
  hookResumes: await hook("/ui", (chat) => chat().resumeStream()),
  agent: await agent("/ag-ui"),
  agentTools: await agent("/ag-ui?model=tools"),
  agentFailed: await agent("/ag-ui?model=failing"),
  agentStopped: await agent("/ag-ui?model=stopped"),
  agentRetried: await agent("/ag-ui?model=retried"),
  events: await events("/events"),
};
console.log(JSON.stringify(found));
process.exit(0);
