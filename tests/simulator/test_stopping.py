"""Stopping the simulator while a client connects."""

from __future__ import annotations

import asyncio
import gc
import socket

import pytest

from lm_deluge.simulator import Simulator


async def test_a_connection_that_was_accepted_just_now_is_closed_with_the_rest(
    caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder
) -> None:
    for turns in range(4):
        async with Simulator() as simulator:
            client = socket.create_connection(("127.0.0.1", simulator.port))
            for _ in range(turns):
                await asyncio.sleep(0)
        client.settimeout(2)
        with client:
            try:
                assert client.recv(1) == b""
            except ConnectionResetError:
                pass
    gc.collect()
    assert caplog.text == ""
    assert [str(warning.message) for warning in recwarn] == []
