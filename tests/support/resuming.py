"""A client whose answers are resumed, and a server that cuts an answer where a test says."""

from __future__ import annotations

from typing import Any, Final

from lm_deluge import LLMClient, RetryPolicy
from lm_deluge.simulator import ABORT, Overhead, Reply, Simulator
from lm_deluge.simulator.saying.steps import Step
from support import responses as said
from support.clients import client_for

SOON: Final = RetryPolicy(max_attempts=4, initial_delay=0.001, max_delay=0.001)

TEXT: Final = ["Hel", "lo ", "東京", "!"]


def resuming_client(sim: Simulator, **more: Any) -> LLMClient:
    more = {"retries": SOON, "dialect": "responses", "resume": True} | more
    return client_for(sim, "o4-mini", **more)


def script(*cuts: int) -> tuple[list[bytes], Any]:
    """The events of an answer, and a server that cuts its streams after so many bytes each."""
    bare = [
        said.event("response.created", sequence_number=0, response={"id": "resp_1"}),
        said.event("response.in_progress", sequence_number=1, response={"id": "resp_1"}),
        *(
            said.event(
                "response.output_text.delta",
                sequence_number=2 + at,
                output_index=0,
                content_index=0,
                item_id="m",
                delta=text,
            )
            for at, text in enumerate(TEXT)
        ),
        said.event(
            "response.completed", sequence_number=6, response={"id": "resp_1", "output": []}
        ),
    ]
    left = list(cuts)

    def reply(record: Any) -> Reply:
        after = int(record.query.get("starting_after", -1))
        body = b"".join(bare[after + 1 :])
        cut = left.pop(0) if left else len(body)
        steps: list[Step] = [Overhead(body[:cut]), 0.001]
        return Reply(steps=[*steps, ABORT] if cut < len(body) else steps)

    return bare, reply
