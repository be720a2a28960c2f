"""Every fault of the simulator, by every consumer, with every kind of handler: the promises hold."""

from __future__ import annotations

import logging
import re
from typing import Any

import attrs
import pytest

from lm_deluge import APIResponse, LLMClient, RetryPolicy, Timeouts
from lm_deluge.errors import (
    APIStatusError,
    HandlerError,
    ProtocolError,
    StreamCancelled,
    StreamError,
)
from lm_deluge.http.transport import Transport
from lm_deluge.simulator import Fault, Simulator
from support.aftermath import PATIENCE, Aftermath, all_of, no_longer_than, pooled, within
from support.coalescing import Coalescing
from support.consumers import CONSUMERS, HANDLERS, Slow, consume
from support.fault_table import (
    CELLS,
    OTHERS,
    ROWS,
    SHAPES,
    SHORT,
    SOON,
    TABLE,
    Pieces,
    Row,
    half_of,
    healthy,
    is_sampled,
    on_wire,
    said,
    whole,
)
from support.promises import KEY, Consumed, check_no_key, consumed_check

WIRES = ("chat", *OTHERS)

#: Cells that a known bug breaks, only for as long as it is there: (fault, consumer, handler): reason.
UNFIXED: dict[tuple[str, str, str], str] = {}


def test_the_table_has_every_fault_and_every_shape() -> None:
    assert {spec.split(":")[0] for spec in ROWS} == set(Fault.names())
    assert len(ROWS) == len(TABLE)
    for shape in SHAPES:
        assert f"error-frame:{shape}" in ROWS
    with pytest.raises(ValueError, match=re.escape(f"({', '.join(SHAPES)})")):
        Fault("error-frame:unknown")


def client_of(
    sim: Simulator, row: Row, transport: Transport, kind: str, wire: str = "chat"
) -> LLMClient:
    return LLMClient(
        "gpt-4o",
        base_url=sim.url if wire == "gemini" else sim.base_url,
        dialect=wire,
        api_key=KEY,
        timeouts=row.timeouts,
        limits=row.limits,
        retries=RetryPolicy.none(),
        strict=HANDLERS[kind][1],
        handler_wait=0.1 if kind == "hanging" else 5.0,
        transport=transport,
        extra_body={"n": row.n} if row.n > 1 else None,
    )


