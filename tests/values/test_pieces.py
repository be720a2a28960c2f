"""What the signals carry."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from attrs import asdict
from attrs.exceptions import FrozenInstanceError

from lm_deluge import Delta, HandlerFailure, Retry, Token
from lm_deluge.errors import StreamError
from lm_deluge.values.pieces import make_token

MADE = make_token("Once", 3, 0.25, 7, 1)
TOKEN = Token("Once", 3, 0.25, 7, 1)
PAYLOADS = [
    MADE,
    TOKEN,
    Delta(kind="reasoning", index=0, text="hm", arrived=0.5, read=1),
    Delta(
        kind="tool_call", index=1, text="{", arrived=0.5, read=1, id="a", name="f", arguments="{"
    ),
    HandlerFailure("H", "on_token", "ValueError", "oh", 2),
]


def test_a_token_made_fast_is_the_token_made_by_its_constructor() -> None:
    assert type(MADE) is Token
    assert TOKEN == MADE
    assert hash(TOKEN) == hash(MADE)
    assert repr(TOKEN) == repr(MADE)
    assert asdict(TOKEN) == asdict(MADE)
    assert {TOKEN: 1}[MADE] == 1
    assert make_token("Once", 3, 0.25, 7, 0) == Token("Once", 3, 0.25, 7) != MADE


def test_a_token_prints_as_its_text() -> None:
    assert str(MADE) == f"{MADE}" == "Once"


@pytest.mark.parametrize("payload", PAYLOADS, ids=lambda value: type(value).__name__)
def test_a_payload_cannot_be_changed(payload: Any) -> None:
    name = next(iter(asdict(payload)))
    with pytest.raises(FrozenInstanceError):
        setattr(payload, name, "x")
    with pytest.raises(FrozenInstanceError):
        delattr(payload, name)
    with pytest.raises(AttributeError):
        payload.more = 1


@pytest.mark.parametrize("payload", PAYLOADS, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize(
    "again", [lambda p: pickle.loads(pickle.dumps(p)), copy.copy, copy.deepcopy]
)
def test_a_payload_survives_pickling_and_copying(payload: Any, again: Any) -> None:
    made = again(payload)
    assert type(made) is type(payload)
    assert made == payload
    assert hash(made) == hash(payload)
    with pytest.raises(FrozenInstanceError):
        setattr(made, next(iter(asdict(made))), "x")


def test_a_retry_survives_pickling() -> None:
    retry = Retry(StreamError("no"), attempt=1, delay=0.5, next_model="m")
    made = pickle.loads(pickle.dumps(retry))
    assert (str(made.error), made.attempt, made.delay, made.next_model) == ("no", 1, 0.5, "m")


def test_a_token_is_small() -> None:
    assert not hasattr(MADE, "__dict__")
    assert not hasattr(MADE, "__weakref__")
