"""What was asked for and did not come, though the answer is whole."""

from __future__ import annotations

from collections.abc import Sequence

from lm_deluge.response import Choice

__all__ = ["missing_from"]


def missing_from(choices: Sequence[Choice], *, asked: int, logprobs: bool) -> list[str]:
    """Return what a whole answer lacks, in sentences.

    ``asked``: the choices asked for. ``logprobs``: whether log probabilities were; a choice without
    visible text has none.
    """
    found = []
    if len(choices) < asked:
        came = f"{len(choices)} choice{'' if len(choices) == 1 else 's'} came"
        found.append(f"{asked} choices were asked for and {came}")
    spoken = [choice for choice in choices if choice.completion]
    if logprobs and spoken and not any(choice.logprobs for choice in spoken):
        found.append("log probabilities were asked for and none came")
    return found
