"""What a model is told of a call: what the function returned, or what went wrong, as text."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from lm_deluge.values.conversation import Message
from lm_deluge.values.foreign import message_of, type_name
from lm_deluge.values.plain import plain_number, plain_text
from lm_deluge.values.response import APIResponse, Partial

__all__ = ["cut", "text_and_images", "text_of", "told_of"]

#: What every API takes that takes images.
_IMAGES: Final = ("image/png", "image/jpeg", "image/gif", "image/webp")

#: Members of an exception group that are told.
_MEMBERS: Final = 10


def text_of(value: Any) -> str:
    """Return a result as text: a ``str`` as it is, everything else as JSON.

    Dataclasses, attrs and pydantic classes, ``msgspec.Struct``, dates, enumerations and numbers of numpy are
    JSON; an ``APIResponse`` is its text. Raises ``TypeError`` that says what to return instead.
    """
    text = value if isinstance(value, str) else _written(value)
    return str(plain_text(text)).encode("utf-8", "replace").decode("utf-8")


def text_and_images(value: Any) -> tuple[str, list[dict[str, Any]]]:
    """Return a result as text, and the images in it as content parts, which the text names.

    An image is bytes of one, or what shows itself as a PNG (``_repr_png_``), as Pillow's do; alone or in a
    list, among whose other items texts stay texts. Raises as ``text_of`` does.
    """
    items = list(value) if isinstance(value, (list, tuple)) else [value]
    found = [_image_in(item) for item in items]
    if not any(image is not None for image in found):
        return text_of(value), []
    from lm_deluge.values.attachments.kinds import kind_of
    from lm_deluge.values.attachments.parts import content_with

    images = [image for image in found if image is not None]
    told = [
        text_of(item) if image is None else f"[{kind_of(image)}, {len(image):,} bytes]"
        for item, image in zip(items, found, strict=True)
    ]
    return "\n".join(told), content_with("", images)


def _image_in(value: Any) -> bytes | None:
    """Return the bytes of an image; ``None`` for what is none."""
    show = getattr(type(value), "_repr_png_", None)
    data = show(value) if callable(show) else value
    if not isinstance(data, (bytes, bytearray, memoryview)) or not len(data):
        return None
    from lm_deluge.values.attachments.kinds import kind_of

    plain = bytes(data)
    return plain if kind_of(plain) in _IMAGES else None


def _written(value: Any) -> str:
    if isinstance(value, (bytes, bytearray, memoryview)):
        raise TypeError(
            f"the tool returned {type_name(value)}, which a model cannot be told: "
            "return a text, the bytes of an image, or a dict of what matters about it"
        )
    if isinstance(value, (APIResponse, Partial, Message)):
        return value.completion
    try:
        return msgspec.json.encode(value, enc_hook=_plain).decode()
    except UnicodeEncodeError:  # a lone surrogate
        return json.dumps(msgspec.to_builtins(value, enc_hook=_plain), ensure_ascii=True)
    except RecursionError:
        raise TypeError(f"the tool returned {type_name(value)} that holds itself") from None
    except Exception as error:
        raise TypeError(
            f"the tool returned {type_name(value)}, which is neither text nor JSON ({error}): "
            "return a text, or a dict"
        ) from error


def _plain(value: Any) -> Any:
    """Return what stands for an object that msgspec does not know."""
    for name, options in (("model_dump", {"mode": "json"}), ("to_dict", {}), ("tolist", {})):
        method = getattr(type(value), name, None)
        if callable(method):
            return method(value, **options)
    if isinstance(value, Mapping):
        return dict(value)
    number = plain_number(value)
    if number is not value:
        return number
    if any("__str__" in vars(kind) for kind in type(value).__mro__[:-1]):
        return str(value)
    raise NotImplementedError(f"{type_name(value)} is no JSON")


def told_of(error: BaseException, redact: Callable[[str], str] | None = None) -> str:
    """Return what a model is told of an exception: its type and message, of a group also its members'."""
    said = message_of(error, redact)
    text = f"{type_name(error)}: {said}" if said else type_name(error)
    if isinstance(error, BaseExceptionGroup):
        members = [told_of(member, redact) for member in error.exceptions[:_MEMBERS]]
        text += " [" + "; ".join(members) + "]"
    return text


def cut(text: str, most: int | None) -> str:
    """Return a text of at most so many characters of a result, and a sentence where it had more."""
    if most is None or len(text) <= most:
        return text
    return f"{text[:most]}\n[cut: the result has {len(text):,} characters, of which these are {most:,}]"
