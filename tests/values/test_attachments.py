"""Audio and files of a user's message: paths, bytes and URLs, and what their bytes say they are."""

from __future__ import annotations

import base64
import io
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest

from lm_deluge import Conversation, Message
from lm_deluge.values.attachments.kinds import kind_of


def part_of(message: Message) -> dict[str, Any]:
    assert isinstance(message.content, list)
    return message.content[-1]


def archive(name: str) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as file:
        file.writestr(zipfile.ZipInfo(name), "x")  # of no time: the bytes are in ids of tests
    return held.getvalue()


OFFICE = "application/vnd.openxmlformats-officedocument."
BOX = b"\0\0\0\x20ftyp"

#: What begins so is of this kind, whatever it is called.
KINDS: list[tuple[bytes, str]] = [
    (b"\x89PNG\r\n\x1a\n" + bytes(8), "image/png"),
    (b"\xff\xd8\xff\xe0" + bytes(8), "image/jpeg"),
    (b"GIF89a" + bytes(8), "image/gif"),
    (b"RIFF\x0a\0\0\0WEBPVP8 ", "image/webp"),
    (BOX + b"heic", "image/heic"),
    (b"RIFF\x0a\0\0\0WAVEfmt ", "audio/wav"),
    (b"ID3\x04\0" + bytes(8), "audio/mpeg"),
    (b"\xff\xfb\x90\x44" + bytes(8), "audio/mpeg"),
    (b"fLaC\0\0", "audio/flac"),
    (b"OggS\0\x02", "audio/ogg"),
    (BOX + b"M4A ", "audio/mp4"),
    (b"\xff\xf1\x50\x80", "audio/aac"),
    (b"FORM\0\0\0\0AIFF", "audio/aiff"),
    (b"%PDF-1.7\n", "application/pdf"),
    (BOX + b"isom", "video/mp4"),
    (BOX + b"qt  ", "video/quicktime"),
    (b"\x1aE\xdf\xa3", "video/webm"),
    (archive("word/document.xml"), f"{OFFICE}wordprocessingml.document"),
    (archive("xl/workbook.xml"), f"{OFFICE}spreadsheetml.sheet"),
    (archive("ppt/presentation.xml"), f"{OFFICE}presentationml.presentation"),
    (b"<!DOCTYPE html><p>", "text/html"),
]


@pytest.mark.parametrize(("data", "kind"), KINDS, ids=[kind for _, kind in KINDS])
@pytest.mark.parametrize("name", [None, "a.bin", "a.png", "a.pdf", "a.mp3"])
def test_bytes_say_what_they_are_whatever_they_are_called(
    data: bytes, kind: str, name: str | None
) -> None:
    assert kind_of(data, name) == kind


@pytest.mark.parametrize(
    ("data", "name", "kind"),
    [
        (b"a,b\n1,2\n", "a.csv", "text/csv"),
        (b"# A", "a.md", "text/markdown"),
        (b"{}", "a.json", "application/json"),
        (b"print()", "a.py", "text/x-python"),
        ("日本".encode(), None, "text/plain"),
        (b"BMW is a car, no bitmap.", None, "text/plain"),
        (b"ID3 is a tag", None, "text/plain"),
        (b"plain text", "a.pdf", "text/plain"),
        (b"plain text", "a.png", "text/plain"),
        (bytes(9), "a.xls", "application/vnd.ms-excel"),
        (archive("x.txt"), None, "application/zip"),
        (bytes(9), None, None),
    ],
)
def test_a_name_tells_where_bytes_do_not(data: bytes, name: str | None, kind: str | None) -> None:
    assert kind_of(data, name) == kind


WAV, MP3 = b"RIFF\0\0\0\0WAVEfmt " + bytes(40), b"ID3\x04" + bytes(40)


@pytest.mark.parametrize(("data", "form"), [(WAV, "wav"), (MP3, "mp3"), (b"fLaC\0", "flac")])
def test_audio_is_openais_part(tmp_path: Path, data: bytes, form: str) -> None:
    file = tmp_path / "sound.bin"
    file.write_bytes(data)
    url = f"data:audio/x;base64,{base64.b64encode(data).decode()}"
    expected = {"data": base64.b64encode(data).decode(), "format": form}
    for given in (data, [data], bytearray(data), file, [str(file)]):
        part = part_of(Message.user("Listen", audio=given))  # type: ignore[arg-type]
        assert part == {"type": "input_audio", "input_audio": expected}
    told = url.replace("audio/x", {"mp3": "audio/mpeg"}.get(form, f"audio/{form}"))
    assert part_of(Message.user("Listen", audio=told))["input_audio"] == expected
    assert part_of(Message.user("Listen", files=file)) == part


