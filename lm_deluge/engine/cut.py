"""The error for an answer whose body ended cleanly before it did: what is missing from it."""

from __future__ import annotations

from lm_deluge.dialects.dialect import AnswerReader
from lm_deluge.errors import AnswerCutError, ProtocolError, StreamError

__all__ = ["cut_error"]


def cut_error(answer: AnswerReader, asked: int) -> StreamError:
    """Return the error for a clean end before the end of the answer. ``asked``: choices asked for."""
    if answer.evidence and not answer.says_something:
        return ProtocolError(
            f"the body ended without an answer; it began {answer.evidence!r}",
            evidence=answer.evidence,
        )
    return AnswerCutError(
        f"the answer was cut: the body ended cleanly with {_missing(answer, asked)} "
        "(accept_eof=True takes such an end as whole, for servers known to do so)"
    )


def _missing(answer: AnswerReader, asked: int) -> str:
    if not answer.has_chunks:
        return "no event at all"
    choices = {choice.index: choice for choice in answer.choices()}
    if not choices:
        return f"no {answer.end_word} and nothing of an answer"
    absent = [index for index in range(asked) if index not in choices]
    endless = [index for index, choice in choices.items() if choice.finish_reason is None]
    if not absent and endless == list(choices):
        if answer.end_word == "finishReason":  # Gemini's is both
            return f"no {answer.end_word}"
        return f"no {answer.end_word} and no finish reason"
    missing = []
    if endless:
        missing.append(f"no finish reason for {_named(endless)}")
    if absent:
        missing.append(f"nothing of {_named(absent)}")
    if not missing:
        return f"no {answer.end_word}"
    return f"no {answer.end_word}, {' and '.join(missing)} ({asked} asked for)"


def _named(indices: list[int]) -> str:
    shown = ", ".join(map(str, indices[:8])) + (", …" if len(indices) > 8 else "")
    return f"choice {shown}" if len(indices) == 1 else f"choices {shown}"
