"""``lm-deluge replay``: streams of a log shown again as their readers saw them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
from attrs import define, field

from lm_deluge.cli.command import Command, Finite, Whole, was_given
from lm_deluge.cli.files import distinct
from lm_deluge.cli.replaying.choosing import Named, named_streams
from lm_deluge.cli.replaying.exporting import check_picture, write_picture
from lm_deluge.cli.reporting.sources import open_logs, refuse_foreign
from lm_deluge.cli.reporting.spooling import rewound, spooled
from lm_deluge.cli.terminal import make_console
from lm_deluge.timeline.measures.wording import printable
from lm_deluge.timeline.reading import LogReader, read_timelines
from lm_deluge.timeline.replay.chosen import StreamFacts, facts_of
from lm_deluge.timeline.replay.states import StreamReplay
from lm_deluge.values.spelling import nearest
from lm_deluge.values.timeline import STALL_THRESHOLD, Timeline

__all__ = ["replay"]

MIN_WIDTH, MAX_WIDTH = 240, 4000

#: Options that change nothing where streams are only listed.
_OF_SHOWN = ("speed", "stall", "out", "width")


@click.command(cls=Command)
@click.argument("log")
@click.argument("streams", metavar="[STREAM]...", nargs=-1)
@click.option(
    "--by",
    metavar="TAG",
    multiple=True,
    help="Groups by this tag: median, worst and broken are then of each, B:median of group B. Repeatable.",
)
@click.option(
    "--speed",
    metavar="TIMES",
    type=Finite(min=0, min_open=True),
    default=1.0,
    help="So many times as fast as it was: 0.5 is half the speed.",
)
@click.option("--no-wait", is_flag=True, help="Show all text at once.")
@click.option(
    "--stall",
    metavar="SECONDS",
    type=Finite(min=0),
    default=STALL_THRESHOLD,
    help=f"A longer silence is a stall; without it {STALL_THRESHOLD:g}.",
)
@click.option(
    "--out",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write an animation instead, for slides and pull requests: FILE ends in .svg or .gif.",
)
@click.option(
    "--width",
    metavar="PIXELS",
    type=Whole(min=MIN_WIDTH, max=MAX_WIDTH),
    help="How wide the animation is.",
)
@click.option("--no-text", is_flag=True, help="Show bars in the place of the text.")
def replay(
    log: str,
    streams: tuple[str, ...],
    by: tuple[str, ...],
    speed: float,
    no_wait: bool,
    stall: float,
    out: Path | None,
    width: int | None,
    no_text: bool,
) -> None:
    """Show streams of a log again, at the pace at which their text came.

    LOG is a timeline log: a path, a glob pattern in quotes, or - for standard input. STREAM is an id or
    how one begins; or "median" (the one in the middle), "worst" (the longest silence), "broken" (one that
    broke). Several stand side by side. Without STREAM, the log's streams are listed.

    \b
    lm-deluge replay chat.jsonl                       which streams there are
    lm-deluge replay chat.jsonl worst                 watch the worst stall
    lm-deluge replay chat.jsonl --by variant median   A's and B's, side by side
    lm-deluge replay chat.jsonl --by variant A:median B:broken --speed 2
    lm-deluge replay chat.jsonl --by variant median --out both.svg

    Into a pipe the text alone is written; a line on stderr tells when it came and how it ended.
    """
    if no_wait and was_given("speed"):
        raise click.UsageError("--no-wait shows all text at once: there is no --speed")
    if not streams and (given := [name for name in _OF_SHOWN if was_given(name)]):
        raise click.UsageError(
            f"--{given[0]} is for streams that are shown: name one, such as median"
        )
    if out is None and width is not None:
        raise click.UsageError("--width is the width of an animation: give --out, too")
    if out is not None and no_wait:
        raise click.UsageError("--no-wait shows all text at once: there is no animation of it")
    for word in streams:
        if Path(word).is_file():
            raise click.UsageError(
                f"{word} is a file and no stream: give several logs as one pattern in quotes"
            )
    reader, _ = open_logs([log], [])
    if out is not None:
        check_picture(out)
        reads = {
            f"the log {source}": source for source in reader.sources if isinstance(source, Path)
        }
        distinct({"--out": out}, reads=reads, stdin="-" in reader.sources)
    reader = read_timelines([spooled(source) for source in reader.sources], text=False)
    seen = _Seen(by)
    try:
        facts = facts_of(map(seen.see, reader))
    except OSError as error:
        raise click.UsageError(f"cannot read the log: {error}") from None
    refuse_foreign(reader)
    if not facts:
        raise click.UsageError("the log holds no stream")
    if not streams:
        from lm_deluge.cli.replaying.listing import list_streams

        list_streams(facts, seen.tags)
        return
    named = named_streams(streams, facts, seen.groups(facts))
    shown = _read(reader, named, stall, text=not no_text)
    if out is None:
        _play(shown, speed, waits=not no_wait)
    else:
        write_picture(out, shown, width=width, speed=speed)


@define
class _Seen:
    """Tags and groups of the streams of a log, in the order of reading."""

    by: Sequence[str]
    tags: list[str] = field(factory=list)
    _known: set[str] = field(factory=lambda: {"model"})
    _names: list[str] = field(factory=list)

    def see(self, timeline: Timeline) -> Timeline:
        self.tags.append(", ".join(f"{tag}={value}" for tag, value in timeline.tags.items()))
        self._known.update(timeline.tags)
        if self.by:
            from lm_deluge.timeline.measures.metrics import group_name

            self._names.append(group_name(timeline, self.by))
        return timeline

    def groups(self, facts: Sequence[StreamFacts]) -> dict[str, list[StreamFacts]]:
        """Return the streams of each group, by its name, in the order of the names.

        Raises ``click.UsageError`` for a tag that no stream has.
        """
        for tag in self.by:
            if tag not in self._known:
                known = nearest(tag, self._known, 3, cutoff=0.4) or sorted(self._known)[:12]
                message = f"--by: no stream has the tag {tag!r}; there are {', '.join(known)}"
                raise click.UsageError(printable(message))
        groups: dict[str, list[StreamFacts]] = {name: [] for name in sorted(set(self._names))}
        for fact, name in zip(facts, self._names, strict=False):
            groups[name].append(fact)
        return groups


def _read(
    reader: LogReader, named: Sequence[Named], stall: float, *, text: bool
) -> list[StreamReplay]:
    """Read the streams named, with their texts."""
    ids = {one.id for one in named}
    found: dict[str, Timeline] = {}
    for timeline in read_timelines(rewound(reader.sources), text=text, only=ids):
        found.setdefault(timeline.stream, timeline)
    missing = ids - found.keys()
    if missing:
        raise click.ClickException(f"the log has changed: {missing.pop()!r} is no longer in it")
    return [StreamReplay.of(one.name, found[one.id], stall) for one in named]


def _play(replays: Sequence[StreamReplay], speed: float, *, waits: bool) -> None:
    from lm_deluge.cli.replaying.playing import Pace, play_beside, play_plain, plays_beside

    pace = Pace(speed, waits)
    console = make_console()
    if plays_beside(console, len(replays)):
        play_beside(replays, pace, console)
    else:
        play_plain(replays, pace)
