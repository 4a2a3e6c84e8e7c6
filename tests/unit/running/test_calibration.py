"""What cells are expected to take, from what others took."""

from __future__ import annotations

import math

import pytest

from testbed.planning.files import read_scenario
from testbed.planning.plan import make_plan
from testbed.results.files import read_tree
from testbed.running.calibration import Calibration, calibration_file, expected_seconds
from testbed.runs import Options, execute_run

SCENARIO = """
format = 1
name = "costs"
replicates = 2
[design]
use = "sequence.gaussian"
n = { values = [100, 200, 400, 800, 1600] }
modes = 20
[target]
use = "sequence.power"
p = 1.0
[[estimator]]
name = "fixed"
model = { use = "sequence.fixed", gamma = 1.5 }
optimizer = { use = "gradient-flow", times = [1.0, 10.0] }
[[metric]]
use = "excess-risk"
"""


@pytest.fixture(autouse=True)
def machine(tmp_path, monkeypatch):
    """A machine that has measured nothing."""
    monkeypatch.setenv("TESTBED_CACHE", str(tmp_path / "cache"))


def cells(*overrides):
    return make_plan(read_scenario(SCENARIO, "costs.toml", overrides)).cells


def taught(exponent, sizes=slice(None)):
    """A calibration with cells that take 1e-6 n^exponent seconds."""
    calibration = Calibration()
    first, *larger = cells()
    law = [(cell, 1e-6 * cell.design.n**exponent, 3e8) for cell in (first, *larger)]
    calibration.learn([law[0], *law[sizes]])
    return calibration


@pytest.mark.parametrize("exponent", [1.0, 2.0, 3.0])
def test_the_power_with_which_costs_grow_is_learned(exponent):
    (cell,) = cells("design.n=3200")
    truth = 1e-6 * 3200**exponent
    assert 0.6 < taught(exponent).seconds(cell) / truth < 1.7
    assert taught(exponent).memory(cell) == 3e8


def test_one_measurement_is_scaled_by_expected_exponents():
    calibration = taught(1.0, slice(2, 3))  # n = 400 alone
    (larger,) = cells("design.n=3200")
    assert math.isclose(calibration.seconds(larger), 1e-6 * 3200, rel_tol=1e-9)
    (more,) = cells("design.n=400", "replicates=8")
    assert math.isclose(calibration.seconds(more), 1e-6 * 400 * 4, rel_tol=1e-9)


def test_other_components_are_another_kind():
    calibration = taught(1.0)
    flow = 'estimator.fixed.optimizer={use="gradient-descent", learning_rate=0.1, times=[1.0]}'
    assert all(calibration.seconds(cell) is None for cell in cells(flow))
    assert calibration.forecast(cells(flow)).unknown == 5
    assert set(expected_seconds(cells(flow), calibration).values()) == {1.0}


def test_cells_with_other_metrics_stand_in_for_those_that_were_never_measured():
    calibration = taught(1.0)
    more = cells('metric=[{use="excess-risk"}, {use="training-loss"}]')
    assert [calibration.seconds(c) for c in more] == [calibration.seconds(c) for c in cells()]
    assert calibration.forecast(more).unknown == 0


def test_cells_expected_to_take_longest_come_first_and_are_the_same_cells():
    planned = cells()
    ordered = taught(2.0).longest_first(planned)
    assert [cell.design.n for cell in ordered] == [1600, 800, 400, 200, 100]
    assert {cell.key for cell in ordered} == {cell.key for cell in planned}
    assert Calibration().longest_first(planned) == list(planned)


def test_a_run_leaves_measurements_and_the_next_result_holds_forecast_and_truth(tmp_path):
    scenario = read_scenario(SCENARIO, "costs.toml")
    execute_run(scenario, tmp_path / "a")
    assert calibration_file().is_file()
    first = read_tree(tmp_path / "a")["fixed"]["duration"].attrs
    assert "expected_seconds" not in first
    assert first["measured_seconds"] > 0 and first["measured_memory"] > 2**20
    execute_run(scenario, tmp_path / "b", Options(executor="processes", workers=2))
    second = read_tree(tmp_path / "b")["fixed"]["duration"].attrs
    assert second["expected_seconds"] > 0
    assert second["expected_memory"] == first["measured_memory"]


def test_two_runs_at_once_keep_the_measurements_of_both():
    first, second = Calibration.load(), Calibration.load()
    flow = 'estimator.fixed.optimizer={use="gradient-descent", learning_rate=0.1, times=[1.0]}'
    first.learn([(cell, 1.0, 1e8) for cell in cells()])
    second.learn([(cell, 2.0, 1e8) for cell in cells(flow)])
    for calibration in (first, second):
        calibration.save()
        calibration.save()  # nothing is added twice
    kept = Calibration.load()
    assert kept.forecast([*cells(), *cells(flow)]).unknown == 0
    assert kept.seconds(cells()[0]) == first.seconds(cells()[0])


@pytest.mark.parametrize("content", ["", "no JSON", "[]", '{"kind": [1, 2]}'])
def test_measurements_that_cannot_be_read_count_as_none(content):
    calibration_file().parent.mkdir()
    calibration_file().write_text(content)
    assert all(Calibration.load().seconds(cell) is None for cell in cells())
