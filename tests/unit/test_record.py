"""Results as plain xarray sees them: labels, statuses, reasons, round trips."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from attrs import evolve

from testbed.contract.cells import STATUS
from testbed.planning.files import read_scenario
from testbed.planning.plan import make_plan
from testbed.results.record import record
from testbed.running.executors import serial
from testbed.runs import run
from testbed_basics.designs.pools import ABOUT

SCENARIO = """
format = 1
name = "labelled"
title = "Labels"
references = ["arXiv:2409.00894"]
seed = 5
replicates = 4
[design]
use = "sequence.gaussian"
n = { values = [100, 400] }
modes = 40
[target]
use = "sequence.sparse-power"
p = 1.0
q = 2.0
[[estimator]]
name = "flow"
model = { use = "sequence.diagonal", gamma = 1.5, depth = { values = [0, 1] } }
optimizer = { use = "gradient-flow", times = { geom = [1.0, 1e3, 5], include = [0.0] } }
[[estimator]]
name = "steps"
model = { use = "sequence.fixed", gamma = 1.5 }
[estimator.optimizer]
use = "gradient-descent"
learning_rate = { values = [0.5, 3.0] }
times = [0.0, 3.0, 300.0, 3e4]
[[metric]]
use = "excess-risk"
[[metric]]
use = "eigenvalues"
modes = [1, 4, 9]
replicates = "mean"
[[metric]]
use = "eigenvectors"
[[theory]]
use = "sequence.expected-risk"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("labelled")
    return path, run(
        read_scenario(SCENARIO.replace('[[metric]]\nuse = "eigenvectors"\n', "")), path
    )


def test_the_file_is_read_by_plain_xarray_and_is_what_was_returned(folder):
    path, tree = folder
    with xr.open_datatree(path / "results.nc", engine="netcdf4") as lazy:
        stored = lazy.load()
    assert stored.attrs.pop("checksum").startswith("sha256 of this file")
    xr.testing.assert_identical(tree, stored)
    assert not stored.to_dataset().variables  # the root holds attributes only
    assert stored.attrs["title"] == "Labels" and "CF" in stored.attrs["Conventions"]
    assert 'name = "labelled"' in stored.attrs["scenario"]
    alone = xr.open_dataset(path / "results.nc", group="flow")
    assert {"n", "depth", "time", "seed", "gamma"} <= set(alone.coords)
    alone.close()


def test_data_sets_are_attributes_each_text_once():
    """Licences hold "; " themselves; three sample sizes are three designs with one licence."""
    text = """
format = 1
name = "data"
times = [1.0]
[[design]]
name = "numbers"
use = "dataset"
data = "diabetes"
n = 10
n_test = 5
[[design]]
name = "more"
use = "dataset"
data = "diabetes"
n = 20
n_test = 5
[[design]]
name = "pixels"
use = "dataset"
data = "digits"
n = 10
n_test = 5
[target]
use = "labels"
[[estimator]]
name = "laplace"
model = { use = "ntk.laplace" }
optimizer = { use = "gradient-flow" }
[[metric]]
use = "test-error"
"""
    attributes = record(make_plan(read_scenario(text)), []).attrs
    licences = [ABOUT[name].licence for name in ("diabetes", "digits")]
    assert "; " in licences[0]
    assert attributes["data_licence"] == "; ".join(licences)
    assert attributes["data_name"] == "; ".join(ABOUT[n].title for n in ("diabetes", "digits"))


def test_every_variable_and_coordinate_is_labelled(folder):
    for group in folder[1].children.values():
        for name, values in group.to_dataset().variables.items():
            assert values.attrs.get("long_name"), name
            if values.dtype.kind in "fiu" and "flag_values" not in values.attrs:
                assert values.attrs.get("units"), name


def test_sweeps_are_dimensions_and_selection_works(folder):
    flow = folder[1]["flow"].to_dataset()
    assert flow["excess_risk"].dims == ("n", "depth", "replicate", "time")
    assert flow["eigenvalue"].dims == ("n", "depth", "time", "mode")  # a mean over replicates
    assert float(flow["excess_risk"].sel(n=400, depth=1, time=0).isel(replicate=0)) > 0
    np.testing.assert_array_equal(flow["mode"], [1, 4, 9])
    assert float(flow["gamma"]) == 1.5
    theory = flow["excess_risk__expected_risk"]
    assert theory.dims == ("n", "depth", "time")
    assert theory.attrs["predicts"] == "excess_risk"


def test_divergence_is_a_status_and_nan_and_is_counted(folder):
    steps = folder[1]["steps"].to_dataset()  # γ: λ₁ = 1, so that a rate of 3 diverges
    meanings = dict(
        zip(steps["status"].flag_meanings.split(), steps["status"].flag_values, strict=True)
    )
    assert meanings["diverged"] == STATUS["diverged"]
    bad = steps.sel(learning_rate=3.0)
    assert (bad["status"] == meanings["diverged"]).all()
    assert np.isnan(bad["excess_risk"].isel(time=-1)).all()
    assert (bad["excess_risk__ok_count"].isel(time=-1) == 0).all()
    good = steps.sel(learning_rate=0.5)
    assert (good["status"] == meanings["ok"]).all()
    assert (good["excess_risk__ok_count"] == 4).all()


def test_times_reached_stand_beside_times_asked(folder):
    steps = folder[1]["steps"].to_dataset()
    np.testing.assert_array_equal(steps["time"], [0, 3, 300, 3e4])
    np.testing.assert_allclose(steps["time_reached"].sel(learning_rate=0.5, n=100), steps["time"])
    np.testing.assert_array_equal(steps["step"].sel(learning_rate=0.5, n=100), steps["time"] / 0.5)


def test_a_theory_that_does_not_apply_says_why(folder):
    steps = folder[1]["steps"].to_dataset()
    assert "excess_risk__expected_risk" not in steps
    reasons = steps["excess_risk__expected_risk__applies"]
    assert reasons.dims == ("n", "learning_rate")
    assert all("it covers gradient flow" in str(reason) for reason in reasons.values.flat)
    assert steps.attrs["omitted"].startswith("sequence.expected-risk: it covers gradient flow")


def test_what_a_run_took_counts_the_cells_of_theories():
    plan = make_plan(read_scenario(SCENARIO.replace('[[metric]]\nuse = "eigenvectors"\n', "")))
    results = [evolve(result, seconds=2.0**-i) for i, result in enumerate(serial(plan.cells))]
    tree = record(plan, results)
    for name in ("flow", "steps"):
        parts = [r.seconds for c, r in zip(plan.cells, results, strict=True) if c.estimator == name]
        assert tree[name]["duration"].attrs["measured_seconds"] == pytest.approx(sum(parts))
    assert any(not cell.replicates for cell in plan.cells)


def test_what_makes_no_sense_for_an_estimator_is_omitted_with_its_reason(tmp_path):
    extra = """
[[estimator]]
name = "turning"
model = { use = "sequence.orthogonal", gamma = 1.5, form = "matrix" }
optimizer = { use = "gradient-flow", times = [0.0, 1.0] }
"""
    smaller = ["replicates=2", "design.n={ values = [100] }", "design.modes=12"]
    tree = run(read_scenario(SCENARIO + extra, overrides=smaller), tmp_path)
    assert "eigenvector_overlap" in tree["turning"]
    assert "eigenvector_overlap" not in tree["flow"]
    assert "eigenvectors: sequence.diagonal has no eigenvectors" in tree["flow"].attrs["omitted"]
    with xr.open_datatree(tmp_path / "results.nc") as stored:
        assert stored["flow"].attrs["omitted"] == tree["flow"].attrs["omitted"]
