"""What every command does with its options: none that was given is dropped without a word."""

from __future__ import annotations

import math
from typing import Any

import click
from click.core import ParameterSource

__all__ = ["Command", "Finite", "Whole", "was_given"]


class Command(click.Command):
    """A command that takes an option once, unless the option is made to be given several times.

    click itself keeps the last of several values, and whoever gave the others never hears of it.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse; raises ``click.UsageError`` for an option that stands there twice."""
        if not ctx.resilient_parsing:
            _, _, order = self.make_parser(ctx).parse_args(args=list(args))
            seen: set[str] = set()
            for parameter in order:
                if not isinstance(parameter, click.Option) or _takes_several(parameter):
                    continue
                if parameter.opts[-1] in seen:
                    message = f"{parameter.opts[-1]} is given twice; it takes one value"
                    raise click.UsageError(message, ctx)
                seen.add(parameter.opts[-1])
        return super().parse_args(ctx, args)


def _takes_several(option: click.Option) -> bool:
    """Say whether giving it again adds something, or says the same once more."""
    return option.multiple or option.count or (option.is_flag and not option.secondary_opts)


class Finite(click.FloatRange):
    """A number of a range; ``nan`` and ``inf``, which click lets pass, are none."""

    name = "number"  # in messages and help, where click says "float range"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number; raises ``click.BadParameter``."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return number


class Whole(click.IntRange):
    """A whole number of a range."""

    name = "integer"  # where click says "integer range"


def was_given(name: str) -> bool:
    """Say whether the parameter of this name was given, on the command line or by its variable."""
    source = click.get_current_context().get_parameter_source(name)
    return source not in (None, ParameterSource.DEFAULT, ParameterSource.DEFAULT_MAP)
