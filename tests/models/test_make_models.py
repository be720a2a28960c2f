"""The script that makes the list of models: where its sources differ, nothing is written."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SCRIPT = Path(__file__).with_name("make_models.py")
LISTED = Path(__file__).parents[2] / "lm_deluge" / "models" / "models.json"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_models", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENAI: dict[str, Any] = {"price": [2.0, 0.2, None, 10.0], "priced_up_to": 200_000}
LITELLM: dict[str, Any] = {
    "max_input_tokens": 922_000,
    "max_output_tokens": 128_000,
    "input_cost_per_token": 2e-6,
    "input_cost_per_token_above_200k_tokens": 4e-6,
    "cache_read_input_token_cost": 2e-7,
    "cache_read_input_token_cost_above_1hr": 1,
    "output_cost_per_token": 1e-5,
    "deprecation_date": "2027-03-01",
    "successor_model": "gemini/newer",
}


def compare(
    script: ModuleType,
    *,
    genai: dict[str, Any] | None = GENAI,
    announced: str | None = None,
    **changed: Any,
) -> tuple[dict[str, Any], list[str]]:
    problems: list[str] = []
    listed = script.of_litellm({**LITELLM, **changed})
    return script.compared("m", genai, listed, announced, problems), problems


def test_what_both_sources_say_is_taken(script: ModuleType) -> None:
    entry, problems = compare(script)
    assert not problems
    assert entry == {
        "context_window": 922_000,
        "max_output_tokens": 128_000,
        "price": [2.0, 0.2, None, 10.0],
        "priced_up_to": 200_000,
        "retires_on": "2027-03-01",
        "replaced_by": "newer",
    }


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"input_cost_per_token": 3e-6}, "m: input_mtok is 2.0 in genai-prices, 3.0 in litellm"),
        (
            {"cache_read_input_token_cost": None},
            "m: cache_read_mtok is 0.2 in genai-prices, None in litellm",
        ),
        (
            {"cache_creation_input_token_cost": 1e-6},
            "m: cache_write_mtok is None in genai-prices, 1.0 in litellm",
        ),
        ({"output_cost_per_token": 9e-6}, "m: output_mtok is 10.0 in genai-prices, 9.0 in litellm"),
        (
            {"input_cost_per_token_above_100k_tokens": 3e-6},
            "m: priced up to 200000 in genai-prices, 100000 in litellm",
        ),
        (
            {"announced": "2027-02-01"},
            "m: its last day is 2027-03-01 by litellm, 2027-02-01 by the provider's package",
        ),
        ({"genai": None}, "m: only in litellm"),
        ({"genai": {"price": [None] * 4, "priced_up_to": None}}, "m: priced by litellm alone"),
    ],
)
def test_each_difference_is_a_problem(
    script: ModuleType, changed: dict[str, Any], said: str
) -> None:
    assert compare(script, **changed)[1] == [said]


def test_prices_that_differ_are_left_out_and_the_earlier_of_two_days_is_taken(
    script: ModuleType,
) -> None:
    assert "price" not in compare(script, input_cost_per_token=3e-6)[0]
    assert compare(script, announced="2027-02-01")[0]["retires_on"] == "2027-02-01"


def test_a_model_that_one_source_lacks_is_a_problem(script: ModuleType) -> None:
    for genai, said in ((GENAI, "m: only in genai-prices"), (None, "m: in neither")):
        problems: list[str] = []
        script.compared("m", genai, None, None, problems)
        assert problems == [said]


def test_what_claude_models_refuse_is_held_against_litellm(script: ModuleType) -> None:
    problems: list[str] = []
    for name, says in (("1", None), ("2", False), ("0", False), ("3", None)):
        listed = script.of_litellm({**LITELLM, "supports_sampling_params": says})
        script.check_sampling(f"claude-x-{name}", listed, {"x": [2, 0]}, problems)
    script.check_sampling("claude-x-4", None, {}, problems)
    assert problems == [
        "claude-x-0: refuses_sampling says False, litellm True",
        "claude-x-3: refuses_sampling says True, litellm False",
    ]


def test_the_committed_file_is_as_the_script_writes_it_and_lists_its_models(
    script: ModuleType,
) -> None:
    text = LISTED.read_text("utf-8")
    data = json.loads(text)
    assert script.written(data) == text
    for provider, (_, _, names) in script.MODELS.items():
        assert list(data["models"][provider]) == list(names)
    assert {source.split()[0] for source in data["sources"]} == {"genai-prices", "litellm"}


def packages(folder: Path, script: ModuleType, litellms_price: float) -> str:
    """Packages that say the same of all models, as the real two do; returns the path that has them."""
    prices = folder / "genai_prices"
    prices.mkdir(parents=True)
    (prices / "__init__.py").touch()
    (prices / "data.py").write_text(
        "from types import SimpleNamespace as N\n"
        "price = N(input_mtok=2, cache_read_mtok=None, cache_write_mtok=None, output_mtok=4)\n"
        "model = N(get_prices=lambda when: price)\n"
        "names = ('openai', 'anthropic', 'google')\n"
        "providers = [N(id=name, find_model=lambda name: model) for name in names]\n"
    )
    entry = {
        "max_input_tokens": 5,
        "input_cost_per_token": litellms_price,
        "output_cost_per_token": 4e-6,
    }
    refusing = json.loads(LISTED.read_text("utf-8"))["refuses_sampling"]
    table = folder / "litellm" / "model_prices_and_context_window_backup.json"
    table.parent.mkdir()
    listed = {}
    for _, before, names in script.MODELS.values():
        for name in names:
            problems: list[str] = []
            script.check_sampling(name, {"sampling": None}, refusing, problems)
            listed[before + name] = {**entry, "supports_sampling_params": not problems}
    table.write_text(json.dumps(listed))
    for package, files in (("genai_prices", ""), ("litellm", f"litellm/{table.name},,\n")):
        info = folder / f"{package}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (info / "RECORD").write_text(files)
    return str(folder)


def test_a_run_writes_nothing_where_the_sources_differ(tmp_path: Path, script: ModuleType) -> None:
    target = tmp_path / "tree" / "lm_deluge" / "models" / "models.json"
    copy = tmp_path / "tree" / "tests" / "models" / SCRIPT.name
    for path, source in ((target, LISTED), (copy, SCRIPT)):
        path.parent.mkdir(parents=True)
        path.write_bytes(source.read_bytes())
    before = target.read_bytes()
    codes = []
    for price in (3e-6, 2e-6):
        done = subprocess.run(
            [sys.executable, copy],
            env={"PYTHONPATH": packages(tmp_path / str(price), script, price)},
            capture_output=True,
            text=True,
            check=False,
        )
        codes.append(done.returncode)
        if done.returncode:
            assert "claude-opus-5: input_mtok is 2.0 in genai-prices, 3.0 in litellm" in done.stdout
            assert target.read_bytes() == before
    assert codes == [1, 0]
    now = json.loads(target.read_text("utf-8"))
    assert now["models"]["OpenAI"]["gpt-6-luna"]["price"] == [2.0, None, None, 4.0]
    assert now["rules"] == json.loads(before)["rules"]
