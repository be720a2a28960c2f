"""What the client says of a request before it is sent."""

from __future__ import annotations

import logging

import pytest

from lm_deluge import LLMClient


def test_a_dropped_parameter_is_logged_once_for_each_model(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clients = [
        LLMClient(name, api_key="k", temperature=0.5, fallback_models=["gpt-4o"])
        for name in ("o3", "o4-mini")
    ]
    with caplog.at_level(logging.WARNING, "lm_deluge"):
        for client in clients * 3:
            client.open_stream("Hi")
    assert {record.name for record in caplog.records} == {"lm_deluge"}
    assert caplog.messages == [
        "temperature is not sent to o3: the model does not take it",
        "temperature is not sent to o4-mini: the model does not take it",
    ]


def test_what_a_filter_of_the_programs_raises_keeps_no_stream_from_being_opened() -> None:
    heard = []

    def fail(record: logging.LogRecord) -> bool:
        heard.append(record.getMessage())
        raise RuntimeError(record.msg)

    logger = logging.getLogger("lm_deluge")
    logger.addFilter(fail)
    try:
        client = LLMClient("o3", api_key="k", base_url="http://models.example/v1", temperature=0.5)
        client.open_stream("Hi")
    finally:
        logger.removeFilter(fail)
    assert [each.split(":")[0] for each in heard] == [
        "the API key goes to http",
        "temperature is not sent to o3",
    ]
