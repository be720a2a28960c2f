"""The tree of errors is the one its docstring draws."""

from __future__ import annotations

import copy
import inspect
import pickle
import re
from typing import Any

import pytest

from lm_deluge import HandlerFailure, Partial, errors
from lm_deluge.errors import (
    APIConnectionError,
    APIError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    HandlerError,
    InternalServerError,
    LimitExceededError,
    ProtocolError,
    ProviderError,
    StreamCancelled,
    StreamError,
    UnsupportedModelError,
    status_error,
)


def drawn() -> dict[str, str]:
    """Return the parent of each class as the docstring draws it."""
    tree: dict[str, str] = {}
    above: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"^( {4}[ │├└─]*)([A-Z]\w*)(?:\s|$)", line)
        if found is None:
            continue
        depth, name = len(found[1]), found[2]
        while above and above[-1][0] >= depth:
            above.pop()
        tree[name] = above[-1][1] if above else ""
        above.append((depth, name))
    return tree


def real() -> dict[str, type[BaseException]]:
    return {
        name: item
        for name, item in vars(errors).items()
        if inspect.isclass(item)
        and issubclass(item, BaseException)
        and item.__module__ == errors.__name__
    }


def test_the_tree_is_the_one_in_the_docstring() -> None:
    tree = drawn()
    assert tree.pop("ValueError") == ""
    assert set(tree) == set(real())
    for name, item in real().items():
        parent = item.__bases__[0]
        assert tree[name] == ("" if parent is Exception else parent.__name__), name


def test_every_class_is_exported_and_says_what_it_means() -> None:
    assert set(real()) | {"status_error"} == set(errors.__all__)
    assert list(errors.__all__) == sorted(errors.__all__)
    for item in real().values():
        assert item.__doc__


def test_no_stream_error_but_that_of_an_answers_form_is_a_value_error() -> None:
    both = [
        name
        for name, item in real().items()
        if issubclass(item, StreamError) and issubclass(item, ValueError)
    ]
    assert both == ["SchemaError"]


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (300, "APIStatusError"),
        (307, "APIStatusError"),
        (400, "BadRequestError"),
        (401, "AuthenticationError"),
        (402, "APIStatusError"),
        (403, "PermissionDeniedError"),
        (404, "NotFoundError"),
        (408, "APIStatusError"),
        (409, "ConflictError"),
        (413, "APIStatusError"),
        (422, "UnprocessableEntityError"),
        (429, "RateLimitError"),
        (499, "APIStatusError"),
        (500, "InternalServerError"),
        (503, "InternalServerError"),
        (529, "InternalServerError"),
        (599, "InternalServerError"),
    ],
)
def test_a_status_has_the_most_specific_class(status: int, name: str) -> None:
    assert status_error(status) is getattr(errors, name)


STATUS: dict[str, Any] = {
    "status_code": 429,
    "body": {"message": "slow"},
    "type": "t",
    "code": "c",
    "param": "p",
    "request_id": "r",
    "retry_after": 1.5,
    "should_retry": True,
    "phase": "first_token",
}

EXAMPLES: list[tuple[Any, dict[str, Any]]] = [
    (StreamError("m", phase="total"), {"message": "m", "phase": "total"}),
    (APIError("m"), {"message": "m", "phase": None}),
    (APIConnectionError("m", phase="connect"), {"phase": "connect"}),
    (APITimeoutError("m", phase="total", limit=2.0), {"phase": "total", "limit": 2.0}),
    *((status_error(code)("m", **STATUS), STATUS) for code in (400, 401, 429, 500)),
    (AuthenticationError("no key", status_code=None), {"status_code": None, "body": None}),
    (
        ProviderError("m", body={"a": 1}, type="t", code=5, phase="tail"),
        {"body": {"a": 1}, "type": "t", "code": 5, "phase": "tail"},
    ),
    (ProtocolError("m", offset=7, evidence=b"x"), {"offset": 7, "evidence": b"x"}),
    (
        LimitExceededError("max_choices", limit=2, value=3000),
        {
            "name": "max_choices",
            "limit": 2,
            "value": 3000,
            "message": "the answer passes Limits.max_choices: 3,000 where 2 is allowed",
        },
    ),
    (
        StreamCancelled("enough"),
        {"reason": "enough", "message": "the stream was cancelled: enough"},
    ),
    (
        HandlerError(HandlerFailure("H", "on_token", "ValueError", "oh")),
        {
            "failure": HandlerFailure("H", "on_token", "ValueError", "oh"),
            "message": "handler H failed in on_token: ValueError: oh",
        },
    ),
]


@pytest.mark.parametrize(("error", "fields"), EXAMPLES, ids=lambda value: type(value).__name__)
def test_an_error_has_its_fields_and_before_the_stream_nothing_else(
    error: Any, fields: dict[str, Any]
) -> None:
    assert {name: getattr(error, name) for name in fields} == fields
    assert str(error) == error.message
    assert (error.stream_id, error.partial, error.elapsed) == (None, None, None)
    assert (error.handler_failures, error.attempts) == ([], 0)


@pytest.mark.parametrize(("error", "fields"), EXAMPLES, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize(
    "again", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy, copy.deepcopy]
)
def test_an_error_survives_pickling_and_copying(
    error: Any, fields: dict[str, Any], again: Any
) -> None:
    error = copy.copy(error)
    error.partial = Partial(response_id="x")
    error.stream_id = "s"
    error.attempts = 2
    error.elapsed = 1.25
    error.handler_failures = [HandlerFailure("H", "on_start", "KeyError", "k")]
    error.add_note("a note")
    made = again(error)
    assert type(made) is type(error)
    assert str(made) == str(error)
    assert vars(made) == vars(error)
    assert made.__notes__ == ["a note"]


def test_an_unsupported_model_says_whose_it_is() -> None:
    error = UnsupportedModelError("m", model="claude-3", provider="Anthropic", suggestions=("a",))
    made = pickle.loads(pickle.dumps(error))
    assert isinstance(made, ValueError)
    assert (str(made), made.model, made.provider, made.suggestions) == (
        "m",
        "claude-3",
        "Anthropic",
        ("a",),
    )


def test_the_classes_of_openais_package_are_related_as_there() -> None:
    for child, parent in (
        (APITimeoutError, APIConnectionError),
        (APIConnectionError, APIError),
        (APIStatusError, APIError),
        (BadRequestError, APIStatusError),
        (InternalServerError, APIStatusError),
    ):
        assert issubclass(child, parent)
