"""A log measured both ways: by columns, and timeline by timeline."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from lm_deluge.timeline import (
    Group,
    LogReader,
    Measured,
    Settings,
    Timeline,
    measure,
    read_timelines,
)

_COUNTED = (
    "name", "streams", "completed", "failed", "cancelled", "unfinished", "censored", "retried",
    "lost", "tokens", "output_tokens", "good", "retries", "never", "models", "ids", "prompts", "openings",
)  # fmt: skip


def files_of(*parts: bytes) -> list[io.BytesIO]:
    """Return logs as files, named by their places."""
    files = [io.BytesIO(data) for data in parts]
    for place, file in enumerate(files):
        file.name = f"log{place}"  # type: ignore[attr-defined]
    return files


def assert_same_on_both_roads(
    *parts: bytes, by: str | None = "variant", settings: Settings | None = None
) -> Measured:
    """Measure logs in both ways; every figure must be the same. Return what was measured."""
    readers = [read_timelines(files_of(*parts)) for _ in range(2)]
    quick = measure(readers[0], by=by, settings=settings)
    slow = measure(_one_by_one(readers[1]), by=by, settings=settings)
    for name in ("lines", "skipped_lines", "skipped", "foreign", "unfinished"):
        assert getattr(readers[0], name) == getattr(readers[1], name), name
    assert quick.tags == slow.tags
    assert list(quick.groups) == list(slow.groups)
    for name, group in slow.groups.items():
        _assert_same(quick.groups[name], group)
    return quick


def _one_by_one(reader: LogReader) -> Iterator[Timeline]:
    yield from reader


def _assert_same(quick: Group, slow: Group) -> None:
    for name in _COUNTED:
        assert getattr(quick, name) == getattr(slow, name), name
    for name in slow._columns:
        assert_close(quick.column(name), slow.column(name), name)
    for name in ("gap", "icl"):
        for one, other in zip(quick.pooled(name), slow.pooled(name), strict=True):
            assert_close(one, other, name)
    assert_close([quick.stall_longest], [slow.stall_longest], "stall_longest")
    assert_close([quick.seconds or 0.0], [slow.seconds or 0.0], "seconds")
    assert quick.failures.keys() == slow.failures.keys()
    for key, failures in slow.failures.items():
        assert quick.failures[key].tokens == failures.tokens
        assert quick.failures[key].seconds == failures.seconds
    assert quick.summary().keys() == slow.summary().keys()


def assert_close(one: Sequence[float] | Any, other: Sequence[float] | Any, name: str) -> None:
    """Same to 1e-9 of its size, and NaN for NaN."""
    np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12, err_msg=name)
