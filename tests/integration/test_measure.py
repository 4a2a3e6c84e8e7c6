"""Metrics are added to a run from its kept states, to the bit and without training."""

from __future__ import annotations

import numpy as np
import pytest

from testbed.errors import ResultError
from testbed.results.states import StateFolder
from testbed.runs import Options, execute_run
from testbed.runs.measuring import measure, measured
from tests.helpers.counting import SCENARIO, SIZE, Silent, edit, expect_same, run, scenario, trained

pytestmark = pytest.mark.usefixtures("counting")

# --- adding a metric ------------------------------------------------------------------------------


@pytest.mark.parametrize("executor", ["serial", "processes"])
def test_an_added_metric_is_measured_without_training_and_to_the_bit(tmp_path, executor):
    """`counting.size` reads parameters, `training-loss` predictions; the references train."""
    place = {"executor": executor, "workers": 1 if executor == "processes" else None}
    run(tmp_path / "kept", **place)
    assert trained(tmp_path) == 4  # two points, two blocks of replicates
    tree = measure(
        tmp_path / "kept", add=["counting.size", "training-loss"], **place, progress=False
    )
    assert trained(tmp_path) == 0
    more = f'{SIZE}[[metric]]\nuse = "training-loss"\n'
    full = execute_run(
        scenario(more, "compute.keep_states=false"), tmp_path / "full", Options(), Silent()
    )
    expect_same(tree["f"], full.tree["f"])


def test_a_plain_run_of_the_edited_scenario_uses_the_states_too(tmp_path):
    run(tmp_path / "kept")
    assert trained(tmp_path)
    outcome = run(tmp_path / "kept", SIZE)
    assert trained(tmp_path) == 0 and outcome.reused == 0
    assert (
        "4 cells are measured (counting_size) from kept states, without training"
        in (outcome.tree.attrs["notes"])
    )
    again = run(tmp_path / "kept", SIZE)
    assert trained(tmp_path) == 0 and again.reused == 4
    expect_same(outcome.tree["f"], again.tree["f"])


def test_only_the_metric_whose_code_has_changed_is_measured_again(tmp_path, counting):
    first = run(tmp_path / "kept", SIZE)
    assert trained(tmp_path) == 4
    edit(counting, "metric", "FACTOR = 1.0", "FACTOR = 3.0")
    tree = measure(tmp_path / "kept", progress=False)
    assert trained(tmp_path) == 0
    np.testing.assert_allclose(tree["f"]["counting_size"], 3 * first.tree["f"]["counting_size"])
    np.testing.assert_array_equal(tree["f"]["excess_risk"], first.tree["f"]["excess_risk"])


def test_states_of_other_code_are_refused_with_the_module_and_trained_again(tmp_path, counting):
    run(tmp_path / "kept")
    trained(tmp_path)
    edit(counting, "optimizer", "0.01 * gradient", "0.02 * gradient")
    with pytest.raises(ResultError, match=r"4: other code made .*testbed_counting.optimizer chan"):
        measure(tmp_path / "kept", add=["counting.size"], progress=False)
    assert (tmp_path / "kept" / "results.nc").exists()  # what was there stays
    outcome = run(tmp_path / "kept", SIZE)
    assert trained(tmp_path) == 4
    assert "4 cells are trained again: other code made" in outcome.tree.attrs["notes"]
    assert len(StateFolder(tmp_path / "kept").sizes()) == 4  # the new ones have taken their place
    measure(tmp_path / "kept", add=["training-loss"], progress=False)
    assert trained(tmp_path) == 0


def test_a_comment_leaves_kept_states_as_they_are(tmp_path, counting):
    run(tmp_path / "kept")
    trained(tmp_path)
    edit(counting, "optimizer", "    name = ", "    # as it was\n    name = ")
    measure(tmp_path / "kept", add=["counting.size"], progress=False)
    assert trained(tmp_path) == 0


def test_cells_without_kept_states_are_named_and_nothing_is_computed(tmp_path):
    run(tmp_path / "kept", "", "compute.keep_states=false")
    before = (tmp_path / "kept" / "results.nc").read_bytes()
    trained(tmp_path)
    with pytest.raises(
        ResultError, match=r"found 4 cells .*their states were not kept.*testbed run"
    ):
        measure(tmp_path / "kept", add=["counting.size"], progress=False)
    assert trained(tmp_path) == 0
    assert (tmp_path / "kept" / "results.nc").read_bytes() == before


def test_the_others_are_trained_by_a_run_which_measures_what_is_kept(tmp_path):
    run(tmp_path / "kept")
    trained(tmp_path)
    states = StateFolder(tmp_path / "kept")
    states.remove(sorted(states.sizes())[:1])
    outcome = run(tmp_path / "kept", SIZE)
    assert trained(tmp_path) == 1
    full = run(tmp_path / "full", SIZE, "compute.keep_states=false")
    expect_same(outcome.tree["f"], full.tree["f"])


