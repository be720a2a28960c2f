"""A chat for the AI SDK's useChat behind FastAPI: a reload goes on where it was, stop stops.

Run it with ``uvicorn examples.relay_fastapi:app``; in the page: ``useChat({ resume: true })`` with the
default transport, ``api: "/chat"``.
"""

import os
from typing import Any

from fastapi import FastAPI, HTTPException, Request

from lm_deluge import LLMClient
from lm_deluge_plugins.relay import Relay, asgi, read_ui_request

app = FastAPI()
client = LLMClient(os.environ.get("MODEL", "gpt-6-luna"))
relay = Relay(on_disconnect="continue")  # a reload is no stop


@app.post("/chat")
async def chat(request: Request) -> Any:
    try:
        asked = read_ui_request(await request.body())
    except ValueError as error:
        raise HTTPException(400, str(error)) from None
    stream = client.open_stream(asked.conversation)
    return asgi.respond(relay, stream, format="ui-message", key=asked.chat_id)


@app.get("/chat/{chat_id}/stream")
async def resume(chat_id: str) -> Any:
    return asgi.resume(relay, chat_id, format="ui-message")  # 204 where nothing runs


@app.post("/chat/{chat_id}/stop")
async def stop(chat_id: str) -> Any:
    return asgi.stop(relay, chat_id)
