"""Adaptive replication: more replicates where they are needed, the same ones however they ran."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from testbed.analysis import mean_interval, oracle, paired_difference, simulated, slope
from testbed.claims import read_verdicts
from testbed.contract.cells import STATUS
from testbed.errors import ScenarioError
from testbed.planning.files import read_scenario
from testbed.runs import Options, execute_run, run

SCENARIO = """
format = 1
name = "adaptive-replicates"
seed = 5
replicates = { until = { standard_error = 0.08, relative = true }, at_most = 64, at_least = 4 }
[design]
use = "sequence.gaussian"
n = { values = [20, 2000] }
modes = 30
[target]
use = "sequence.power"
p = 1.0
[[estimator]]
name = "fixed"
model = { use = "sequence.fixed", gamma = { values = [1.2, 3.0] } }
optimizer = { use = "gradient-flow", times = { geom = [1.0, 1e3, 12] } }
[[estimator]]
name = "adaptive"
model = { use = "sequence.diagonal", gamma = 1.2 }
optimizer = { use = "gradient-flow", times = { geom = [1.0, 1e3, 12] } }
[[metric]]
use = "excess-risk"
"""
DECIDED = (
    SCENARIO.replace("{ standard_error = 0.08, relative = true }", '"claims decided"')
    + """
