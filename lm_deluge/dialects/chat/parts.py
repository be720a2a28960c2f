"""What OpenAI's chat completions take of images, audio and files; other servers take more, or less."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from lm_deluge.dialects.attached import audio_in, check_sizes, file_in, no_place_for
from lm_deluge.models.registry import ModelInfo
from lm_deluge.models.resolving import is_own_endpoint

__all__ = ["check_parts"]

_API: Final = "OpenAI's chat completions API"
_FORMATS: Final = ("audio/wav", "audio/mpeg")


def check_parts(messages: Sequence[Mapping[str, Any]], info: ModelInfo) -> None:
    """Raise ``ValueError`` for a part that OpenAI would refuse, naming it and who takes it.

    Parts go as they are; what another server takes of them is its own affair.
    """
    if not is_own_endpoint(info, info.base_url or ""):
        return
    for index, message in enumerate(messages):
        content = message.get("content")
        for at, part in enumerate(content if isinstance(content, list) else ()):
            if isinstance(part, Mapping):
                _check_part(part, f"messages[{index}]['content'][{at}]", info)
    check_sizes(messages, info)


def _check_part(part: Mapping[str, Any], where: str, info: ModelInfo) -> None:
    kind = part.get("type")
    if kind == "file" and "file_url" in file_in(part, where):
        instead = f"give its bytes, or ask 'openai-responses:{info.model_id}'"
        raise no_place_for(where, "a file by its URL", _API, instead)
    if kind in ("audio_url", "video_url"):
        raise no_place_for(where, f"of type {kind!r}", _API, "give its bytes, or ask a 'gemini:…'")
    if kind == "input_audio":
        form, _ = audio_in(part, where)
        if form not in _FORMATS:
            instead = "give WAV or MP3, or ask a 'gemini:…'"
            raise no_place_for(where, f"audio in the format {form!r}", _API, instead)
