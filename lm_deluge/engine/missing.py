"""What was asked for and did not come, though the answer is whole."""

from __future__ import annotations

from collections.abc import Sequence

from lm_deluge.values.response import Choice

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
    elif asked > 1 and 0 not in [choice.index for choice in choices]:
        # Its pieces were told under the server's numbers, before it could be known that they are
        # shifted: any choice may come first.
        found.append(f"choice 0 did not come: the server numbered them {_listed(choices)}")
    if logprobs:
        spoken = [choice for choice in choices if choice.completion]
        lacking = [choice for choice in spoken if not _has_logprobs(choice)]
        if lacking:
            of = f" for choice {_listed(lacking)}" if len(lacking) < len(spoken) else ""
            found.append(f"log probabilities were asked for and none came{of}")
    return found


def _has_logprobs(choice: Choice) -> bool:
    """Whether there is any: in the chat format's lists, or in the legacy one's."""
    return any(isinstance(value, list) and value for value in (choice.logprobs or {}).values())


def _listed(choices: Sequence[Choice]) -> str:
    return ", ".join(str(choice.index) for choice in choices)
