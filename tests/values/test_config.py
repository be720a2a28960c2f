"""What a user may set, and how clearly what makes no sense is refused."""

from __future__ import annotations

import math
import random

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_deluge.config import EFFORTS, Limits, RetryPolicy, SamplingParams, Timeouts


def test_sampling_params_set_nothing_by_default() -> None:
    params = SamplingParams()
    unset = {f.name for f in attrs.fields(SamplingParams) if getattr(params, f.name) is None}
    assert unset == set(attrs.fields_dict(SamplingParams)) - {"json_mode", "logprobs", "n"}
    assert (params.json_mode, params.logprobs, params.n) == (False, False, 1)


RANGES = [
    ("temperature", 0, 2, "from 0 to 2"),
    ("top_p", 0, 1, "from 0 to 1"),
    ("presence_penalty", -2, 2, "from -2 to 2"),
    ("frequency_penalty", -2, 2, "from -2 to 2"),
    ("top_logprobs", 0, 20, "from 0 to 20"),
    ("n", 1, 128, "from 1 to 128"),
]


@pytest.mark.parametrize(("field", "low", "high", "words"), RANGES)
def test_the_ends_of_a_range_are_in_it_and_what_is_beyond_is_named(
    field: str, low: int, high: int, words: str
) -> None:
    for value in (low, high):
        assert getattr(SamplingParams(**{field: value}), field) == value
    for value in (low - 1, high + 1):
        with pytest.raises(ValueError, match=f"^{field} must be .*{words}.*not {value}$"):
            SamplingParams(**{field: value})


@pytest.mark.parametrize("field", [name for name, *_ in RANGES])
@pytest.mark.parametrize("wrong", [True, "1", [1], 1j])
def test_what_is_no_number_is_a_type_error(field: str, wrong: object) -> None:
    with pytest.raises(TypeError, match=f"^{field} must be .*not {wrong!r}".replace("[", r"\[")):
        SamplingParams(**{field: wrong})  # type: ignore[arg-type]


@pytest.mark.parametrize("field", ["temperature", "top_p", "presence_penalty"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_nan_and_infinity_are_in_no_range(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=field):
        SamplingParams(**{field: value})


@pytest.mark.parametrize("value", [0, -1])
def test_max_new_tokens_is_at_least_one(value: int) -> None:
    with pytest.raises(ValueError, match=f"max_new_tokens must be an integer at least 1.*{value}"):
        SamplingParams(max_new_tokens=value)


def test_integers_are_not_floats() -> None:
    with pytest.raises(TypeError, match=r"max_new_tokens .*not 10\.0"):
        SamplingParams(max_new_tokens=10.0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="seed"):
        SamplingParams(seed=2**63)
    assert SamplingParams(seed=-1).seed == -1


def test_n_cannot_be_unset() -> None:
    with pytest.raises(TypeError, match="n must be an integer from 1 to 128, not None"):
        SamplingParams(n=None)  # type: ignore[arg-type]


@pytest.mark.parametrize("field", ["json_mode", "logprobs"])
def test_flags_are_bools(field: str) -> None:
    with pytest.raises(TypeError, match=f"{field} must be True or False, not 1"):
        SamplingParams(**{field: 1})  # type: ignore[arg-type]


def test_reasoning_efforts_are_a_closed_list() -> None:
    for effort in EFFORTS:
        assert SamplingParams(reasoning_effort=effort).reasoning_effort == effort
    with pytest.raises(ValueError, match="one of none, minimal, low, medium, high, xhigh, not 'x'"):
        SamplingParams(reasoning_effort="x")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="reasoning_effort"):
        SamplingParams(reasoning_effort=3)  # type: ignore[arg-type]


def test_stop_is_kept_as_a_tuple() -> None:
    assert SamplingParams(stop="END").stop == ("END",)
    assert SamplingParams(stop=["a", "b"]).stop == ("a", "b")
    assert SamplingParams(stop=[]).stop is None


@pytest.mark.parametrize("wrong", ["", ["a", ""], list("abcde")])
def test_stop_takes_up_to_four_texts_none_empty(wrong: object) -> None:
    with pytest.raises(ValueError, match="stop must be a str or a list of at most 4"):
        SamplingParams(stop=wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [3, [3], {"a"}, b"x"])
def test_stop_of_a_wrong_type_is_a_type_error(wrong: object) -> None:
    with pytest.raises(TypeError, match="stop must be"):
        SamplingParams(stop=wrong)  # type: ignore[arg-type]


def test_top_logprobs_turns_logprobs_on() -> None:
    assert SamplingParams(top_logprobs=0).logprobs is True


def test_merged_puts_values_in_place_and_keeps_where_none_is_given() -> None:
    params = SamplingParams(temperature=0.5, top_p=0.1)
    assert params.merged(temperature=1, top_p=None) == SamplingParams(temperature=1, top_p=0.1)
    assert params.merged() is params
    assert params == SamplingParams(temperature=0.5, top_p=0.1)
    with pytest.raises(ValueError, match="temperature"):
        params.merged(temperature=3)
    with pytest.raises(TypeError, match="no 'max_tokens'; it has temperature"):
        params.merged(max_tokens=3)


@pytest.mark.parametrize("value", [SamplingParams(), Timeouts(), RetryPolicy(), Limits()])
def test_values_are_frozen_and_hashable(value: object) -> None:
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(value, attrs.fields(type(value))[0].name, 1)
    assert hash(value) == hash(attrs.evolve(value))  # type: ignore[type-var]


def test_reasoning_models_are_given_more_time() -> None:
    plain, reasoning = Timeouts().resolved(reasoning=False), Timeouts().resolved(reasoning=True)
    assert (plain.first_token, plain.between_tokens) == (120, 60)
    assert (reasoning.first_token, reasoning.between_tokens) == (600, 300)
    assert (plain.connect, plain.total, plain.tail) == (10, None, 2)


def test_times_that_were_set_stay_as_they_are() -> None:
    timeouts = Timeouts(connect=None, first_token=None, between_tokens=0.5, total=9, tail=0)
    resolved = timeouts.resolved(reasoning=True)
    assert attrs.asdict(resolved) == attrs.asdict(timeouts)
    assert resolved.resolved(reasoning=False) == resolved


@pytest.mark.parametrize("field", ["connect", "first_token", "between_tokens", "total"])
def test_a_timeout_is_greater_than_zero(field: str) -> None:
    for value in (0, -1, math.nan, math.inf):
        with pytest.raises(
            ValueError, match=rf"{field} must be .*greater than 0.*None \(no limit\)"
        ):
            Timeouts(**{field: value})
    with pytest.raises(TypeError, match=field):
        Timeouts(**{field: True})  # type: ignore[arg-type]


def test_only_the_token_timers_are_automatic() -> None:
    with pytest.raises(TypeError, match="connect"):
        Timeouts(connect="auto")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"first_token must be a number .* or 'auto' or None"):
        Timeouts(first_token="soon")  # type: ignore[arg-type]


