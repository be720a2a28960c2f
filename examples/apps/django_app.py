"""Django: the answer as it arrives, from a plain view and from an async one.

pip install django uvicorn
python django_app.py runserver, then curl -N 'localhost:8000/ask?question=What+is+rain'
uvicorn django_app:asgi, then curl -N 'localhost:8000/ask-async?question=What+is+rain'
"""

import sys
from collections.abc import AsyncIterator, Iterator

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.management import execute_from_command_line
from django.http import HttpRequest, StreamingHttpResponse
from django.urls import path

import lm_deluge.sync

settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="only an example")  # noqa: S106
PLAIN = {"content_type": "text/plain", "headers": {"X-Accel-Buffering": "no"}}

client = lm_deluge.sync.LLMClient("gpt-6-sol")  # for WSGI: gunicorn, runserver
async_client = lm_deluge.LLMClient("gpt-6-sol")  # for ASGI: uvicorn, hypercorn, daphne


def ask(request: HttpRequest) -> StreamingHttpResponse:
    def answer() -> Iterator[str]:
        for token in client.open_stream(request.GET["question"]):
            yield token.text

    return StreamingHttpResponse(answer(), **PLAIN)


async def ask_async(request: HttpRequest) -> StreamingHttpResponse:
    async def answer() -> AsyncIterator[str]:
        async with async_client.open_stream(request.GET["question"]) as stream:
            async for token in stream:
                yield token.text

    return StreamingHttpResponse(answer(), **PLAIN)


urlpatterns = [path("ask", ask), path("ask-async", ask_async)]
asgi = get_asgi_application()

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
