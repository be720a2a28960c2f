"""``vllm bench serve --save-result --save-detailed``: one object of a run, with a list of each figure.

Shape: vllm/benchmarks/serve.py (and lib/endpoint_request_func.py for what is measured), 0.11 to 0.30:
``ttfts`` (seconds), ``itls`` (a list each, seconds), ``errors`` (text, empty for none),
``generated_texts``, ``input_lens``, ``output_lens``; newer ones ``start_times``, ``latencies``,
``queue_times``. ``--append-result`` puts further objects on lines of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from lm_deluge.timeline.foreign.answers import (
    BenchmarkedAnswer,
    NotMeasuredError,
    count,
    moments,
    seconds,
    wall_clock,
)

__all__ = ["LACKS", "NAME", "answers", "is_its_own"]

NAME: Final = "vllm bench serve"
LACKS: Final = (
    "a piece is an event, also one without text (a role, the end), so that first text may come later than "
    "its TTFT; the answer's end is its last piece; when a failure came is not told; network reads and "
    "prompts are not told; the clock of the wall is that of the machine, without its zone"
)

#: Settings of the run that make tags: what two runs may differ in.
_TAGS: Final = ("label", "request_rate", "max_concurrency", "backend", "endpoint_type")
_LISTS: Final = ("ttfts", "itls", "errors")
_HEAD: Final = re.compile(rb'"(?:num_prompts|endpoint_type|tokenizer_id)"\s*:')


def is_its_own(head: bytes) -> bool:
    """Whether a file that begins like this is one."""
    return len(set(_HEAD.findall(head[:8192]))) >= 2


def answers(run: Mapping[str, Any]) -> Iterator[BenchmarkedAnswer]:
    """Yield the answers of a run; raises ``NotMeasuredError`` where it has no times of them."""
    missing = [name for name in _LISTS if not isinstance(run.get(name), list)]
    if missing:
        raise NotMeasuredError(
            f"a result of {NAME} without {', '.join(missing)}: run it with --save-detailed"
        )
    number = len(run["ttfts"])
    for name in (*_LISTS, "start_times", "latencies", "generated_texts"):
        if isinstance(run.get(name), list) and len(run[name]) != number:
            raise NotMeasuredError(
                f"a result of {NAME} with {number} ttfts and {len(run[name])} {name}"
            )
    tags = {name: run[name] for name in _TAGS if isinstance(run.get(name), (str, int, float))}
    saved, starts = _saved(run), _numbers(run, "start_times", number)
    first = min((start for start in starts if start is not None), default=0.0)
    columns = {
        name: _numbers(run, name, number)
        for name in ("latencies", "queue_times", "input_lens", "output_lens")
    }
    texts = run.get("generated_texts") or [""] * number
    for index in range(number):
        ttft, error = seconds(run["ttfts"][index]), run["errors"][index]
        start = starts[index]
        # A request that failed before its first piece has a TTFT of 0.
        pieces = moments(ttft, run["itls"][index]) if ttft else []
        text = texts[index]
        yield BenchmarkedAnswer(
            model=run.get("model_id") if isinstance(run.get("model_id"), str) else None,
            tags={"tool": NAME, **tags},
            at=None if saved is None or start is None else wall_clock(saved + start - first),
            queued=columns["queue_times"][index] or 0.0,
            pieces=pieces,
            characters=len(text) if isinstance(text, str) else 0,
            end=columns["latencies"][index],
            error=_error(error) if error or not pieces else None,
            input_tokens=count(columns["input_lens"][index]),
            output_tokens=count(columns["output_lens"][index]),
        )


def _numbers(run: Mapping[str, Any], name: str, number: int) -> list[float | None]:
    values = run.get(name)
    return [seconds(value) for value in values] if isinstance(values, list) else [None] * number


def _saved(run: Mapping[str, Any]) -> float | None:
    """Return the run's ``date`` as if it were UTC: it has no zone."""
    try:
        told = datetime.strptime(str(run.get("date")), "%Y%m%d-%H%M%S")  # noqa: DTZ007
    except ValueError:
        return None
    return told.replace(tzinfo=UTC).timestamp()


def _error(told: object) -> str:
    """Return the class at the end of a traceback; the text is that, or a status's reason."""
    last = str(told).strip().rpartition("\n")[2]
    found = re.match(r"(?:\w+\.)*([A-Z]\w*(?:Error|Exception|Timeout|Disconnected))\b", last)
    return found[1] if found else "StreamError"
