"""What benchmarks leave, read as lines of a timeline log: vLLM's, AIPerf's, GuideLLM's.

A file is told by its content. What a tool measured becomes lines as a content-free log has them, so
that whatever reads a log reads it, too; what the tool did not measure is said in its ``LACKS``.
"""

from lm_deluge.timeline.foreign.answers import BenchmarkedAnswer, NotMeasuredError
from lm_deluge.timeline.foreign.tools import BenchmarkTool, lines_of, tool_of

__all__ = ["BenchmarkTool", "BenchmarkedAnswer", "NotMeasuredError", "lines_of", "tool_of"]
