// Asks by every SDK for Node, three rounds, led by the variables alone; prints what each heard, as JSON.
import Anthropic from "@anthropic-ai/sdk";
import { createOpenAI } from "@ai-sdk/openai";
import { GoogleGenAI } from "@google/genai";
import { streamText } from "ai";
import OpenAI from "openai";

const { GOOGLE_GEMINI_BASE_URL, OPENAI_BASE_URL } = process.env;
const messages = [{ role: "user", content: "Hi" }];
const openai = new OpenAI({ maxRetries: 0 });
const anthropic = new Anthropic({ maxRetries: 0 });
const gemini = new GoogleGenAI({ httpOptions: { baseUrl: GOOGLE_GEMINI_BASE_URL } });
const aiSdk = createOpenAI({ baseURL: OPENAI_BASE_URL });

async function join(pieces, textOf) {
  let text = "";
  for await (const piece of await pieces) text += textOf(piece) ?? "";
  return text;
}

const clients = {
  chat: () =>
    join(openai.chat.completions.create({ model: "gpt-4o", stream: true, messages }),
      (chunk) => chunk.choices[0]?.delta?.content),
  responses: () =>
    join(openai.responses.create({ model: "gpt-4o", stream: true, input: "Hi" }),
      (event) => event.type === "response.output_text.delta" && event.delta || ""),
  messages: () =>
    join(anthropic.messages.stream({ model: "claude-sonnet-5", max_tokens: 90, messages }),
      (event) => event.delta?.text),
  gemini: () =>
    join(gemini.models.generateContentStream({ model: "gemini-3-flash-preview", contents: "Hi" }),
      (chunk) => chunk.text),
  ai: () =>
    join(streamText({ model: aiSdk.chat("gpt-4o"), prompt: "Hi", maxRetries: 0, onError() {} }).textStream,
      (text) => text),
};

const heard = [];
for (let round = 0; round < 3; round++) {
  for (const [name, ask] of Object.entries(clients)) {
    try {
      heard.push([name, await ask()]);
    } catch (error) {
      heard.push([name, `${error.constructor.name}: ${error.message}`]);
    }
  }
}
console.log(JSON.stringify(heard));