[[claim]]
name = "easy"
that = "bound"
of = "fixed/excess_risk"
at = { time = "oracle", n = 2000, gamma = 1.2 }
expect = 100.0
side = "below"
[[claim]]
name = "hard"
that = "order"
of = "adaptive/excess_risk"
than = "fixed/excess_risk"
at = { time = "oracle", n = 20 }
than_at = { gamma = 1.2 }
"""
)


def counts(tree: xr.DataTree, name: str) -> np.ndarray:
    """How many replicates each point of an estimator has."""
    return (tree[name]["status"] == STATUS["ok"]).sum("replicate").values


@pytest.fixture(scope="module")
def precise(tmp_path_factory):
    return run(read_scenario(SCENARIO), tmp_path_factory.mktemp("serial"))


def test_points_have_as_many_replicates_as_they_need(precise):
    """Every point stops at the first count at which its standard error is small enough."""
    numbers_of_points = set()
    for name in ("fixed", "adaptive"):
        risk = simulated(precise[name].to_dataset(), "excess_risk")
        numbers = counts(precise, name)
        numbers_of_points |= set(numbers.ravel().tolist())
        for place in np.ndindex(numbers.shape):
            point = risk.isel(dict(zip(risk.dims, place, strict=False)))
            for count in (4, 8, 16, 32, 64):
                part = point.isel(replicate=slice(0, count))
                best = oracle(part.drop_vars("replicates_asked")).value
                error = float(best.std("replicate", ddof=1) / np.sqrt(count) / best.mean())
                if error <= 0.08 or count == 64:
                    assert numbers[place] == count
                    break
    assert len(numbers_of_points) > 1 and numbers_of_points <= {4, 8, 16, 32, 64}
    assert precise["fixed"].sizes["replicate"] == max(numbers_of_points)
    words = set(np.unique(precise["fixed"]["status"].values))
    assert words <= {STATUS["ok"], STATUS["not_run"]}


def test_replicates_are_the_same_on_workers_and_after_an_interruption(precise, tmp_path):
    there = run(read_scenario(SCENARIO), tmp_path / "workers", executor="processes", workers=2)
    short = read_scenario(SCENARIO, overrides=["replicates.at_most=8"])
    assert run(short, tmp_path / "resumed")["fixed"].sizes["replicate"] == 8
    resumed = run(read_scenario(SCENARIO), tmp_path / "resumed")
    again = run(read_scenario(SCENARIO), tmp_path / "resumed")
    for tree in (there, resumed, again):
        for name in ("fixed", "adaptive"):
            xr.testing.assert_identical(tree[name]["excess_risk"], precise[name]["excess_risk"])
            xr.testing.assert_equal(tree[name]["status"], precise[name]["status"])


def test_a_run_goes_on_where_claims_are_open(tmp_path):
    tree = run(read_scenario(DECIDED), tmp_path)
    easy, hard = read_verdicts(tree)
    assert easy.verdict == "supported"
    numbers = counts(tree, "fixed")
    assert numbers[1].tolist() == [4, 4] and numbers[0, 1] == 4  # no claim there, or decided
    assert numbers[0, 0] == counts(tree, "adaptive")[0] > 4
    assert hard.verdict != "inconclusive" or numbers[0, 0] == 64


class Counts:
    """A watcher that counts as a progress bar does."""

    def __init__(self):
        self.total = self.missing = self.done = 0

    def started(self, plan, missing):
        self.total, self.missing = len(plan.cells), len(missing)

    def extended(self, count, missing):
        self.total, self.missing = self.total + count, self.missing + len(missing)

    def finished(self, cell, result):
        self.done += 1

    def noted(self, text):
        pass


def test_progress_counts_the_cells_of_the_rounds_and_a_finished_run_judges_nothing(
    tmp_path, monkeypatch
):
    """Interrupted after the second round, resumed, and run again."""
    scenario, watched = read_scenario(DECIDED), Counts()
    short = read_scenario(DECIDED, overrides=["replicates.at_most=8"])
    execute_run(short, tmp_path, watcher=watched)
    assert 0 < watched.total == watched.missing == watched.done
    resumed = Counts()
    outcome = execute_run(scenario, tmp_path, watcher=resumed)
    assert resumed.done == resumed.missing < resumed.total < len(outcome.plan.cells)
    assert resumed.total == resumed.done + watched.done
    stamp = (tmp_path / "results.nc").stat().st_mtime_ns
    monkeypatch.setattr("testbed.claims.rounds.judge_each", None)
    monkeypatch.setattr("testbed.runs.answers.judge_claims", None)
    again = Counts()
    tree = execute_run(scenario, tmp_path, watcher=again).tree
    assert (again.total, again.missing, again.done) == (resumed.total, 0, 0)
    assert (tmp_path / "results.nc").stat().st_mtime_ns == stamp
    xr.testing.assert_identical(tree["fixed"]["status"], outcome.tree["fixed"]["status"])


def test_recording_an_unfinished_run_does_not_end_it(tmp_path):
    short = read_scenario(DECIDED, overrides=["replicates.at_most=4"])
    execute_run(short, tmp_path)
    execute_run(read_scenario(DECIDED), tmp_path, Options(record_only=True))
    assert counts(run(read_scenario(DECIDED), tmp_path), "fixed")[0, 0] > 4


def test_numbers_are_the_same_on_dask(precise, tmp_path):
    there = run(read_scenario(SCENARIO), tmp_path, executor="dask", workers=2)
    for name in ("fixed", "adaptive"):
        xr.testing.assert_identical(there[name]["excess_risk"], precise[name]["excess_risk"])
        xr.testing.assert_equal(there[name]["status"], precise[name]["status"])


def test_intervals_account_for_the_looks(precise):
    """Bonferroni over the five looks: levels of 95% become 99% each."""
    risk = simulated(precise["fixed"].to_dataset(), "excess_risk").isel(n=0, gamma=0)
    at_time = risk.isel(time=3)
    plain = at_time.drop_vars("replicates_asked").dropna("replicate")
    wide, narrow = mean_interval(at_time), mean_interval(plain, 1 - 0.05 / 5)
    for part in ("estimate", "lower", "upper"):
        np.testing.assert_allclose(wide[part], narrow[part])
    assert float(mean_interval(plain).upper) < float(wide.upper)
    sweep = simulated(precise["fixed"].to_dataset(), "excess_risk").isel(gamma=0)
    assert np.isfinite(slope(sweep, "n").lower)


def test_comparisons_take_the_replicates_that_both_have(precise):
    first = simulated(precise["fixed"].to_dataset(), "excess_risk").isel(gamma=1, time=-1)
    second = simulated(precise["adaptive"].to_dataset(), "excess_risk").isel(time=-1)
    requested = [part.replicates_asked.values for part in (first, second)]
    assert (requested[0] != requested[1]).any(), "else the test shows nothing"
    table = paired_difference(first, second)
    both = np.minimum(*requested)
    assert table.replicates.values.tolist() == both.tolist()
    for place, count in enumerate(both):
        part = (first - second).isel(n=place, replicate=slice(0, int(count)))
        np.testing.assert_allclose(table.estimate[place], part.mean("replicate"))
    assert (table.reason == "").all() and np.isfinite(table.lower).all()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("at_most = 64", "at_most = 2", "$.replicates.at_most"),
        ("standard_error = 0.08", "standard_error = 0.0", "$.replicates.until.standard_error"),
        ("at_most = 64, ", "", "$.replicates"),
        ("{ standard_error = 0.08, relative = true }", '"claim decided"', "claims decided"),
        ("relative = true", "relatve = true", "did you mean 'relative'"),
    ],
)
def test_mistakes_are_named(old, new, words):
    with pytest.raises(ScenarioError) as caught:
        read_scenario(SCENARIO.replace(old, new))
    assert words in str(caught.value)
