"""What a report measures with, and the rules that it holds logs to: options and a budget's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from attrs import frozen

from lm_deluge.timeline.measures.wording import printable

if TYPE_CHECKING:
    from lm_deluge.timeline.measures.budget.budget import Budget
    from lm_deluge.timeline.measures.budget.rule_texts import Rule
    from lm_deluge.timeline.measures.groups import Settings

__all__ = ["Standard", "held_of", "read_budget", "tell_opposites"]

_MOST_BYTES = 1 << 20


@frozen
class Standard:
    """What streams are measured with (``settings``), grouped ``by``, and held to (``rules``).

    ``pair``: the tag that says which prompt was the same.
    """

    settings: Settings
    by: tuple[str, ...]
    rules: tuple[Rule, ...]
    pair: str | None = None

    @property
    def compared(self) -> str | None:
        """The first rule that needs a baseline, as it is called; ``None`` without one."""
        from lm_deluge.timeline.measures.budget.rule_texts import MaxRegression

        rules = (rule for rule in self.rules if isinstance(rule, MaxRegression))
        return next(
            (printable(repr(rule.name) if rule.name else rule.text) for rule in rules), None
        )


def read_budget(path: Path | None) -> Budget | None:
    """Read a budget; raises ``click.UsageError`` saying what is wrong with it."""
    if path is None:
        return None
    from lm_deluge.timeline.measures.budget.budget import parse_budget

    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES:
            raise click.UsageError(f"--budget: {path} is larger than 1 MB, and no budget")
        return parse_budget(data.decode("utf-8-sig"), path.name)
    except UnicodeDecodeError as error:
        raise click.UsageError(f"--budget: {path} is no UTF-8 text: {error}") from None
    except OSError as error:
        raise click.UsageError(f"--budget: {path} cannot be read: {error}") from None
    except ValueError as error:
        raise click.UsageError(printable(f"--budget: {error}")) from None


def tell_opposites(rules: Sequence[Rule]) -> None:
    """Say on stderr which rules fail where all is well, and what was likely meant."""
    from lm_deluge.timeline.measures.budget.rule_texts import opposite_of

    for rule in rules:
        if (meant := opposite_of(rule)) is not None:
            click.echo(
                f"lm-deluge report: the rule {printable(rule.text)} fails on the better side of its limit; "
                f"to fail where it is worse, write {meant}",
                err=True,
            )


def held_of(
    budget: Budget | None,
    *,
    fail_if: Sequence[str],
    max_regression: Sequence[str],
    targets: Sequence[str],
    numbers: Mapping[str, float | None],
    by: Sequence[str],
    pair: str | None = None,
) -> Standard:
    """Join a budget and options: numbers and tags given replace the budget's, the rest is added.

    Raises ``ValueError`` for a rule, a target or a number that makes no sense.
    """
    from lm_deluge.timeline.measures.budget.rule_texts import (
        parse_fail_if,
        parse_max_regression,
    )
    from lm_deluge.timeline.measures.groups import Settings
    from lm_deluge.timeline.measures.targets import parse_target

    given = {name: number for name, number in numbers.items() if number is not None}
    all_targets = (
        *(budget.targets if budget is not None else ()),
        *(parse_target(target) for target in targets),
    )
    settings = Settings(
        targets=tuple(dict.fromkeys(all_targets)),
        **{**(budget.numbers if budget is not None else {}), **given},
    )
    rules: list[Rule] = [*(budget.rules if budget is not None else ())]
    rules += [parse_fail_if(rule) for rule in fail_if]
    rules += [parse_max_regression(rule) for rule in max_regression]
    if not settings.targets and any(rule.metric == "goodput" for rule in rules):
        raise ValueError("a rule on goodput needs at least one --target")
    tags = tuple(by) or (budget.by if budget is not None else ())
    return Standard(settings, tuple(dict.fromkeys(tags)), tuple(rules), pair)
