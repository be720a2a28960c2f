"""``--schema FILE``: the JSON schema that answers are to fit, and how what fits it is printed."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any, Final

import click

from lm_deluge.cli.terminal import harmless_on

__all__ = ["check_one_form", "print_value", "schema_file"]

_HALF_A_CHARACTER: Final = re.compile("[\ud800-\udfff]")


def schema_file(_: click.Context, __: click.Parameter, value: str | None) -> dict[str, Any] | None:
    """Return the JSON schema in a file; raises ``click.BadParameter`` with what is wrong with it."""
    if value is None:
        return None
    try:
        given = json.loads(Path(value).read_text("utf-8-sig"))
    except OSError as error:
        raise click.BadParameter(f"{value}: {error.strerror or error}") from None
    except (UnicodeDecodeError, RecursionError):
        raise click.BadParameter(f"{value} is no JSON") from None
    except ValueError as error:
        raise click.BadParameter(f"{value} is no JSON: {error}") from None
    if not isinstance(given, dict):
        raise click.BadParameter(f"{value} holds no JSON schema, which is an object")
    schema: dict[str, Any] = _held(given)
    from lm_deluge.structured.shape import shape_of

    try:
        shape_of(schema)
    except (TypeError, ValueError) as error:
        raise click.BadParameter(f"{value}: {error}") from None
    return schema


def check_one_form(*, json_mode: bool, schema: dict[str, Any] | None) -> None:
    """Raise ``click.UsageError`` where ``--json`` and ``--schema`` are both given."""
    if json_mode and schema is not None:
        raise click.UsageError("--json asks for any JSON, and --schema for one: choose one")


def _held(given: dict[str, Any]) -> dict[str, Any]:
    """Return the schema in what an API is given, where the file holds that."""
    for path in (("json_schema", "schema"), ("response_format", "json_schema", "schema")):
        found: Any = given
        for name in path:
            found = found.get(name) if isinstance(found, dict) else None
        if isinstance(found, dict):
            return found
    return given


def print_value(value: Any, *, indent: int | None = None) -> None:
    """Write a value to stdout as JSON, and a line end."""
    narrow = "utf" not in (getattr(sys.stdout, "encoding", None) or "").lower()
    text = json.dumps(value, ensure_ascii=narrow, indent=indent)
    # Python writes what JSON can escape and UTF-8 cannot hold.
    click.echo(harmless_on(_HALF_A_CHARACTER.sub("\ufffd", text), sys.stdout))
