// The AI SDK's own server, as its documentation shows it for Node. node relay_peer.mjs MODEL_URL
import { createServer } from "node:http";
import { createOpenAI } from "@ai-sdk/openai";
import { streamText } from "ai";

const openai = createOpenAI({ baseURL: process.argv[2], apiKey: "k" });
const server = createServer((request, response) => {
  const result = streamText({ model: openai.chat("gpt-4.1-mini"), prompt: "hi" });
  result.pipeUIMessageStreamToResponse(response);
});
server.listen(0, "127.0.0.1", 4096, () => console.log(server.address().port));
