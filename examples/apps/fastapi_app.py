"""FastAPI: the answer as it arrives. A reader who leaves ends the stream, and its cost.

pip install fastapi uvicorn
uvicorn fastapi_app:app, then curl -N 'localhost:8000/ask?question=What+is+rain'
"""

import logging
from collections.abc import AsyncIterator

from fastapi import FastAPI
from fastapi.responses import StreamingResponse

from lm_deluge import LLMClient
from lm_deluge.errors import StreamError

app = FastAPI()
log = logging.getLogger(__name__)
client = LLMClient("gpt-6-sol")


async def answer(question: str) -> AsyncIterator[str]:
    try:
        async with client.open_stream(question) as stream:
            async for token in stream:
                yield token.text
    except StreamError:  # its words are for the log; the status has been sent by now
        log.exception("an answer broke off")
        yield "\n[The answer broke off.]"


@app.get("/ask")
async def ask(question: str) -> StreamingResponse:
    headers = {"X-Accel-Buffering": "no"}  # nginx would hold the tokens back
    return StreamingResponse(answer(question), media_type="text/plain", headers=headers)
