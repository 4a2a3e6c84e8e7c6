"""The comparison of two checkouts' results sees what it should see."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from testbed.planning.files import read_scenario
from testbed.planning.plan import make_plan

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def scripts(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import compare_results
    import reduced

    yield compare_results, reduced
    for name in ("compare_results", "reduced"):
        sys.modules.pop(name)


@pytest.fixture
def folder(tmp_path):
    """Writes the results of one scenario with one estimator, and says where."""

    def write(name, **variables):
        data = {key: ("x", np.asarray(value)) for key, value in variables.items()}
        tree = xr.DataTree.from_dict({"kernel": xr.Dataset(data), "soundness": xr.Dataset()})
        (tmp_path / name / "toy").mkdir(parents=True)
        tree.to_netcdf(tmp_path / name / "toy" / "results.nc")
        return tmp_path / name

    return write


def test_equal_results_pass_and_durations_are_not_compared(scripts, folder):
    old = folder("old", risk=[1.0, np.nan], duration=[1.0, 2.0])
    new = folder("new", risk=[1.0, np.nan], duration=[5.0, 6.0])
    assert scripts[0].compare(old, new, {}) == 0


@pytest.mark.parametrize(
    "after, verdict",
    [([1.0 + 1e-13, 2.0], 0), ([1.0 + 1e-11, 2.0], 1), ([np.nan, 2.0], 1), ([1.0], 1)],
)
def test_only_rounding_passes(scripts, folder, capsys, after, verdict):
    old, new = folder("old", risk=[1.0, 2.0]), folder("new", risk=after)
    assert scripts[0].compare(old, new, {}) == verdict
    assert "toy/kernel/risk" in capsys.readouterr().out
    assert scripts[0].compare(old, new, {"toy/*/risk": "the risk was redefined"}) == 0
    assert scripts[0].compare(old, new, {"toy/*/gap": "the gap was redefined"}) == verdict


def test_a_missing_variable_and_other_words_are_differences(scripts, folder):
    old = folder("old", risk=[1.0, 2.0], error=["", "no memory"])
    assert scripts[0].compare(old, folder("less", error=["", "no memory"]), {}) == 1
    assert scripts[0].compare(old, folder("words", risk=[1.0, 2.0], error=["", "no disk"]), {}) == 1
    assert scripts[0].compare(old, folder("none"), {}) == 1


@pytest.mark.parametrize("name", ["quickstart", "high-dimension", "width", "span-profile"])
def test_reduced_scenarios_are_small_and_can_be_planned(scripts, name):
    document = tomllib.loads((ROOT / "scenarios" / f"{name}.toml").read_text(encoding="utf-8"))
    reduced = scripts[1].reduced(name, document)
    text = scripts[1].as_toml(reduced)
    assert tomllib.loads(text) == reduced
    plan = make_plan(read_scenario(text))
    assert len(plan.cells) > 0
    assert plan.scenario.replicates <= 2
