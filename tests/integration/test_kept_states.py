"""Kept states are bounded, dropped, merged and pruned; the plan says how large they are."""

from __future__ import annotations

import pytest

from testbed.errors import ScenarioError
from testbed.results.states import StateFolder
from testbed.results.status import open_journal
from testbed.running.state_sizes import FILE, state_sizes
from testbed.runs import checked_plan
from testbed.runs.measuring import measure
from testbed.runs.merging import merge_runs
from tests.helpers.counting import SCENARIO, SIZE, expect_same, run, scenario, trained

pytestmark = pytest.mark.usefixtures("counting")

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
