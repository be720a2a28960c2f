"""Every reader, whenever it joins and however often it comes back, on whichever machine, gets the same
frames, each once, in order, then exactly one ending: in every format, from every store, behind every adapter.

The table has a row for each thing that happens to readers. Each cell, a store and an adapter, is tried with
all formats at once, held to the frames that ``events`` brought. A cell that is not tried says why.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from itertools import product
from types import MappingProxyType
from typing import Final

import pytest
from attrs import frozen

from support import relay_situations as situations
from support import relay_troubles as troubles
from support.relay_situations import Place
from support.relaying import ADAPTERS

STORES: Final = ("memory", "redis")

_NO_REDIS: Final = "there is no Redis beside a store in memory"


@frozen
class Row:
    """``untried``: why it is not tried with a store. ``in_processes``: it kills some, and is slow."""

    run: Callable[[Place], Awaitable[None]]
    untried: Mapping[str, str] = MappingProxyType({})
    in_processes: bool = False


TABLE: Final = {
    "joins late": Row(situations.joins_late),
    "comes back at every frame": Row(situations.comes_back_at_every_frame),
    "two readers": Row(situations.two_readers),
    "slow reader": Row(situations.reads_slowly),
    "reader that never reads": Row(situations.never_reads),
    "producer killed": Row(
        troubles.producer_killed,
        {"memory": "the producer is the relay's process, which another row kills"},
        in_processes=True,
    ),
    "relay process killed": Row(troubles.relay_killed, in_processes=True),
    "Redis restarted": Row(troubles.redis_restarted, {"memory": _NO_REDIS}, in_processes=True),
    "Redis gone": Row(troubles.redis_gone, {"memory": _NO_REDIS}, in_processes=True),
    "stopped from the other machine": Row(situations.stopped_from_there),
    "time to live passed": Row(situations.time_has_passed),
}

#: Rows of the default run, with a store in memory; the others take seconds or programs of their own.
_QUICK: Final = {"joins late", "comes back at every frame", "two readers"}


def _cells() -> list[object]:
    cells = []
    for (name, row), store, adapter in product(TABLE.items(), STORES, ADAPTERS):
        if store not in row.untried:
            is_quick = name in _QUICK and store == "memory"
            marks = () if is_quick else (pytest.mark.slow,)
            cells.append(pytest.param(name, store, adapter, marks=marks))
    return cells


@pytest.mark.parametrize(("name", "store", "adapter"), _cells())
async def test_every_reader_gets_the_same_frames_each_once_in_order_and_one_ending(
    request: pytest.FixtureRequest, name: str, store: str, adapter: str
) -> None:
    redis = request.getfixturevalue("redis") if store == "redis" else None
    await TABLE[name].run(Place(store, adapter, redis))


def test_each_cell_is_tried_or_says_why_it_is_not() -> None:
    for row in TABLE.values():
        assert set(row.untried) < set(STORES)
        assert all(len(why) > 20 for why in row.untried.values())
    assert len(_cells()) == len(TABLE) * 4 - sum(2 * len(row.untried) for row in TABLE.values())
