"""A budget: rules with names and reasons, and what they are measured with, as a TOML file.

Read from text; who opens the file is not this module's matter. The format is in docs/budgets.md.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from attrs import evolve, frozen

from lm_deluge.timeline.measures.budget.rule_texts import (
    Rule,
    parse_fail_if,
    parse_max_regression,
)
from lm_deluge.timeline.measures.groups import Settings
from lm_deluge.timeline.measures.targets import Target, parse_target
from lm_deluge.values.foreign import shown
from lm_deluge.values.spelling import nearest

__all__ = ["Budget", "parse_budget"]

_TOP = ("settings", "rule")
_NUMBERS = ("stall", "read_rate", "expected_ttft")
_SETTINGS = (*_NUMBERS, "targets", "by")
_RULE = ("name", "when", "max_regression", "why", "group")
_KINDS: dict[str, Callable[[str], Rule]] = {
    "when": parse_fail_if,
    "max_regression": parse_max_regression,
}
#: What the command calls it.
_MEANT = {"fail_if": "when", "fail-if": "when", "target": "targets", "rules": "rule"}

_T = TypeVar("_T")


@frozen
class Budget:
    """What logs are held to: ``rules``, each with its name, reason and groups.

    ``numbers``: what the file sets of ``stall``, ``read_rate`` and ``expected_ttft``, as ``Settings``
    takes them. ``targets``: what goodput counts. ``by``: the tags that make the groups, none of
    them for the model. ``source``: what the file is called.
    """

    rules: tuple[Rule, ...]
    numbers: Mapping[str, float]
    targets: tuple[Target, ...]
    by: tuple[str, ...]
    source: str = "budget"

    @property
    def settings(self) -> Settings:
        """What to measure with: what the file sets, and the defaults."""
        return Settings(targets=self.targets, **self.numbers)


def parse_budget(text: str, source: str = "budget") -> Budget:
    """Read a budget; ``ValueError`` says in which table and key of ``source`` what is wrong."""
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # also a number of thousands of digits
        message = f"{source}: no TOML: {error}"
        raise ValueError(message) from None
    _check_keys(document, _TOP, source)
    settings = _checked(document.get("settings", {}), dict, "a table, [settings]", source)
    rules = document.get("rule", [])
    if not isinstance(rules, list) or not all(isinstance(rule, dict) for rule in rules):
        message = f"{source}: rule: tables are expected, each begun with [[rule]]"
        raise ValueError(message)
    where = f"{source}, [settings]"
    _check_keys(settings, _SETTINGS, where)
    budget = Budget(
        rules=(),
        numbers={name: _number(settings[name], f"{where}, {name}") for name in _NUMBERS if name in settings},
        targets=tuple(_targets(settings.get("targets", []), f"{where}, targets")),
        by=_by(settings.get("by", []), f"{where}, by"),
        source=source,
    )  # fmt: skip
    try:
        _ = budget.settings
    except ValueError as error:
        message = f"{where}, {error}"
        raise ValueError(message) from None
    read: list[Rule] = []
    for number, rule in enumerate(rules, 1):
        read.append(_rule(rule, _place(source, rule, number), budget, read))
    if not read:
        message = f"{source}: there is no rule in it; each begins with [[rule]] and has a when"
        raise ValueError(message)
    return evolve(budget, rules=tuple(read))


def _rule(table: dict[str, Any], where: str, budget: Budget, before: list[Rule]) -> Rule:
    _check_keys(table, _RULE, where)
    for key, value in table.items():
        _checked(value, str, "a text", f"{where}, {key}")
        if not value.strip():
            message = f"{where}, {key}: it is empty"
            raise ValueError(message)
    given = [kind for kind in _KINDS if kind in table]
    if len(given) != 1:
        both = "both are given" if given else "neither is given"
        message = (
            f"{where}: when (such as 'ttft.p95>0.8') or max_regression (such as 'ttft.p95=20%') is "
            f"expected; {both}"
        )
        raise ValueError(message)
    kind = given[0]
    try:
        rule = _KINDS[kind](table[kind])
    except ValueError as error:
        message = f"{where}, {kind}: {error}"
        raise ValueError(message) from None
    if rule.metric == "goodput" and not budget.targets:
        message = f"{where}, {kind}: goodput needs targets in [settings]"
        raise ValueError(message)
    name = table.get("name")
    if name is not None and any(rule.name == name for rule in before):
        message = f"{where}, name: an earlier rule has the same name"
        raise ValueError(message)
    return evolve(rule, name=name, why=table.get("why"), group=table.get("group"))


def _place(source: str, rule: dict[str, Any], number: int) -> str:
    name = rule.get("name")
    called = f" ({shown(name)})" if isinstance(name, str) else ""
    return f"{source}, [[rule]] {number}{called}"


def _check_keys(table: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in table:
        if key not in known:
            near = [_MEANT[key]] if _MEANT.get(key) in known else nearest(key, known, 1, cutoff=0.6)
            instead = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
            message = f"{where}: {shown(key)} is no key; {instead}"
            raise ValueError(message)


def _checked(value: Any, kind: type[_T], expected: str, where: str) -> _T:
    if not isinstance(value, kind):
        message = f"{where}: {expected} is expected, not {shown(value)}"
        raise ValueError(message)
    return value


def _number(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        message = f"{where}: a number is expected, not {shown(value)}"
        raise ValueError(message)
    try:
        return float(value)
    except OverflowError:
        message = f"{where}: a number is expected, not one of {len(str(value))} digits"
        raise ValueError(message) from None


def _targets(value: Any, where: str) -> list[Target]:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        message = f"{where}: a list of texts is expected, such as ['ttft<=0.8'], not {shown(value)}"
        raise ValueError(message)
    try:
        return [parse_target(text) for text in texts]
    except ValueError as error:
        message = f"{where}: {error}"
        raise ValueError(message) from None


def _by(value: Any, where: str) -> tuple[str, ...]:
    tags = [value] if isinstance(value, str) else value
    if not isinstance(tags, list) or not all(isinstance(tag, str) and tag for tag in tags):
        message = f"{where}: a tag's name or a list of them is expected, not {shown(value)}"
        raise ValueError(message)
    return tuple(dict.fromkeys(tags))