def test_the_tail_has_an_end() -> None:
    with pytest.raises(TypeError, match="tail"):
        Timeouts(tail=None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="tail"):
        Timeouts(tail=-0.1)


def test_which_statuses_are_retried() -> None:
    policy = RetryPolicy()
    assert [s for s in range(100, 600) if policy.retries_status(s)] == [
        408,
        409,
        429,
        *range(500, 600),
    ]
    assert not RetryPolicy(server_errors=False).retries_status(503)
    assert RetryPolicy(statuses=[503], server_errors=False).retries_status(503)


def test_none_is_one_attempt() -> None:
    assert RetryPolicy.none().max_attempts == 1


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"max_attempts": 0}, ValueError),
        ({"max_attempts": 1.5}, TypeError),
        ({"initial_delay": -1}, ValueError),
        ({"max_delay": None}, TypeError),
        ({"max_retry_after": "60"}, TypeError),
        ({"statuses": 429}, TypeError),
        ({"statuses": "429"}, TypeError),
        ({"statuses": ["429"]}, TypeError),
        ({"statuses": {200}}, ValueError),
        ({"timeouts": 30}, TypeError),
    ],
)
def test_a_retry_policy_that_makes_no_sense_names_its_field(
    wrong: dict, error: type[Exception]
) -> None:
    with pytest.raises(error, match=next(iter(wrong))):
        RetryPolicy(**wrong)


def test_the_delay_doubles_up_to_its_cap_and_jitter_only_shortens_it() -> None:
    policy = RetryPolicy()
    longest = [policy.delay(failures, lambda: 0.0) for failures in range(1, 8)]
    assert longest == [0.5, 1, 2, 4, 8, 8, 8]
    assert policy.delay(1, lambda: 1.0) == 0.375


@given(st.integers(1, 10**6), st.floats(0, 1, exclude_max=True))
def test_no_delay_leaves_its_bounds(failures: int, jitter: float) -> None:
    assert 0.375 <= RetryPolicy().delay(failures, lambda: jitter) <= 8.0


def test_there_is_no_delay_before_a_failure() -> None:
    with pytest.raises(ValueError, match="failures"):
        RetryPolicy().delay(0, random.random)


@pytest.mark.parametrize("field", list(attrs.fields_dict(Limits)))
def test_limits_are_positive_integers(field: str) -> None:
    with pytest.raises(ValueError, match=f"{field} must be an integer at least 1, not 0"):
        Limits(**{field: 0})
    with pytest.raises(TypeError, match=field):
        Limits(**{field: None})  # type: ignore[arg-type]
