"""Flask: the answer as it arrives. A reader who leaves ends the stream, and its cost.

pip install flask
flask --app flask_app run, then curl -N 'localhost:5000/ask?question=What+is+rain'
"""

from collections.abc import Iterator

from flask import Flask, Response, request

from lm_deluge.errors import StreamError
from lm_deluge.sync import LLMClient

app = Flask(__name__)
client = LLMClient("gpt-6-sol")


def answer(question: str) -> Iterator[str]:
    try:
        for token in client.open_stream(question):
            yield token.text
    except StreamError:  # its words are for the log; the status has been sent by now
        app.logger.exception("an answer broke off")
        yield "\n[The answer broke off.]"


@app.get("/ask")
def ask() -> Response:
    headers = {"X-Accel-Buffering": "no"}  # nginx would hold the tokens back
    return Response(answer(request.args["question"]), mimetype="text/plain", headers=headers)