@pytest.mark.parametrize("share", ["half", pytest.param("all", marks=pytest.mark.slow)])
@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.spec)
async def test_every_consumer_and_handler_sees_the_fault_and_keeps_the_promises(
    row: Row, share: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    cells = CELLS if share == "all" else half_of(row)
    handlers = {cell: HANDLERS[cell[1]][0] for cell in cells}
    made = {cell: make() if make is not None else None for cell, make in handlers.items()}
    wrong: list[str] = []
    async with Aftermath() as after, no_longer_than(8, row.spec):
        async with Simulator(
            text=lambda body: said(body["messages"][-1]["content"]), faults=row.spec
        ) as sim:
            transport = Transport()
            clients = {kind: client_of(sim, row, transport, kind) for kind in HANDLERS}
            seen = await all_of(
                [
                    consume(how, clients[kind], f"{how} {kind}", made[how, kind], kind)
                    for how, kind in cells
                ]
            )
            # The server sees every connection go but those that are kept for the next turn.
            gone = await within(
                PATIENCE,
                lambda: (
                    all(request.finished.is_set() for request in sim.requests)
                    and sim.open_connections == pooled(transport)
                ),
            )
            assert gone, f"{sim.open_connections} connections open, {pooled(transport)} in the pool"
            for client in clients.values():
                await client.close()
            await sim.wait_closed_connections(PATIENCE)
        after.watch(*seen)
        for cell, one in zip(cells, seen, strict=True):
            try:
                check_cell(row, one, f"{cell[0]} {cell[1]}", made[cell])
            except AssertionError as error:
                if (row.spec, *cell) not in UNFIXED:
                    wrong.append(f"{cell[0]} × {cell[1]}: {error}")
            else:
                assert (row.spec, *cell) not in UNFIXED, f"{cell} is fixed: take it off the list"
        assert not wrong, f"{len(wrong)} cells of {len(cells)}:\n" + "\n".join(wrong)
    assert KEY not in caplog.text
    assert not [
        record
        for record in caplog.records
        if record.name == "asyncio" and record.levelno >= logging.ERROR
    ]


def check_cell(row: Row, seen: Consumed, prompt: str, handler: object | None) -> None:
    """Assert the promises, and that the outcome is the one of the table."""
    kind = seen.name
    heard = seen.ears[0]
    consumed_check(seen)
    check_no_key(seen)
    pieces = said(prompt)
    has_output = bool(heard.tokens)
    if row.text is not None and has_output is not bool(row.text(pieces)):
        raise AssertionError(f"output: {has_output}: {seen.error!r}")
    ending = heard.endings[0]
    if kind == "cancelling" and has_output:
        assert type(seen.error) is StreamCancelled, repr(seen.error)
        assert "heard enough" in str(seen.error)
        assert heard.calls == ["start", "token", "error"]
        assert whole(pieces).startswith(heard.tokens[0].text)
        return
    if kind == "strict-tokens" and has_output:
        assert type(seen.error) is HandlerError, repr(seen.error)
        assert "at a token" in str(seen.error)
        assert heard.text() == whole(pieces)[: len(heard.text())]
        return
    if row.error is None:
        assert isinstance(ending, APIResponse), f"{type(ending).__name__}: {ending}"
        if row.usage is not None:
            assert (ending.usage is not None) is row.usage, f"usage: {ending.usage}"
        assert len(ending.choices) == row.n
        if row.text is not None:
            for choice in ending.choices:
                assert choice.completion == row.text(pieces), choice.completion
        if kind == "strict-ending":
            assert type(seen.error) is HandlerError, repr(seen.error)
            assert "at the end" in str(seen.error)
        else:
            assert seen.error is None, repr(seen.error)
    else:
        check_failure(row, seen, pieces)
    check_failures_listed(kind, heard.calls, ending, handler)


def check_failure(row: Row, seen: Consumed, pieces: Pieces, attempts: int = 1) -> None:
    error = seen.error
    # An error inside a 200 is of its class, and of ProviderError.
    assert isinstance(error, row.error), f"{type(error).__name__}: {error}"
    assert type(error).__name__ == row.error.__name__, repr(error)
    assert isinstance(error, StreamError)
    assert row.reads.lower() in str(error).lower(), str(error)
    if row.phase is not None:
        assert error.phase == row.phase, f"phase {error.phase}: {error}"
    assert error.partial is not None
    if row.usage is not None:
        assert error.partial.usage is None
    assert error.attempts == attempts
    if row.text is not None:
        assert error.partial.text == row.text(pieces), error.partial.text
    if row.status is not None:
        assert isinstance(error, APIStatusError)
        assert error.status_code == row.status
        assert error.request_id is not None
    if row.retry_after is not None:
        assert isinstance(error, APIStatusError)
        assert error.retry_after == row.retry_after
    if row.error is ProtocolError:
        assert isinstance(error, ProtocolError)
        assert error.offset is not None
        assert error.evidence
    if seen.name == "strict-ending":
        assert any("at the end" in note for note in getattr(error, "__notes__", ()))


def check_failures_listed(
    kind: str, calls: list[str], ending: APIResponse | StreamError, handler: object | None
) -> None:
    """What a handler did wrong is listed, and nothing else."""
    listed = {failure.method: failure for failure in ending.handler_failures}
    last = f"on_{calls[-1]}"
    if kind in ("none", "cancelling", "strict-tokens"):
        assert not listed
    elif kind == "slow":
        assert not listed
        assert isinstance(handler, Slow)
        assert handler.calls == calls
    elif kind == "raising":
        assert set(listed) == {f"on_{name}" for name in calls}
        for method, failure in listed.items():
            assert failure.count == calls.count(method.removeprefix("on_"))
            assert (failure.handler, failure.type) == ("Raising", "ValueError")
    elif kind == "odd":
        assert {"on_start", last} <= set(listed) <= {"on_start", "on_token", last}
    elif kind == "hanging":
        assert [(f.handler, f.method, f.type) for f in ending.handler_failures] == [
            ("Hanging", "on_start", "HandlerLagging")
        ]
    else:
        assert set(listed) == {last}


@pytest.mark.parametrize(
    "spec",
    [
        "reset-before-headers",
        "close-before-headers",
        "status:408",
        "status:409:empty",
        "status:429:retry-after-ms=5",
        "status:429:retry-after=0",
        "status:500:html",
        "status:503:should-retry=true",
        "status:404:should-retry=true",
        "json-error",
        "reset:0",
        "drop:0",
        "half-close:0",
        "eof:0",
        "truncated-utf8:0",
        "bad-chunk-size:0",
        "hang-before-headers",
        "hang-before-first-token",
        "comments-before",
        "stall:0",
    ],
)
async def test_a_passing_failure_before_any_output_is_told_and_tried_again(spec: str) -> None:
    row = ROWS.get(spec, healthy(spec))
    retries = RetryPolicy(initial_delay=0.005)

    async def retried(how: str) -> Consumed:
        text = said(how)
        # The axis of wires: each consumer has another, and each fault begins with another.
        wire = WIRES[(len(spec) + list(CONSUMERS).index(how)) % 4]
        async with Simulator(text=text, faults=[spec, None], models=["gpt-4o"]) as sim:
            client = LLMClient(
                "gpt-4o",
                base_url=sim.url if wire == "gemini" else sim.base_url,
                dialect=wire,
                api_key=KEY,
                timeouts=row.timeouts,
                retries=retries,
            )
            seen = await consume(how, client, how, None, how)
            await client.close()
            await sim.wait_closed_connections(PATIENCE)
        return seen

    async with Aftermath() as after, no_longer_than(8, spec):
        every = await all_of([retried(how) for how in CONSUMERS])
        after.watch(*every)
        for seen in every:
            consumed_check(seen)
            assert seen.response is not None, repr(seen.error)
            assert seen.response.completion == whole(said(seen.name))
            assert seen.response.attempts == 2
            assert seen.ears[0].calls[:2] == ["start", "retry"]
            (retry,) = seen.ears[0].retries
            assert retry.attempt == 1
            check_no_key(seen)


def outcome_of(row: Row, seen: Consumed, attempts: int) -> None:
    """Assert what the table says of a fault that was met at a certain attempt."""
    consumed_check(seen)
    check_no_key(seen)
    pieces = said("hi")
    ending = seen.ears[0].endings[0]
    assert ending.attempts == attempts == 1 + len(seen.ears[0].retries)
    assert len(ending.failed_attempts) == attempts - 1
    if row.error is None:
        assert isinstance(ending, APIResponse), f"{type(ending).__name__}: {ending}"
        assert (ending.usage is not None) is row.usage
        assert row.text is not None
        assert [choice.completion for choice in ending.choices] == [row.text(pieces)] * row.n
    else:
        check_failure(row, seen, pieces, attempts)


#: What may come before a fault: a refusal, a connection that breaks, and two waits in vain.
BEFORE = ("status:503:empty", "reset-before-headers", "hang-before-headers", "stall:0")
LATER = [row if is_sampled(row) else pytest.param(row, marks=pytest.mark.slow) for row in TABLE]


@pytest.mark.parametrize("row", LATER, ids=lambda row: row.spec)
async def test_a_fault_is_the_same_at_the_second_and_the_third_attempt(row: Row) -> None:
    """The matrix's axis of several attempts: nothing of those before it is left over."""
    at = TABLE.index(row)
    before = [BEFORE[at % 4], BEFORE[(at + at // 4 + 1) % 4]]
    times = row.timeouts
    if row.spec == "refuse":  # what was sent on a kept connection is reset
        row = attrs.evolve(row, reads="")
    if times.total == SOON.total:
        before = ["status:503:empty", "status:429"]
    else:
        times = attrs.evolve(times, first_token=0.4)
    retries = RetryPolicy(initial_delay=0.002)

    async def met(earlier: list[str]) -> Consumed:
        text = said("hi")
        async with Simulator(text=text, faults=[*earlier, row.spec]) as sim:
            # The last attempt that there is: a fault that passes is the end, too.
            client = attempts_of(
                sim, row, times, attrs.evolve(retries, max_attempts=len(earlier) + 1)
            )
            seen = await consume("stream", client, "hi", None, str(len(earlier) + 1))
            await client.close()
        return seen

    async with no_longer_than(12, row.spec):
        for seen in await all_of([met(before[:1]), met(before)]):
            # The limits are those of this test.
            reads = "" if "0.25" in row.reads else row.reads
            outcome_of(attrs.evolve(row, reads=reads), seen, int(seen.name))


def attempts_of(sim: Simulator, row: Row, times: Timeouts, retries: RetryPolicy) -> LLMClient:
    return LLMClient(
        "gpt-4o",
        base_url=sim.base_url,
        api_key=KEY,
        timeouts=times,
        limits=row.limits,
        retries=retries,
        extra_body={"n": row.n} if row.n > 1 else None,
    )


@pytest.mark.parametrize(
    "row", [row for row in TABLE if row.spec != "refuse"], ids=lambda row: row.spec
)
async def test_a_fault_is_the_same_where_its_bytes_come_in_one_read(row: Row) -> None:
    """The matrix's axis of coalesced reads: head, answer and fault at once."""
    async with no_longer_than(8, row.spec), Simulator(text=said("hi"), faults=row.spec) as sim:
        async with Coalescing(sim.base_url) as forwarder:
            client = LLMClient(
                "gpt-4o",
                base_url=forwarder.base_url,
                api_key=KEY,
                timeouts=row.timeouts,
                limits=row.limits,
                retries=RetryPolicy.none(),
                extra_body={"n": row.n} if row.n > 1 else None,
            )
            seen = await consume("stream", client, "hi", None, "none")
            await client.close()
    outcome_of(row, seen, 1)


def wires_of(row: Row) -> list[Any]:
    """A row's cells of the other wires: one in the default run, by its place, if it is one of the sample."""
    at = TABLE.index(row)
    return [
        pytest.param(
            row,
            wire,
            marks=() if is_sampled(row) and at // 2 % 3 == place else pytest.mark.slow,
            id=f"{row.spec}-{wire}",
        )
        for place, wire in enumerate(OTHERS)
        if on_wire(row, wire) is not None
    ]


@pytest.mark.parametrize(("row", "wire"), [cell for row in TABLE for cell in wires_of(row)])
async def test_a_fault_comes_to_the_same_in_the_other_wires(row: Row, wire: str) -> None:
    """The matrix's axis of wires: each cell takes a consumer and a handler by its place."""
    row = on_wire(row, wire) or row
    how, kind = CELLS[(7 * TABLE.index(ROWS[row.spec]) + 3 * OTHERS.index(wire)) % len(CELLS)]
    made = HANDLERS[kind][0]
    handler = made() if made is not None else None
    prompt = f"{how} {kind}"
    async with Aftermath() as after, no_longer_than(8, row.spec):
        async with Simulator(text=said(prompt), faults=row.spec, models=["gpt-4o"]) as sim:
            transport = Transport()
            client = client_of(sim, row, transport, kind, wire)
            seen = await consume(how, client, prompt, handler, kind)
            await client.close()
            await sim.wait_closed_connections(PATIENCE)
        after.watch(seen)
        check_cell(row, seen, prompt, handler)


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("spec", ["reset:1", "drop:1", "stall:1", "eof:1", "error-frame:object:1"])
async def test_after_the_first_output_nothing_is_tried_again(spec: str, wire: str) -> None:
    # A first token that is late on a loaded machine would be tried again, and rightly.
    timeouts = attrs.evolve(SHORT, first_token=10)
    retries = RetryPolicy(initial_delay=0.005)
    text = ["one ", "two"]
    async with Simulator(text=text, faults=[spec, None], models=["gpt-4o"]) as sim:
        client = LLMClient(
            "gpt-4o",
            base_url=sim.url if wire == "gemini" else sim.base_url,
            dialect=wire,
            api_key=KEY,
            timeouts=timeouts,
            retries=retries,
        )
        seen = await consume("stream", client, "hi", None, "none")
        await client.close()
        assert sim.request_count == 1
    consumed_check(seen)
    assert isinstance(seen.error, StreamError)
    assert seen.error.partial is not None
    assert seen.error.partial.text == "one "
