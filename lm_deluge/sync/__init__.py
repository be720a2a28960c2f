"""Streams without ``async``: for scripts, Flask, Django, notebooks and threads.

The names of ``lm_deluge`` with the same arguments, as plain functions and generators::

    from lm_deluge.sync import LLMClient

    client = LLMClient("gpt-6-sol")
    response = client.stream("Write a haiku about rain.")   # prints each token at once

    for token in client.open_stream("And one about snow."):
        ...                                                 # a break ends the stream, and its cost

The streams of all threads run in one event loop, in a daemon thread that starts with the first of them
and ends with the program. Handlers and printers are called there, with the context variables of
whoever opened the stream: a handler that blocks holds up all streams, and one that calls
``lm_deluge.sync`` gets a ``RuntimeError`` instead of waiting for itself.

It can be called where an event loop runs (a notebook, an ``async def``), which waits meanwhile, and in
a child of a fork, which starts a thread of its own.
"""

from lm_deluge.sync.chats import stream_chat
from lm_deluge.sync.client import LLMClient
from lm_deluge.sync.streams import Stream

__all__ = ["LLMClient", "Stream", "stream_chat"]