def test_a_file_is_openais_part_with_its_name(tmp_path: Path) -> None:
    data = b"%PDF-1.7\n"
    file = tmp_path / "report.pdf"
    file.write_bytes(data)
    url = f"data:application/pdf;base64,{base64.b64encode(data).decode()}"
    for given, name in [
        (file, "report.pdf"),
        ([os.fspath(file)], "report.pdf"),
        (("mine.pdf", data), "mine.pdf"),
        ([("mine.pdf", data)], "mine.pdf"),
        (data, "document.pdf"),
        (url, "document.pdf"),
    ]:
        part = part_of(Message.user("Read", files=given))  # type: ignore[arg-type]
        assert part == {"type": "file", "file": {"filename": name, "file_data": url}}


def test_an_address_stays_one_and_its_ending_says_what_it_is() -> None:
    for url, kind in [
        ("https://x/a%20b.pdf?x=1", "file"),
        ("https://x/a", "file"),
        ("gs://x/a.mp4", "file"),
        ("https://x/a.png", "image_url"),
        ("https://x/a.mp3", "audio_url"),
    ]:
        part = part_of(Message.user("Read", files=[url]))
        assert part["type"] == kind
        assert url in part[kind].values()
    assert part_of(Message.user("", files=["https://x/a%20b.pdf"]))["file"]["filename"] == "a b.pdf"
    assert part_of(Message.user("", audio="https://x/a"))["audio_url"] == {"url": "https://x/a"}


def test_texts_of_windows_become_utf_8() -> None:
    for encoding in ("utf-16", "utf-8-sig"):
        part = part_of(Message.user("Read", files=("a.txt", "é日".encode(encoding))))
        kind, _, data = part["file"]["file_data"].partition(",")
        assert kind == "data:text/plain;base64"
        assert base64.b64decode(data).decode() == "é日"


def test_all_of_them_follow_the_text_in_order() -> None:
    png = b"\x89PNG\r\n\x1a\n" + bytes(8)
    (message,) = Conversation().user(
        "Look", images=[png], audio=[WAV, MP3], files=["https://x/a.pdf"]
    )
    assert isinstance(message.content, list)
    kinds = [part["type"] for part in message.content]
    assert kinds == ["text", "image_url", "input_audio", "input_audio", "file"]
    only = Message.user("", audio=WAV).content
    assert [part["type"] for part in only or () if isinstance(part, dict)] == ["input_audio"]
    assert Message.user("Hi", audio=[], files=()).content == "Hi"


@pytest.mark.parametrize(
    ("given", "kind", "told"),
    [
        ({"audio": 3}, TypeError, "audio must be a list of audio, not int"),
        ({"audio": [3]}, TypeError, r"audio\[0\] must be bytes, a path, or a URL"),
        ({"audio": [b""]}, ValueError, r"audio\[0\] is empty"),
        ({"audio": [b"hello"]}, ValueError, r"audio\[0\] is no audio.*accepted are WAV, MP3"),
        ({"audio": "/no/such.wav"}, FileNotFoundError, r"audio\[0\] is no audio file.*No such"),
        ({"audio": "data:audio/wav;base64,???"}, ValueError, r"audio\[0\] is a data URL whose"),
        ({"audio": "data:nothing"}, ValueError, r"audio\[0\] is no data URL"),
        ({"files": 3}, TypeError, "files must be a list of files, not int"),
        ({"files": [None]}, TypeError, r"files\[0\] must be .*a name and bytes, not NoneType"),
        ({"files": [{"type": "file"}]}, TypeError, "content part goes into the list"),
        ({"files": [(1, 2)]}, TypeError, r"files\[0\] must be a name and bytes, not \(int, int\)"),
        ({"files": [bytes(9)]}, ValueError, r"files\[0\] is of no known format.*a name with an"),
        ({"files": "/no/such.pdf"}, FileNotFoundError, r"files\[0\] is no file that can be read"),
        ({"files": "/"}, IsADirectoryError, r"files\[0\] is no file that can be read"),
        ({"files": ["a\0b"]}, ValueError, r"files\[0\] is no path"),
        ({"files": ""}, ValueError, r"files\[0\] is an empty text"),
    ],
)
def test_what_cannot_be_attached_is_named(
    given: dict[str, Any], kind: type[Exception], told: str
) -> None:
    with pytest.raises(kind, match=told):
        Message.user("Look", **given)


def test_a_file_that_no_provider_takes_is_not_even_read(tmp_path: Path) -> None:
    file = tmp_path / "long.bin"
    with file.open("wb") as held:
        held.truncate(101_000_000)
    with pytest.raises(ValueError, match=r"files\[0\] has 101 MB, .* 100 MB .*give its URL"):
        Message.user("Look", files=file)
