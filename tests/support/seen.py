"""Logs of streams that browsers saw, made from delays that are known."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from lm_deluge.logs.record import complete_line, encode_lines, start_line, token_line

__all__ = ["flat", "seen_line", "seen_stream"]


def seen_line(
    stream: str, arrived: Sequence[float], painted: Sequence[float | None], /, **fields: Any
) -> bytes:
    """A line of what a browser saw, from piece 0 on unless ``i`` says otherwise."""
    moments = [*arrived, *(moment for moment in painted if moment is not None)]
    values: dict[str, Any] = {
        "v": 1,
        "e": "seen",
        "s": stream,
        "t": max(moments, default=0.0) + 0.1,
        "i": [0, len(arrived) - 1],
        "arrived": list(arrived),
        "painted": list(painted),
        "hidden": False,
        "bound": 0.012,
        "r": 0,
    }
    return json.dumps({**values, **fields}, separators=(",", ":")).encode() + b"\n"


def seen_stream(
    stream: str = "s",
    came: Sequence[float] = (0.5, 0.6, 0.7, 0.8),
    *,
    process: Sequence[float] | float = 0.0,
    network: Sequence[float] | float = 0.0,
    painting: Sequence[float] | float = 0.0,
    offset: float = 0.0,
    queued: float = 0.0,
    tags: dict[str, Any] | None = None,
    told: bool = True,
    **fields: Any,
) -> bytes:
    """A whole stream whose pieces ``came`` at these seconds, and what its reader's browser told.

    ``process``, ``network``, ``painting``: seconds at each station, of all pieces or of each. ``offset``: by
    how much the browser's clock is told wrong. ``told``: whether there is a ``seen`` line.
    """
    n = len(came)
    late, between, drawn = (
        [each] * n if isinstance(each, (int, float)) else list(each)
        for each in (process, network, painting)
    )
    lines: list[Any] = [
        start_line(
            stream, model="m", queued=queued, base_url="http://h", tags=tags or {}, prompt_chars=4,
            at="2026-11-22T10:00:00+00:00",
        ),
        *(token_line(stream, t, i, "x", i, late[i]) for i, t in enumerate(came)),
        complete_line(
            stream, came[-1], model="m", finish_reason="stop", usage=None, cost=None,
            response_id=None, attempts=1,
        ),
    ]  # fmt: skip
    data = encode_lines(lines)
    if not told:
        return data
    arrived: list[float] = []
    for t, lag, delay in zip(came, late, between, strict=True):
        arrived.append(max(round(max(t + lag + delay + offset, 0.0), 4), *arrived[-1:], 0.0))
    painted = [round(t + delay, 4) for t, delay in zip(arrived, drawn, strict=True)]
    return data + seen_line(stream, arrived, painted, **fields)


def flat(told: Any, name: str = "seen") -> dict[str, Any]:
    """The numbers of nested objects by their paths, nothing as -1, for ``pytest.approx``."""
    if not isinstance(told, dict):
        return {name: -1.0 if told is None else told}
    return {
        path: value
        for key, each in told.items()
        for path, value in flat(each, f"{name}.{key}").items()
    }