def test_damaged_states_are_found_dropped_and_trained_again(tmp_path):
    run(tmp_path / "kept")
    trained(tmp_path)
    states = StateFolder(tmp_path / "kept")
    file = states.file(sorted(states.sizes())[0])
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 4
    file.write_bytes(content)
    with pytest.raises(ResultError, match="1: the file of their states was damaged"):
        measure(tmp_path / "kept", add=["counting.size"], progress=False)
    run(tmp_path / "kept", SIZE)
    assert trained(tmp_path) == 1


def test_a_companion_that_nobody_kept_is_trained_by_a_run_alone(tmp_path):
    """`measure` refuses it; a run trains the companion and not the cell, and keeps its states."""
    run(tmp_path / "kept")
    trained(tmp_path)
    more = '[[metric]]\nuse = "counting.distance"\n'
    with pytest.raises(ResultError, match="the states of their companion 'flow' were not kept"):
        measure(tmp_path / "kept", add=["counting.distance"], progress=False)
    outcome = run(tmp_path / "kept", more)
    assert trained(tmp_path) == 0
    assert len(StateFolder(tmp_path / "kept").sizes()) == 8
    expect_same(
        outcome.tree["f"], run(tmp_path / "full", more, "compute.keep_states=false").tree["f"]
    )
    trained(tmp_path)
    renamed = f'{more}name = "apart"\n'
    measure(tmp_path / "kept", scenario(renamed), progress=False)
    assert trained(tmp_path) == 0


def test_an_edited_copy_of_the_scenario_may_be_named(tmp_path):
    run(tmp_path / "kept")
    trained(tmp_path)
    file = tmp_path / "edited.toml"
    file.write_text(SCENARIO.replace("[compute]", f"{SIZE}[compute]"))
    tree = measure(tmp_path / "kept", file, progress=False)
    assert trained(tmp_path) == 0 and "counting_size" in tree["f"]


def test_failures_of_training_are_carried_over(tmp_path, monkeypatch):
    """A cell that failed stays failed; the others are measured."""
    from testbed_counting.optimizer import Counted

    advance = Counted.advance

    def fail(self, fit, carry, since, times):
        if float(fit.problem.noise) < 0.03:  # n = 50
            raise RuntimeError("no descent today")
        return advance(self, fit, carry, since, times)

    monkeypatch.setattr(Counted, "facts", lambda self: counted_facts())
    monkeypatch.setattr(Counted, "advance", fail)
    first = run(tmp_path / "kept")
    assert len(first.failed) == 3
    outcome = measured(
        tmp_path / "kept", None, ["counting.size"], Options(measure_only=True), Silent()
    )
    assert len(outcome.failed) == 3 and "no descent today" in outcome.failed[0][1]
    assert np.isfinite(outcome.tree["f"]["counting_size"].sel(n=20)).all()
    assert np.isnan(outcome.tree["f"]["counting_size"].sel(n=50)).all()


def counted_facts():
    from testbed import OptimizerFacts

    return OptimizerFacts(batching="loop")


# --- one metric that fails ------------------------------------------------------------------------

FAILING = f'{SIZE}fault = "raise"\n'
SPARSE = f'{SIZE}name = "other"\nfault = "sparse"\n'


@pytest.mark.parametrize("executor", ["serial", "processes"])
def test_metrics_that_fail_cost_themselves_in_runs_and_when_they_are_added(
    tmp_path, executor, invoke
):
    place = {"executor": executor, "workers": 1 if executor == "processes" else None}
    sound = run(tmp_path / "sound").tree["f"]
    more, only = FAILING + SPARSE, Options(measure_only=True, **place)
    for outcome in (
        run(tmp_path / "run", more, **place),
        measured(tmp_path / "sound", scenario(more), (), only, Silent()),
    ):
        dataset = outcome.tree["f"].to_dataset()
        np.testing.assert_array_equal(dataset["excess_risk"], sound["excess_risk"])
        np.testing.assert_array_equal(dataset["steps"], sound["steps"])
        for name in ("counting_size", "other"):
            assert name not in dataset
            assert all("counting.size" in str(text) for text in dataset[f"{name}__error"].values)
        assert (dataset["status"] == 0).all()
        assert len(outcome.failed) == 4 and "no size today" in outcome.failed[0][1]
    status = invoke("status", str(tmp_path / "run"))
    assert "failed" in status.output and "counting.size" in status.output


def test_a_metric_that_fails_is_named_in_the_summary_and_measured_alone_once_it_is_corrected(
    tmp_path, counting, invoke
):
    file = tmp_path / "kept.toml"
    file.write_text(SCENARIO.replace("[compute]", f"{FAILING}[compute]"))
    command = ["run", str(file), "-o", str(tmp_path / "kept"), "--no-figures"]
    done = invoke(*command)
    assert done.exit_code == 1
    assert "counting_size is missing: counting.size" in done.output
    assert trained(tmp_path) == 4
    edit(counting, "metric", 'RuntimeError("no size today")', 'RuntimeError("still none")')
    assert invoke("measure", str(tmp_path / "kept"), "--no-figures").exit_code == 1
    edit(counting, "metric", 'if self.fault == "raise"', "if False")
    done = invoke("measure", str(tmp_path / "kept"), "--no-figures")
    assert done.exit_code == 0, done.output
    assert trained(tmp_path) == 0
