"""What a group takes from a timeline: a tag as text, its moments on the wall clock."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from lm_deluge.values.timeline import Timeline

__all__ = ["epoch", "last_moment", "tag_text"]


def tag_text(value: object) -> str:
    """Return a tag's value as text: a text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)


def last_moment(timeline: Timeline) -> float:
    """Return seconds from t0 to the ending, where it is missing to the last output."""
    ending = timeline.ending
    return ending.t if ending is not None else timeline.last_output or 0.0


def epoch(at: str | None) -> float | None:
    """Return a moment in ISO 8601 as seconds since 1970; ``None`` where it is none."""
    if at is None:
        return None
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.timestamp()
