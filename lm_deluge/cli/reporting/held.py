"""What a report measures with, and the rules that it holds logs to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lm_deluge.timeline.measures.groups import Settings
    from lm_deluge.timeline.measures.rule_texts import FailIf, MaxRegression

__all__ = ["rules_of", "settings_of"]


def settings_of(targets: Sequence[str], numbers: dict[str, float]) -> Settings:
    from lm_deluge.timeline.measures.groups import Settings
    from lm_deluge.timeline.measures.targets import parse_target

    return Settings(targets=tuple(map(parse_target, targets)), **numbers)


def rules_of(
    fail_if: Sequence[str], max_regression: Sequence[str], settings: Settings
) -> list[FailIf | MaxRegression]:
    from lm_deluge.timeline.measures.rule_texts import parse_fail_if, parse_max_regression

    rules: list[FailIf | MaxRegression] = [parse_fail_if(rule) for rule in fail_if]
    rules += [parse_max_regression(rule) for rule in max_regression]
    if not settings.targets and any(rule.metric == "goodput" for rule in rules):
        raise ValueError("a rule on goodput needs at least one --target")
    return rules
