"""A file as it lies on disk: opened so that it can be read twice, unpacked, and decoded."""

from __future__ import annotations

import codecs
import io
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final, cast

import click
from attrs import frozen

from lm_deluge.cli import standard_input
from lm_deluge.cli.running.asked import Wrong

__all__ = ["FileText", "damaged", "opened", "text_of", "unpacked"]

#: How compressed files begin.
_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_BZIP2: Final = b"BZh"
_XZ: Final = b"\xfd7zXZ\x00"

#: Bytes at the beginning that are looked at to see how a file is written.
_LOOKED_AT: Final = 1 << 16

#: Marks of an encoding; those of UTF-32 begin like those of UTF-16.
_MARKS: Final = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

#: The share of zero bytes at every other place by which UTF-16 without a mark is known.
_ZEROS: Final = 0.4


def opened(name: str) -> IO[bytes]:
    """Open the prompts so that they can be read twice; what comes through a pipe is copied to disk."""
    try:
        if name != "-":
            file = Path(name).open("rb")  # noqa: SIM115 - the caller closes it
            if stat.S_ISREG(Path(name).stat().st_mode):
                return file
            copy = tempfile.TemporaryFile()  # noqa: SIM115
            with file:
                shutil.copyfileobj(file, copy)
            return copy
        if sys.stdin is None:
            raise click.UsageError("cannot read the prompts: standard input is closed")
        copy = tempfile.TemporaryFile()  # noqa: SIM115
        for piece in standard_input.pieces("the prompts"):
            copy.write(piece)
        return copy
    except OSError as error:
        raise click.UsageError(f"cannot read the prompts: {error}") from None


def unpacked(file: IO[bytes]) -> IO[bytes]:
    """Return what is in a file from its beginning, unpacked if it is compressed.

    Raises ``click.UsageError`` where that needs a package that is not installed. What is damaged is
    raised when it is read, as ``OSError``, ``EOFError`` or another exception of the packer's.
    """
    file.seek(0)
    begins = file.read(8)
    file.seek(0)
    if begins.startswith(_GZIP):
        import gzip

        return cast("IO[bytes]", gzip.GzipFile(fileobj=file))
    if begins.startswith(_ZSTD):
        return _zstd(file)
    if begins.startswith(_BZIP2) and begins[3:4].isdigit():
        import bz2

        return bz2.BZ2File(file)
    if begins.startswith(_XZ):
        import lzma

        return lzma.LZMAFile(file)
    return file


def _zstd(file: IO[bytes]) -> IO[bytes]:
    """Unpack by Python's own module, which it has since 3.14, or else by the package ``zstandard``."""
    made: Any
    if sys.version_info >= (3, 14):
        from compression import zstd

        made = zstd.ZstdFile(file)
    else:
        try:
            import zstandard
        except ImportError:
            raise click.UsageError(
                "the file is compressed by zstd, which needs the package zstandard: "
                "pip install 'lm-deluge-streaming[zstd]'"
            ) from None
        unpacker = zstandard.ZstdDecompressor()
        made = unpacker.stream_reader(file, read_across_frames=True, closefd=False)
    return io.BufferedReader(made)


def damaged(error: BaseException) -> bool:
    """Whether reading failed because what was compressed is damaged or cut."""
    known = (OSError, EOFError)
    return isinstance(error, known) or type(error).__name__ in ("ZstdError", "LZMAError", "error")


@frozen
class FileText:
    """A file's text. ``encoding``: as Python names it; ``newline``: what ends a line.

    ``name``: what the encoding is called where it does not fit.
    """

    file: IO[bytes]
    encoding: str
    newline: str
    name: str

    def beginning(self) -> str:
        """Return some of the text, from its beginning; what cannot be read is replaced."""
        data = unpacked(self.file).read(_LOOKED_AT)
        decoder = codecs.getincrementaldecoder(self.encoding)("replace")
        return decoder.decode(data)

    def lines(self) -> Iterator[tuple[int, str | Wrong]]:
        """Yield lines with their numbers, from 1; one that is no text as what is wrong with it."""
        number = 0
        try:
            for number, line in enumerate(self._decoded(), 1):
                if isinstance(line, str) and "\0" in line:
                    yield number, Wrong(number, "a zero byte: this is no text")
                elif isinstance(line, str):
                    yield number, line
                else:
                    yield number, Wrong(number, f"not {self.name} ({line.reason}){self._hint}")
        except UnicodeDecodeError as error:
            problem = f"not {self.name} ({error.reason}){self._hint}"
            yield number + 1, Wrong(number + 1, problem, is_last=True)
        except Exception as error:
            if not damaged(error):
                raise
            yield (
                number + 1,
                Wrong(number + 1, f"the file is damaged or cut ({error})", is_last=True),
            )

    @property
    def _hint(self) -> str:
        if self.encoding != "utf-8-sig":
            return ""
        return "; a table saved by a spreadsheet may be in --encoding cp1252"

    def _decoded(self) -> Iterator[str | UnicodeDecodeError]:
        raw = unpacked(self.file)
        if self.encoding != "utf-8-sig" or self.newline != "\n":
            yield from self._split(raw)
            return
        # Line by line, so that one that cannot be read hides no other.
        for number, data in enumerate(raw):
            try:
                yield data.decode("utf-8" if number else "utf-8-sig")
            except UnicodeDecodeError as error:
                yield error

    def _split(self, raw: IO[bytes]) -> Iterator[str]:
        """Yield lines of what is decoded piece by piece; no wrapper, which would close the file."""
        decoder = codecs.getincrementaldecoder(self.encoding)()
        held: list[str] = []
        while True:
            data = raw.read(_LOOKED_AT)
            first, *others = decoder.decode(data, final=not data).split(self.newline)
            held.append(first)
            for line in others:
                yield "".join(held) + self.newline
                held = [line]
            if not data:
                break
        if last := "".join(held):
            yield last


def text_of(file: IO[bytes], encoding: str | None) -> FileText:
    """Return the text of a file, by its mark (BOM) or as ``encoding`` says; UTF-8 else.

    Raises ``click.UsageError`` for a file that is damaged at its beginning.
    """
    try:
        begins = unpacked(file).read(_LOOKED_AT)
    except Exception as error:
        if not damaged(error):
            raise
        raise click.UsageError(f"the file of prompts is damaged or cut ({error})") from None
    found, name = _encoding_of(begins, encoding)
    sample = begins.decode(found, "replace")
    only_returns = "\r" in sample and "\n" not in sample and "\r" in sample.rstrip("\r")
    return FileText(file, found, "\r" if only_returns else "\n", name)


def _encoding_of(begins: bytes, given: str | None) -> tuple[str, str]:
    if given is not None:
        is_utf8 = codecs.lookup(given).name == "utf-8"
        return ("utf-8-sig", "UTF-8") if is_utf8 else (given, given)
    for mark, name in _MARKS:
        if begins.startswith(mark):
            return name, name.upper()
    even, odd = begins[0:4096:2], begins[1:4096:2]
    if odd and odd.count(0) > _ZEROS * len(odd) and even.count(0) < len(even) / 10:
        return "utf-16-le", "UTF-16"
    if even and even.count(0) > _ZEROS * len(even) and odd.count(0) < len(odd) / 10:
        return "utf-16-be", "UTF-16"
    return "utf-8-sig", "UTF-8"
