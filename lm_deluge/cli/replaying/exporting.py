"""Streams into a file that plays by itself: an animated SVG or GIF."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from lm_deluge.cli.files import check_anew
from lm_deluge.cli.terminal import notice
from lm_deluge.timeline.measures.wording import printable
from lm_deluge.timeline.replay.states import StreamReplay

__all__ = ["check_picture", "write_picture"]

#: How files begin that may be written over, by suffix.
_BEGINS: Final = {".svg": (b"<svg", b"<?xml"), ".gif": (b"gif8",)}

_ONE_WIDE: Final = 560  # pixels
_EACH_WIDE: Final = 480
_MOST_WIDE: Final = 1280
_LISTED: Final = 12
_EXACT: Final = 0.05  # seconds from frame to frame of a GIF that is not too large


def check_picture(path: Path) -> None:
    """See that the picture can be written, and that nothing is lost by it; needs Pillow for a GIF."""
    begins = _BEGINS.get(path.suffix.lower())
    if begins is None:
        given = path.suffix or "no suffix"
        raise click.UsageError(f"--out: {path} has {given}; pictures are .svg and .gif")
    check_anew("--out", path, begins, what="the picture", kind=path.suffix[1:].upper())
    if path.suffix.lower() == ".gif":
        try:
            import lm_deluge.timeline.replay.gif  # noqa: F401 - what is missing is told before the work
        except ImportError as error:
            raise click.ClickException(str(error)) from None


def write_picture(
    path: Path, replays: Sequence[StreamReplay], *, width: int | None, speed: float
) -> None:
    """Draw the streams side by side into a file that ``check_picture`` has seen, and say so."""
    if width is None:
        width = _ONE_WIDE if len(replays) == 1 else min(_MOST_WIDE, _EACH_WIDE * len(replays))
    if path.suffix.lower() == ".svg":
        data, notes = _svg(replays, width, speed)
    else:
        data, notes = _gif(replays, width, speed)
    path.write_bytes(data)
    notice(f"lm-deluge: the picture is in {path} ({len(data) / 1000:,.0f} kB)")
    for note in notes:
        notice(f"lm-deluge: {printable(note)}")


def _svg(replays: Sequence[StreamReplay], width: int, speed: float) -> tuple[bytes, list[str]]:
    from lm_deluge.timeline.replay.svg import animated_svg

    picture, scene = animated_svg(replays, width=width, speed=speed)
    notes = []
    if scene.merged:
        notes.append(
            f"pieces that came within {scene.merged * 1000:.0f} ms are shown together: there are many"
        )
    return picture.encode("utf-8"), notes


def _gif(replays: Sequence[StreamReplay], width: int, speed: float) -> tuple[bytes, list[str]]:
    from lm_deluge.timeline.replay.gif import animated_gif

    picture = animated_gif(replays, width=width, speed=speed)
    notes = []
    if picture.apart > _EXACT:
        notes.append(
            f"a new picture comes every {picture.apart:g} s at most, to keep the file small"
        )
    if picture.lacking:
        listed = " ".join(picture.lacking[:_LISTED])
        more = " …" if len(picture.lacking) > _LISTED else ""
        notes.append(
            f"no font on this machine has {listed}{more}: boxes stand there. Install a font that has "
            "them (Noto has most), or write an .svg, which the viewer's fonts draw"
        )
    return picture.data, notes
