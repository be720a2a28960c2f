"""Which names ``lm_deluge.timeline`` brings, and what the others raise."""

from __future__ import annotations

import pytest

from support.extras import skip_without
from support.programs import Run


@pytest.mark.parametrize(
    ("hidden", "there"),
    [(["numpy", "jinja2"], "False False"), (["jinja2"], "True False"), ([], "True True")],
)
async def test_import_of_all_names_brings_those_whose_packages_are_there(
    run: Run, python: tuple[str, ...], hidden: list[str], there: str
) -> None:
    skip_without(*{"numpy", "jinja2"}.difference(hidden))
    program = (
        f"import sys; sys.modules.update(dict.fromkeys({hidden!r}))\n"
        "from lm_deluge.timeline import *\n"
        "print(callable(read_timelines), 'measure' in vars(), 'html_page' in vars())"
    )
    done = await run(*python, "-c", program)
    assert (done.code, done.out, done.complaints) == (0, f"True {there}\n", "")


def test_names_that_are_not_there_are_attribute_errors() -> None:
    from lm_deluge import timeline

    with pytest.raises(AttributeError, match="nonsense"):
        _ = timeline.nonsense
    assert all(hasattr(timeline, name) for name in timeline.__all__)
