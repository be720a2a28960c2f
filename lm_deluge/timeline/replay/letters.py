"""Letters for pictures: Pillow's own font, and fonts of the system for the scripts that it lacks."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from functools import cache
from typing import Any

from attrs import define, field

try:
    from PIL import Image, ImageDraw, ImageFont
except ImportError as error:
    message = "a .gif is drawn with Pillow: pip install pillow"
    raise ImportError(message) from error

__all__ = ["Image", "ImageDraw", "Letters"]

#: Fonts that people have, by the names of their files: Latin, Greek, Cyrillic, Arabic and Hebrew,
#: then those of Asia, symbols and emoji last.
_SYSTEM = (
    "DejaVuSans.ttf",
    "NotoSans-Regular.ttf",
    "Arial Unicode.ttf",
    "arial.ttf",
    "NotoNaskhArabic-Regular.ttf",
    "NotoSansArabic-Regular.ttf",
    "NotoSansHebrew-Regular.ttf",
    "NotoSansDevanagari-Regular.ttf",
    "NotoSansThai-Regular.ttf",
    "NotoSansCJK-Regular.ttc",
    "NotoSansCJKjp-Regular.otf",
    "Hiragino Sans GB.ttc",
    "PingFang.ttc",
    "msyh.ttc",
    "msgothic.ttc",
    "NotoSansSymbols2-Regular.ttf",
    "seguisym.ttf",
    "Symbola.ttf",
    "NotoEmoji-Regular.ttf",
)

#: No font has a glyph for it: what is drawn in its place is drawn for all that a font lacks.
_NOBODYS = "\U0010ffff"
_BOX = "\N{WHITE SQUARE}"


@cache
def _fonts(size: int) -> tuple[Any, ...]:
    found: list[Any] = [ImageFont.load_default(size)]
    for name in _SYSTEM:
        try:
            found.append(ImageFont.truetype(name, size))
        except OSError:
            continue
    return tuple(found)


@cache
def _missing(font: Any) -> bytes:
    return _drawn(font, _NOBODYS)


def _drawn(font: Any, char: str) -> bytes:
    mask = font.getmask(char)
    return repr(mask.size).encode() + bytes(mask)


@cache
def _font_for(char: str, size: int) -> Any | None:
    """Return the first font that has the letter; ``None`` if none has it."""
    for font in _fonts(size):
        if char.isspace() or _drawn(font, char) != _missing(font):
            return font
    return None


@define
class Letters:
    """Draws text of one ``size`` in pixels. ``lacking``: characters that no font here has."""

    size: int
    lacking: set[str] = field(factory=set)

    def width(self, text: str) -> float:
        """Return the pixels that a text takes."""
        return sum(float(font.getlength(part)) for font, part in self._parts(text))

    def draw(
        self, draw: Any, x: float, y: float, text: str, fill: Any, *, leftward: bool = False
    ) -> None:
        """Draw a text, the top of its letters at ``y``; ``leftward``: it runs from right to left."""
        parts = list(self._parts(text))
        for font, part in reversed(parts) if leftward else parts:
            # From one base line, wherever a font has the top of its letters.
            place = (x, y + self.size * 0.82)
            # Where letters are shaped, they join, and a run of another direction is in its order.
            if font.layout_engine == ImageFont.Layout.RAQM:
                direction = "rtl" if leftward else "ltr"
                draw.text(place, part, font=font, fill=fill, anchor="ls", direction=direction)
            else:
                draw.text(place, part, font=font, fill=fill, anchor="ls")
            x += float(font.getlength(part))

    def _parts(self, text: str) -> Iterator[tuple[Any, str]]:
        """Cut a text where another font has to draw it."""
        last: Any = None
        part = ""
        for char in text:
            font = _font_for(char, self.size) if char.isprintable() or char == " " else None
            if char == "\t":
                char, font = " ", _fonts(self.size)[0]
            if font is None:
                if _is_mark(char):  # it changes the letter before it, or how the next ones join
                    continue
                if char.isprintable():
                    self.lacking.add(char)
                char, font = _BOX, _font_for(_BOX, self.size) or _fonts(self.size)[0]
            if font is not last and part and not (char == " " and last is not None):
                yield last, part
                part = ""
            if char != " " or last is None:
                last = font
            part += char
        if part:
            yield last, part


def _is_mark(char: str) -> bool:
    return unicodedata.category(char) in ("Mn", "Me", "Cf")
