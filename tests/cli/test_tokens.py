"""What a prompt is taken to cost before a server has counted it, and the limit that depends on it."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest

from lm_deluge.cli.tokens import image_size, image_tokens, prompt_tokens
from lm_deluge.simulator import Simulator
from support.programs import Call


def png(width: int, height: int, *, noise: int = 0) -> bytes:
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head))
    return b"\x89PNG\r\n\x1a\n" + chunk + bytes(noise)


def gif(width: int, height: int) -> bytes:
    return b"GIF89a" + struct.pack("<HH", width, height) + bytes(20)


def jpeg(width: int, height: int) -> bytes:
    profile = b"\xff\xe2" + struct.pack(">H", 60_000) + bytes(59_998)
    frame = b"\xff\xc2" + struct.pack(">HBHH", 17, 8, height, width) + bytes(20)
    return b"\xff\xd8" + profile + b"\xff\xff\xdb" + struct.pack(">H", 4) + bytes(2) + frame


def webp(width: int, height: int, kind: bytes) -> bytes:
    if kind == b"VP8X":
        body = bytes(4) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    elif kind == b"VP8L":
        body = b"\x2f" + ((width - 1) | (height - 1) << 14).to_bytes(4, "little") + bytes(9)
    else:
        body = bytes(3) + b"\x9d\x01\x2a" + struct.pack("<HH", width, height) + bytes(4)
    return b"RIFF" + bytes(4) + b"WEBP" + kind + bytes(4) + body + bytes(4)


def data_url(image: bytes, kind: str = "png") -> str:
    return f"data:image/{kind};base64,{base64.b64encode(image).decode()}"


@pytest.mark.parametrize(
    "image",
    [
        png(1200, 700),
        gif(1200, 700),
        jpeg(1200, 700),
        webp(1200, 700, b"VP8X"),
        webp(1200, 700, b"VP8L"),
        webp(1200, 700, b"VP8 "),
        png(1200, 700, noise=5_000_000),
    ],
)
def test_the_size_of_an_image_is_seen(image: bytes) -> None:
    assert image_size(data_url(image)) == (1200, 700)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/a.png",
        "data:image/png;base64,",
        "data:image/png;base64,%%%",
        "data:image/svg+xml,<svg/>",
        data_url(b"\xff\xd8\xff"),
        data_url(png(1, 1)[:20]),
        data_url(png(0, 5)),
        data_url(b"RIFF"),
        "",
    ],
)
def test_what_cannot_be_looked_at_has_no_size(url: str) -> None:
    assert image_size(url) is None
    assert image_tokens(url) == 765


@pytest.mark.parametrize(
    ("width", "height", "tokens"),
    [
        (1024, 1024, 765),  # these two are the guide's examples
        (2048, 4096, 1105),
        (512, 512, 255),
        (513, 512, 425),
        (1, 1, 255),
        (10_000, 10, 85 + 170 * 4),
    ],
)
def test_an_image_costs_what_the_guide_says(width: int, height: int, tokens: int) -> None:
    assert image_tokens(data_url(png(width, height))) == tokens
    assert image_tokens(data_url(png(width, height)), "high") == tokens
    assert image_tokens(data_url(png(width, height)), "low") == 85


def test_a_prompt_costs_its_parts() -> None:
    picture = {"type": "image_url", "image_url": {"url": data_url(png(512, 512)), "detail": "low"}}
    sound = {"format": "wav", "data": base64.b64encode(bytes(48_000)).decode()}
    parts: list[Any] = [
        {"type": "text", "text": "x" * 40},
        picture,
        {"type": "image_url", "image_url": data_url(png(512, 512))},
        {"type": "input_audio", "input_audio": sound},
        {"type": "file", "file": {"file_data": "A" * 1_000_000}},
        "nonsense",
    ]
    messages = [{"role": "system", "content": "y" * 8}, {"role": "user", "content": parts}]
    assert prompt_tokens(messages) == pytest.approx(2 + 10 + 85 + 255 + 10 + 765)
    assert prompt_tokens([{"role": "assistant", "content": None}]) == 0


def served(simulator: Simulator) -> dict[str, str]:
    return {"OPENAI_BASE_URL": simulator.base_url, "OPENAI_API_KEY": "sk-1"}


@pytest.mark.timeout(20)
def test_images_are_not_waited_for_by_their_bytes(call: Call, tmp_path: Path) -> None:
    """Ten images of 400 kB: 2.7 million tokens by their text, 2,550 by their price."""
    url = data_url(png(512, 512, noise=300_000))
    row = {
        "messages": [
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}
        ]
    }
    path = tmp_path / "p.jsonl"
    path.write_text((json.dumps(row) + "\n") * 10)
    with Simulator(text="hi") as simulator:
        args = ("--tpm", "600000", "--max-tokens", "10", "--quiet")
        done = call("run", path, *args, **served(simulator))
    assert (done.code, len(done.out.splitlines())) == (0, 10)
    assert "A" * 100 not in done.out


def test_an_estimate_is_corrected_when_usage_arrives(call: Call, tmp_path: Path) -> None:
    """Prompts taken for 1 token that were 500: the debt makes the next ones wait."""
    path = tmp_path / "p.txt"
    path.write_text("a\nb\nc\nd\n")
    usage = {"prompt_tokens": 500, "completion_tokens": 1, "total_tokens": 501}
    with Simulator(text="hi", usage=usage) as simulator:
        args = ("--tpm", "60000", "--concurrency", "1", "--max-tokens", "1", "--quiet")
        done = call("run", path, *args, **served(simulator))
        moments = [request.at for request in simulator.requests]
    assert done.code == 0
    assert moments[-1] - moments[0] >= 0.4
