"""What other tools call what is measured here: names that are ours too, and names to point from.

Each is compared with vLLM's, AIPerf's and GuideLLM's in docs/design/metrics.md.
"""

from __future__ import annotations

__all__ = ["ALIASES", "own_name", "pointer"]

ALIASES = {"ttfo": "ttfa"}
"""Names of the same figure: AIPerf's time to first output token is our time to first answer."""

_POINTERS = {
    "itl": "every tool means another thing by ITL: vLLM's is gap, AIPerf's and GuideLLM's "
    "tpot_per_token",
    "inter_token_latency": "AIPerf's and GuideLLM's inter-token latency is tpot_per_token, vLLM's gap",
    "inter_chunk_latency": "it is icl here",
    "e2el": "it is e2e here",
    "request_latency": "it is e2e here",
    "time_to_first_token": "it is ttft here",
    "time_to_first_output_token": "it is ttfo here",
    "ttfot": "it is ttfo here",
    "output_throughput": "it is output_token_throughput here; of one stream, rate",
    "throughput": "there are request_throughput and output_token_throughput; of one stream, rate",
    "request_goodput": "it is goodput here",
    "requests_per_second": "it is request_throughput here",
    "output_tokens_per_second": "it is output_token_throughput here; of one stream, rate",
    "tps": "it is output_token_throughput here; of one stream, rate",
    "rps": "it is request_throughput here",
    "median": "the median is .p50",
    "avg": "the average is .mean",
    "stdev": "the standard deviation is .std",
    "std_dev": "the standard deviation is .std",
}


def own_name(metric: str) -> str:
    """Return the metric by our own name: ``ttfa.p95`` for ``ttfo.p95``."""
    head, dot, rest = metric.partition(".")
    return f"{ALIASES.get(head, head)}{dot}{rest}"


def pointer(name: str) -> str | None:
    """Say what a name of another tool is here; ``None`` for one that is nobody's."""
    head, _, rest = name.lower().partition(".")
    return _POINTERS.get(head) or _POINTERS.get(rest)
