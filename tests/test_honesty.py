"""Every test can fail: it asserts something, and decides for one error."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
FILES = {path: ast.parse(path.read_text("utf-8")) for path in sorted(HERE.rglob("*.py"))}

#: What fails a test besides ``assert``.
CHECKS = {"raises", "warns", "fail", "deprecated_call"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(tree: ast.Module) -> Iterator[Function]:
    return (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))


def called(nodes: list[ast.AST]) -> set[str]:
    """The last names of all that is called."""
    calls = [node.func for node in nodes if isinstance(node, ast.Call)]
    names = {call.id for call in calls if isinstance(call, ast.Name)}
    return names | {call.attr for call in calls if isinstance(call, ast.Attribute)}


def asserting() -> set[str]:
    """The names of functions that assert, or call one that does."""
    calls: dict[str, set[str]] = defaultdict(set)
    found = set(CHECKS)
    for tree in FILES.values():
        for function in functions(tree):
            nodes = list(ast.walk(function))
            calls[function.name] |= called(nodes)
            if any(isinstance(node, ast.Assert) for node in nodes):
                found.add(function.name)
    more = True
    while more:
        more = {name for name, names in calls.items() if name not in found and names & found}
        found |= more
    return found


def test_every_test_asserts_something() -> None:
    found = asserting()
    silent = [
        f"{path.name}: {function.name}"
        for path, tree in FILES.items()
        for function in functions(tree)
        if function.name.startswith("test_") and function.name not in found
    ]
    assert silent == []


def is_empty(test: ast.expr) -> bool:
    """Whether an assertion holds, or does not, whatever was tested."""
    if isinstance(test, ast.Compare) and len(test.comparators) == 1:
        same = ast.dump(test.left) == ast.dump(test.comparators[0])
        return same and not any(isinstance(node, ast.Call) for node in ast.walk(test))
    return isinstance(test, ast.Constant | ast.Tuple | ast.List | ast.Lambda)


def test_no_assertion_holds_whatever_was_tested() -> None:
    empty = [
        f"{path.name}:{node.lineno}"
        for path, tree in FILES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Assert) and is_empty(node.test)
    ]
    assert empty == []


def test_every_test_of_an_error_decides_for_one() -> None:
    several = [
        f"{path.name}:{node.lineno}"
        for path, tree in FILES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "raises"
        and isinstance(node.args[0] if node.args else None, ast.Tuple | ast.BinOp)
    ]
    assert several == []


@pytest.mark.parametrize(
    ("code", "empty"),
    [
        ("True", True),
        ("(x, 'told')", True),
        ("x.y == x.y", True),
        ("f() == f()", False),
        ("x", False),
    ],
)
def test_an_empty_assertion_is_seen(code: str, empty: bool) -> None:
    assert is_empty(ast.parse(code, mode="eval").body) is empty
