"""The pages of the documentation that scripts fill in: their made parts, and their pictures."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

__all__ = ["check_pictures", "made", "pictures_in"]


def made(page: str) -> dict[str, str]:
    """Return the parts of a page that its script makes, by their names."""
    return dict(re.findall(r"<!-- made: (\w+) -->\n(.*?)<!-- end -->", page, re.DOTALL))


def pictures_in(page: str) -> list[str]:
    """Return the pictures that a page shows, as it names them."""
    return re.findall(r"!\[[^\]]+\]\(([^)]+)\)", page)


_BEGINS = {".png": b"\x89PNG", ".svg": b"<svg"}


def check_pictures(page: Path, drawn: Iterable[Path], kinds: Sequence[str] = (".png",)) -> None:
    """A page shows all that is drawn for it, in files of these kinds and of 150 kB at most."""
    shown = {page.parent / name for name in pictures_in(page.read_text("utf-8"))}
    assert shown == set(drawn)
    for picture in shown:
        data = picture.read_bytes()
        assert picture.suffix in kinds
        assert data.startswith(_BEGINS[picture.suffix])
        assert len(data) <= 150_000
