"""A recording measured by columns: its raw reads are the same tokens as timeline by timeline."""

from __future__ import annotations

from pathlib import Path

from lm_deluge import LLMClient
from lm_deluge.simulator import Simulator
from support.roads import assert_same_on_both_roads


async def test_recordings_are_measured_the_same_on_both_roads(
    simulator: Simulator, tmp_path: Path
) -> None:
    path = tmp_path / "a.rec"
    client = LLMClient("gpt-4o", printer=None, record=path)
    for prompt in ("one", "two"):
        await client.stream(prompt)
    data = path.read_bytes()
    measured = assert_same_on_both_roads(data, by=None)
    (group,) = measured.groups.values()
    assert (group.streams, group.completed, measured.skipped_lines) == (2, 2, 0)
    assert group.tokens > 2
    lines = data.splitlines()
    for place in range(0, len(lines), 3):  # a line lost, cut, repeated
        assert_same_on_both_roads(b"\n".join(lines[:place] + lines[place + 1 :]), by=None)
        assert_same_on_both_roads(b"\n".join([*lines[:place], lines[place][:40], *lines]), by=None)
