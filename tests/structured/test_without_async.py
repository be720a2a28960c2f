"""Objects for code without ``async``."""

from __future__ import annotations

from typing import Any

import pytest

from lm_deluge.errors import SchemaError
from lm_deluge.simulator import Simulator
from lm_deluge.sync import LLMClient
from support.dishes import DISH, TEXT, Dish, made


def client_of(server: Simulator) -> LLMClient:
    return LLMClient("gpt-4.1", api_key="sk-test", base_url=server.base_url, printer=None)


def test_it_comes_back_and_grows() -> None:
    with Simulator(text=TEXT, ttft=0, gap=0.02) as server:
        client = client_of(server)
        assert client.stream("?", schema=Dish).parsed == made("pydantic")
        objects = client.open_stream("?", schema=Dish).objects()
        assert objects.growth is None
        values: list[Any] = []
        for value in objects:
            values.append(value)
            assert objects.growth is not None
            assert objects.growth.is_whole is isinstance(value, Dish)
        assert values[-1] == made("pydantic")
        assert len(values) > 3
        assert all(value.items() <= DISH.items() or value for value in values[:-1])
        [(_, outcome)] = client.stream_many(["?"], schema=Dish)
        assert getattr(outcome, "parsed", None) == made("pydantic")


def test_what_is_none_is_told() -> None:
    with Simulator(text="No soup.", ttft=0, gap=0) as server:
        client = client_of(server)
        with pytest.raises(SchemaError, match="there is no JSON"):
            client.stream("?", schema=Dish)
        with pytest.raises(SchemaError, match="there is no JSON"):
            list(client.open_stream("?", schema=Dish).objects())


def test_leaving_the_loop_ends_the_stream() -> None:
    with Simulator(text=TEXT, ttft=0, gap=0.05) as server:
        stream = client_of(server).open_stream("?", schema=Dish)
        objects = stream.objects()
        next(objects)
        objects.close()
        assert stream.state == "error"
