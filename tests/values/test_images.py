"""Images of a user's message: bytes, paths and URLs."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from lm_deluge import Conversation, Message

PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)
FORMATS = {
    "image/png": PNG,
    "image/jpeg": b"\xff\xd8\xff\xe0" + bytes(8),
    "image/gif": b"GIF89a" + bytes(8),
    "image/webp": b"RIFF\x0a\x00\x00\x00WEBPVP8 ",
}


def url_in(part: dict[str, Any]) -> str:
    assert part["type"] == "image_url"
    url: str = part["image_url"]["url"]
    return url


def data_url(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


@pytest.mark.parametrize("kind", FORMATS)
def test_bytes_go_in_a_data_url_of_their_format(kind: str) -> None:
    data = FORMATS[kind]
    for given in (data, bytearray(data), memoryview(data)):
        content: Any = Message.user("Look", images=[given]).content  # type: ignore[list-item]
        assert content[0] == {"type": "text", "text": "Look"}
        assert url_in(content[1]) == data_url(kind, data)


@pytest.mark.parametrize("named", ["a.png", "a.txt", "a.jpg"])
def test_a_file_is_read_at_once_and_its_bytes_say_its_format(tmp_path: Path, named: str) -> None:
    file = tmp_path / named
    file.write_bytes(PNG)
    content: Any = Message.user("Look", images=[file, str(file)]).content
    file.unlink()
    assert [url_in(part) for part in content[1:]] == [data_url("image/png", PNG)] * 2


def test_a_file_of_another_format_goes_by_its_name(tmp_path: Path) -> None:
    file = tmp_path / "a.tiff"
    file.write_bytes(b"II*\x00")
    content: Any = Message.user("Look", images=[file]).content
    assert url_in(content[1]) == data_url("image/tiff", b"II*\x00")


@pytest.mark.parametrize(
    "url", ["https://example.org/a.png", "HTTP://x/y", "gs://b/a.png", "data:image/png;base64,AA=="]
)
def test_a_url_goes_as_it_is(url: str) -> None:
    content: Any = Message.user("Look", images=[url]).content
    assert url_in(content[1]) == url


def test_images_follow_parts_and_a_conversation_takes_them_too() -> None:
    parts: list[dict[str, Any]] = [{"type": "text", "text": "Look"}]
    (message,) = Conversation().user(parts, images=[PNG, "https://x/y"])
    assert isinstance(message.content, list)
    assert [part["type"] for part in message.content] == ["text", "image_url", "image_url"]
    assert len(parts) == 1
    assert len(Message.user("", images=[PNG]).content or ()) == 1


@pytest.mark.parametrize("none", [(), [], None])
def test_no_images_leave_a_text_a_text(none: Any) -> None:
    assert Message.user("Look", images=none).content == "Look"


@pytest.mark.parametrize(
    ("images", "kind", "said"),
    [
        ("a.png", TypeError, "images must be a list"),
        (PNG, TypeError, "put the image into a list"),
        ([3], TypeError, r"images\[0\] must be bytes, a path, or a URL .* not int"),
        ([PNG, {"type": "image_url"}], TypeError, r"images\[1\].*content part"),
        ([b""], ValueError, r"images\[0\] is empty"),
        ([b"hello"], ValueError, r"images\[0\] is no image.*PNG"),
        ([""], ValueError, r"images\[0\] is an empty text"),
        (["/no/such.png"], FileNotFoundError, r"images\[0\].*No such file.*: '/no/such\.png'$"),
        (["a\0b"], ValueError, r"images\[0\]"),
    ],
)
def test_what_is_no_image_is_named(images: Any, kind: type[Exception], said: str) -> None:
    with pytest.raises(kind, match=said):
        Message.user("Look", images=images)


def test_the_repr_of_an_image_is_short_and_that_of_a_text_whole() -> None:
    text = "Look " * 50
    message = Message.user(text, images=[PNG + bytes(100_000)])
    assert len(repr(message)) < 600
    assert text in repr(message)
    assert "data:image/png;base64," in repr(message)
    assert "… (133" in repr(message)
