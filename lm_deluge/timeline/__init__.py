"""The timeline of a stream: its log record, reading logs, metrics, comparison, reports."""

from lm_deluge.timeline.reading import LogReader, Skipped, read_timelines
from lm_deluge.timeline.values import Ending, Stall, Timeline

__all__ = ["Ending", "LogReader", "Skipped", "Stall", "Timeline", "read_timelines"]
