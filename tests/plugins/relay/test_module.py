"""The module for pages: small, served as browsers want it, and never kept beyond its time."""

from __future__ import annotations

from importlib.resources import files

import pytest

from lm_deluge_plugins.relay import MemoryStore
from support.relaying import ADAPTERS, serving

MODULE = files("lm_deluge_plugins.relay").joinpath("static", "lm_deluge.js")


def test_it_is_one_small_module_without_imports() -> None:
    source = MODULE.read_bytes()
    assert len(source) < 6000
    assert b"import " not in source
    assert source.count(b"export ") == 1


@pytest.mark.parametrize("adapter", ADAPTERS)
async def test_it_is_served_once_and_asked_for_each_time(adapter: str) -> None:
    async with serving(adapter, MemoryStore()) as app:
        async with app.session.get("/streams/lm_deluge.js") as first:
            assert first.status == 200
            assert await first.read() == MODULE.read_bytes()
            assert first.headers["Content-Type"] == "text/javascript; charset=utf-8"
            assert first.headers["Cache-Control"] == "no-cache"
            assert first.headers["Access-Control-Allow-Origin"] == "*"
            tag = first.headers["ETag"]
        for held in (tag, f"W/{tag}", f'"other", {tag}', "*"):
            headers = {"If-None-Match": held}
            async with app.session.get("/streams/lm_deluge.js", headers=headers) as again:
                assert (again.status, await again.read()) == (304, b"")
        async with app.session.get(
            "/streams/lm_deluge.js", headers={"If-None-Match": '"an older one"'}
        ) as new:
            assert new.status == 200
        async with app.session.head("/streams/lm_deluge.js") as head:
            assert (head.status, await head.read()) == (200, b"")
