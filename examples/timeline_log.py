"""A timeline log: when every token arrived, written while it streams and read back.

Usage: timeline_log.py [LOG]; `lm-deluge report LOG` shows the same log in full.
"""

import asyncio
import sys

from lm_deluge import LLMClient
from lm_deluge.timeline import Timeline, read_timelines
from lm_deluge_plugins import FileLogger


def show(timeline: Timeline) -> None:
    """Print a strip, one mark for each tenth of a second: the darker, the more tokens."""
    assert timeline.ending is not None
    tenths = [0] * (int(timeline.ending.t * 10) + 1)
    for slot in timeline.slots:
        tenths[int(timeline.times[slot] * 10)] += 1
    strip = "".join(" .:-=+*#%@"[min(count, 9)] for count in tenths)
    print(f"{timeline.tags['variant']}  |{strip}|  {len(timeline)} tokens", end="")
    if timeline.ttft is not None:
        print(f", the first after {timeline.ttft:.2f} s", end="")
    print(f", all after {timeline.ending.t:.2f} s")


async def main(path: str) -> None:
    with FileLogger(path) as log:
        client = LLMClient("gpt-6-sol", handlers=[log], printer=None)
        for variant, prompt in (("A", "Explain tides."), ("B", "Explain tides to a child.")):
            await client.stream(prompt, tags={"variant": variant})
    for timeline in read_timelines([path]):
        show(timeline)


asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "timeline.jsonl"))
