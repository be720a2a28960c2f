// What the AI SDK's and AG-UI's own clients make of a relay: one JSON object on standard output.
// node relay_readers.mjs URL: POST {URL}/ui, GET {URL}/ui/{chat}/stream, POST {URL}/ag-ui.
import { DefaultChatTransport, readUIMessageStream } from "ai";
import { HttpAgent } from "@ag-ui/client";

const url = process.argv[2];
const user = { id: "u1", role: "user", parts: [{ type: "text", text: "hi" }] };

async function last(stream) {
  let message = null;
  const errors = [];
  const told = [];
  const [one, two] = stream.tee();
  const chunks = (async () => { for await (const chunk of two) told.push(chunk.type); })();
  for await (const each of readUIMessageStream({ stream: one, onError: (e) => errors.push(String(e)) })) message = each;
  await chunks;
  return { message, errors, told };
}

async function useChat(path) {
  const transport = new DefaultChatTransport({ api: `${url}${path}` });
  const asked = { chatId: "chat", messages: [user], trigger: "submit-message" };
  return last(await transport.sendMessages(asked));
}

async function resumed(path, chatId) {
  const transport = new DefaultChatTransport({ api: `${url}${path}` });
  const stream = await transport.reconnectToStream({ chatId });
  return stream === null ? null : last(stream);
}

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

const found = {
  ui: await useChat("/ui"),
  resumed: await resumed("/ui", "chat"),
  nothing: await resumed("/ui", "no-such-chat"),
  tools: await useChat("/ui?model=tools"),
  failed: await useChat("/ui?model=failing"),
  stopped: await useChat("/ui?model=stopped"),
  agent: await agent("/ag-ui"),
  agentTools: await agent("/ag-ui?model=tools"),
  agentFailed: await agent("/ag-ui?model=failing"),
  agentStopped: await agent("/ag-ui?model=stopped"),
};
console.log(JSON.stringify(found));
process.exit(0);
