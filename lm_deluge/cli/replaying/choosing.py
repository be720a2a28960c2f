"""Which streams a command line names: by id, its beginning, or what they are among the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import click
from attrs import frozen

from lm_deluge.timeline.measures.wording import printable
from lm_deluge.timeline.replay.chosen import StreamFacts, broken_of, median_of, worst_of
from lm_deluge.values.spelling import nearest

__all__ = ["MOST", "WORDS", "Named", "named_streams"]

MOST: Final = 4
"""How many streams are shown beside each other."""

WORDS: Final[dict[str, Callable[[Sequence[StreamFacts]], StreamFacts | None]]] = {
    "median": median_of,
    "worst": worst_of,
    "broken": broken_of,
}

_SAID: Final = {"median": "median", "worst": "longest silence", "broken": "broke"}
_NONE: Final = {
    "median": "no stream",
    "worst": "no stream with a silence after its first text",
    "broken": "no stream that broke",
}
_LISTED: Final = 3


@frozen
class Named:
    """A stream that was asked for: its ``id``, and the ``name`` that it is shown by."""

    id: str
    name: str


def named_streams(
    wanted: Sequence[str], facts: Sequence[StreamFacts], groups: Mapping[str, Sequence[StreamFacts]]
) -> list[Named]:
    """Return the streams that ``wanted`` names, at most ``MOST``; raises ``click.UsageError``.

    ``groups``: streams by tags, without tags empty. ``median``, ``worst`` and ``broken`` are of each
    group, the largest first if there are more than ``MOST``; ``B:median`` is of group B alone.
    """
    ids = {fact.stream for fact in facts}
    found: list[Named] = []
    for word in wanted:
        if word in ids:
            found.append(Named(word, _short(word, facts)))
        elif word in WORDS:
            found += _of_each(word, facts, groups)
        elif ":" in word and word.rpartition(":")[2] in WORDS:
            found.append(_of_one(word, groups))
        else:
            found.append(Named(_beginning(word, facts), _short(word, facts)))
    if len(found) > MOST:
        raise click.UsageError(
            f"at most {MOST} streams are shown beside each other, not {len(found)}"
        )
    return found


def _of_each(
    word: str, facts: Sequence[StreamFacts], groups: Mapping[str, Sequence[StreamFacts]]
) -> list[Named]:
    if not groups:
        stream = WORDS[word](facts)
        if stream is None:
            raise click.UsageError(f"{word}: the log has {_NONE[word]}")
        return [Named(stream.stream, _SAID[word])]
    largest = sorted(groups, key=lambda name: -len(groups[name]))[:MOST]
    streams = {name: WORDS[word](groups[name]) for name in groups if name in largest}
    found = [
        Named(stream.stream, f"{name}, {_SAID[word]}")
        for name, stream in streams.items()
        if stream is not None
    ]
    if not found:
        raise click.UsageError(f"{word}: the log has {_NONE[word]}")
    return found


def _of_one(wanted: str, groups: Mapping[str, Sequence[StreamFacts]]) -> Named:
    name, _, word = wanted.rpartition(":")
    if not groups:
        raise click.UsageError(
            printable(
                f"{wanted!r} is a stream of the group {name!r}: say with --by what makes groups"
            )
        )
    if name not in groups:
        close = nearest(name, groups, _LISTED, cutoff=0.3) or list(groups)[:_LISTED]
        raise click.UsageError(
            printable(f"{wanted!r}: there is no group {name!r}, but {', '.join(close)}")
        )
    stream = WORDS[word](groups[name])
    if stream is None:
        raise click.UsageError(printable(f"{wanted!r}: the group has {_NONE[word]}"))
    return Named(stream.stream, f"{name}, {_SAID[word]}")


def _beginning(word: str, facts: Sequence[StreamFacts]) -> str:
    """Return the one id that begins like this."""
    ids = list(dict.fromkeys(fact.stream for fact in facts))
    begun = [stream for stream in ids if stream.startswith(word)] if word else []
    if len(begun) == 1:
        return begun[0]
    if begun:
        listed = ", ".join(begun[:_LISTED])
        more = f" and {len(begun) - _LISTED} more" if len(begun) > _LISTED else ""
        raise click.UsageError(
            printable(
                f"{len(begun)} streams begin with {word!r}: {listed}{more}; say more of the id"
            )
        )
    close = nearest(word, [*WORDS, *ids], _LISTED, cutoff=0.5)
    instead = f"did you mean {' or '.join(close)}? " if close else ""
    raise click.UsageError(
        printable(f"the log has no stream {word!r}; {instead}lm-deluge replay LOG lists them")
    )


def _short(word: str, facts: Sequence[StreamFacts]) -> str:
    models = {fact.model for fact in facts if fact.stream.startswith(word)}
    model = models.pop() if len(models) == 1 else None
    return f"{word}, {model}" if model else word
