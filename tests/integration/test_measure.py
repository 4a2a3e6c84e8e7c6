"""Metrics are added to a run from its kept states, to the bit and without training."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from testbed.errors import ResultError, ScenarioError
from testbed.loading import load_registry
from testbed.planning.files import read_scenario
from testbed.results.states import StateFolder
from testbed.results.status import open_journal
from testbed.running.state_sizes import FILE, state_sizes
from testbed.runs import Options, checked_plan, execute_run
from testbed.runs.measuring import measure, measured
from testbed.runs.merging import merge_runs

COUNTING = Path(__file__).parent / "counting"
SCENARIO = """
format = 1
name = "kept"
seed = 4
replicates = 3
[design]
use = "sequence.gaussian"
n = { values = [20, 50] }
modes = 12
[target]
use = "sequence.power"
p = 1.0
[[estimator]]
name = "f"
model = { use = "sequence.diagonal", gamma = 1.5, depth = 1 }
optimizer = { use = "counting.descent", times = [0.0, 0.5, 1.0, 2.0] }
[[metric]]
use = "excess-risk"
[compute]
block = 2
keep_states = true
"""
SIZE = '[[metric]]\nuse = "counting.size"\n'


@pytest.fixture(autouse=True)
def plugin(tmp_path, monkeypatch):
    """The counting plugin, as if it were installed; it may be edited."""
    shutil.copytree(COUNTING, tmp_path / "plugin")
    monkeypatch.syspath_prepend(tmp_path / "plugin")
    path = os.pathsep.join([str(tmp_path / "plugin"), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", path)  # for workers
    monkeypatch.setenv("TESTBED_COUNTED", str(tmp_path / "trained"))
    forget_plugin()
    yield tmp_path / "plugin" / "testbed_counting"
    forget_plugin()


def forget_plugin():
    for name in [name for name in sys.modules if name.startswith("testbed_counting")]:
        del sys.modules[name]
    load_registry.cache_clear()


def edit(plugin, module, before, after):
    """Change a line of the plugin, and load it anew."""
    file = plugin / f"{module}.py"
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after))
    forget_plugin()


class Silent:
    """A watcher that keeps what a run notes."""

    def __init__(self):
        self.notes = []

    def started(self, plan, missing):
        self.missing = missing

    def finished(self, cell, result):
        pass

    def noted(self, text):
        self.notes.append(text)


def scenario(more="", *overrides, text=SCENARIO):
    return read_scenario(text.replace("[compute]", f"{more}[compute]"), "kept.toml", overrides)


def trained(tmp_path):
    """The number of trainings since the last call."""
    file = tmp_path / "trained"
    count = len(file.read_text().splitlines()) if file.exists() else 0
    file.unlink(missing_ok=True)
    return count


def run(folder, more="", *overrides, **options):
    watcher = Silent()
    outcome = execute_run(scenario(more, *overrides), folder, Options(**options), watcher)
    outcome.tree.attrs["notes"] = "\n".join(watcher.notes)
    return outcome


def expect_same(first, second):
    """Every number is the same to the bit, but for durations."""
    assert set(first.data_vars) == set(second.data_vars)
    for name in set(first.data_vars) - {"duration"}:
        np.testing.assert_array_equal(first[name], second[name], err_msg=str(name))


# --- adding a metric ------------------------------------------------------------------------------


@pytest.mark.parametrize("executor", ["serial", "processes"])
def test_an_added_metric_is_measured_without_training_and_to_the_bit(tmp_path, executor):
    """`counting.size` reads parameters, `training-loss` predictions; the references train."""
    place = {"executor": executor, "workers": 2 if executor == "processes" else None}
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


def test_only_the_metric_whose_code_has_changed_is_measured_again(tmp_path, plugin):
    first = run(tmp_path / "kept", SIZE)
    assert trained(tmp_path) == 4
    edit(plugin, "metric", "FACTOR = 1.0", "FACTOR = 3.0")
    tree = measure(tmp_path / "kept", progress=False)
    assert trained(tmp_path) == 0
    np.testing.assert_allclose(tree["f"]["counting_size"], 3 * first.tree["f"]["counting_size"])
    np.testing.assert_array_equal(tree["f"]["excess_risk"], first.tree["f"]["excess_risk"])


def test_states_of_other_code_are_refused_with_the_module_and_trained_again(tmp_path, plugin):
    run(tmp_path / "kept")
    trained(tmp_path)
    edit(plugin, "optimizer", "0.01 * gradient", "0.02 * gradient")
    with pytest.raises(ResultError, match=r"4: other code made .*testbed_counting.optimizer chan"):
        measure(tmp_path / "kept", add=["counting.size"], progress=False)
    assert (tmp_path / "kept" / "results.nc").exists()  # what was there stays
    outcome = run(tmp_path / "kept", SIZE)
    assert trained(tmp_path) == 4
    assert "4 cells are trained again: other code made" in outcome.tree.attrs["notes"]
    assert len(StateFolder(tmp_path / "kept").sizes()) == 4  # the new ones have taken their place
    measure(tmp_path / "kept", add=["training-loss"], progress=False)
    assert trained(tmp_path) == 0


def test_a_comment_leaves_kept_states_as_they_are(tmp_path, plugin):
    run(tmp_path / "kept")
    trained(tmp_path)
    edit(plugin, "optimizer", "    name = ", "    # as it was\n    name = ")
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
    tmp_path, plugin, invoke
):
    file = tmp_path / "kept.toml"
    file.write_text(SCENARIO.replace("[compute]", f"{FAILING}[compute]"))
    command = ["run", str(file), "-o", str(tmp_path / "kept"), "--no-figures"]
    done = invoke(*command)
    assert done.exit_code == 1
    assert "counting_size is missing: counting.size" in done.output
    assert trained(tmp_path) == 4
    edit(plugin, "metric", 'RuntimeError("no size today")', 'RuntimeError("still none")')
    assert invoke("measure", str(tmp_path / "kept"), "--no-figures").exit_code == 1
    edit(plugin, "metric", 'if self.fault == "raise"', "if False")
    done = invoke("measure", str(tmp_path / "kept"), "--no-figures")
    assert done.exit_code == 0, done.output
    assert trained(tmp_path) == 0


# --- bounds, and what is said ---------------------------------------------------------------------


def test_the_plan_says_how_large_the_states_are_and_the_run_agrees(tmp_path, invoke):
    plan = checked_plan(scenario("", "design.modes=2000"))
    run(tmp_path / "kept", "", "design.modes=2000")
    arrays = 2 * 3 * 4 * 3 * 2000 * 8  # points, replicates, times, (a, b, beta), modes
    assert arrays < plan.states < arrays + 4 * 2**16
    assert arrays < StateFolder(tmp_path / "kept").bytes <= plan.states
    file = tmp_path / "kept.toml"
    file.write_text(SCENARIO)
    text = invoke("plan", str(file)).output
    assert "states: 0.1 MiB of at most 2 GiB, kept for metrics" in text
    assert "states: kept for 4 of 4 cells" in invoke("status", str(tmp_path / "kept")).output


def test_states_above_the_bound_are_refused_with_the_remedy():
    with pytest.raises(ScenarioError, match=r"MiB of states to keep; expected at most 1\.0.*thin"):
        checked_plan(scenario("", "compute.states=0.001", "design.modes=2000"))
    with pytest.raises(ScenarioError, match=r"a cell with .* the memory of a cell"):
        checked_plan(scenario("", "compute.memory=0.0001", "design.modes=2000"))


def test_a_run_refuses_them_too_and_one_with_nothing_to_do_does_not_look(tmp_path, monkeypatch):
    with pytest.raises(ScenarioError, match="MiB of states to keep"):
        run(tmp_path / "kept", "", "compute.states=0.001", "design.modes=2000")
    run(tmp_path / "kept")
    monkeypatch.setattr("testbed.runs.keeping.state_sizes", None)
    assert run(tmp_path / "kept").reused == 4


def test_sizes_are_bounded_above_where_starting_all_cells_takes_long():
    """Ten sizes of samples: the largest is started, in no time, and none is underestimated."""
    text = SCENARIO.replace("[20, 50]", str([*range(20, 30)])).replace("modes = 12", "dim = 3")
    text = text.replace('"sequence.gaussian"', '"gaussian"').replace('"sequence.power"', '"linear"')
    text = text.replace("p = 1.0\n", "").replace(
        '"sequence.diagonal", gamma = 1.5, depth = 1', '"ntk.rbf"'
    )
    cells = checked_plan(scenario(text=text.replace('"counting.descent"', '"gradient-flow"'))).cells
    exact, bounded = state_sizes(cells, 1e9), state_sizes(cells, 0.0)
    arrays = 8 * 3 * 4 * sum(range(20, 30))
    assert exact.total - len(cells) * FILE == arrays
    assert bounded.total - len(cells) * FILE == 8 * 3 * 4 * 29 * 10
    assert exact.largest == bounded.largest


def test_fitted_objects_of_other_libraries_are_refused_with_the_reason():
    forest = 'model = { use = "random-forest" }\noptimizer = { use = "fit" }'
    text = SCENARIO.replace('use = "sequence.gaussian"', 'use = "gaussian"\ndim = 3')
    text = text.replace("modes = 12\n", "").replace(
        'use = "sequence.power"\np = 1.0', 'use = "linear"'
    )
    start = text.index("model = ")
    end = text.index("[[metric]]")
    text = f"{text[:start]}{forest}\n{text[end:]}"
    with pytest.raises(
        ScenarioError, match=r"estimator\[0\].*cannot be kept.*RandomForestRegressor"
    ):
        checked_plan(scenario(text=text))


def test_states_that_no_cell_uses_make_room(tmp_path):
    run(tmp_path / "kept", "", "design.modes=500", "compute.states=0.0006")
    before = set(StateFolder(tmp_path / "kept").sizes())
    outcome = run(tmp_path / "kept", "", "design.modes=501", "compute.states=0.0006")
    after = StateFolder(tmp_path / "kept")
    assert len(after.sizes()) >= 4 and not before <= set(after.sizes())
    assert after.bytes <= 0.0006 * 2**30
    assert "not kept" not in outcome.tree.attrs["notes"]


# --- folders --------------------------------------------------------------------------------------


def test_fresh_runs_use_no_kept_states(tmp_path):
    run(tmp_path / "kept")
    trained(tmp_path)
    run(tmp_path / "kept", SIZE, fresh=True)
    assert trained(tmp_path) == 4


def test_merged_folders_bring_their_states(tmp_path):
    run(tmp_path / "one", "", "design.n={ values = [20] }")
    run(tmp_path / "two", "", "design.n={ values = [50] }")
    trained(tmp_path)
    merge_runs([tmp_path / "one", tmp_path / "two"], tmp_path / "both")
    tree = measure(tmp_path / "both", add=["counting.size"], progress=False)
    assert trained(tmp_path) == 0
    expect_same(tree["f"], run(tmp_path / "full", SIZE).tree["f"])


def test_prune_drops_states_that_the_scenario_does_not_know(tmp_path, invoke):
    run(tmp_path / "kept", "", "design.n={ values = [20, 50, 80] }")
    run(tmp_path / "kept")
    assert len(StateFolder(tmp_path / "kept").sizes()) == 6
    assert invoke("prune", str(tmp_path / "kept")).exit_code == 0
    assert len(StateFolder(tmp_path / "kept").sizes()) == 4
    trained(tmp_path)
    measure(tmp_path / "kept", add=["counting.size"], progress=False)
    assert trained(tmp_path) == 0


def test_a_run_stopped_between_states_and_journal_measures_what_it_finds(tmp_path, monkeypatch):
    """The states of a cell are written before its row: a kill in between loses no training."""
    from testbed.results.store import RunFolder

    def die(self, result, origin=None):
        raise KeyboardInterrupt

    monkeypatch.setattr(RunFolder, "add", die)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "kept")
    monkeypatch.undo()
    monkeypatch.setenv("TESTBED_COUNTED", str(tmp_path / "trained"))
    assert trained(tmp_path) == 1
    monkeypatch.syspath_prepend(tmp_path / "plugin")
    outcome = run(tmp_path / "kept")
    assert trained(tmp_path) == 3
    assert len(list(open_journal(tmp_path / "kept").cell_keys())) == 4
    expect_same(outcome.tree["f"], run(tmp_path / "full").tree["f"])
