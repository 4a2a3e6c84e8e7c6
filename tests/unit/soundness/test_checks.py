"""Each check on results made by hand: where it fires, where it stays quiet, what it says."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from testbed.planning.files import read_scenario
from testbed.runs import run
from testbed.soundness import CHECKS, read_findings
from tests.helpers.findings import INSIDE, SCENARIO, TIMES, fired, group, only

# --- best times -----------------------------------------------------------------------------------


def test_a_best_time_at_the_end_is_found_with_its_fall_per_doubling():
    finding = only("unbracketed", excess_risk=("time", [1.0, 0.8, 0.6, 0.5, 0.4, 0.3]))
    assert (
        "last time τ = 16" in finding.observation
        and "falls by 25% as τ doubles" in finding.observation
    )
    assert "end later" in finding.advice
    early = group(excess_risk=("time", [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]))
    (finding,) = fired("unbracketed", main=early.isel(time=slice(1, None)))
    assert (
        "first time τ = 1," in finding.observation
        and "falls by 33% as τ halves" in finding.observation
    )


@pytest.mark.parametrize(
    "risk",
    [
        INSIDE,
        [1.0, 0.5, 0.3, 0.2500, 0.2499, 0.2498],  # has come to rest
        [0.1, 0.2, 0.3, 0.4, 0.5, 0.6],  # best at τ = 0, before which there is nothing
        [1.0, 1e-3, 1e-6, 1e-9, 1e-12, 1e-16],  # nothing left but rounding
    ],
)
def test_a_best_time_inside_or_without_beyond_is_sound(risk):
    assert fired("unbracketed", main=group(excess_risk=("time", risk))) == []


def test_points_are_counted_and_the_worst_is_named():
    risk = [INSIDE, [1.0, 0.8, 0.7, 0.6, 0.5, 0.45], [1.0, 0.8, 0.6, 0.5, 0.4, 0.2]]
    finding = only("unbracketed", excess_risk=(("n", "time"), risk))
    assert (finding.cell, finding.points, finding.judged) == ("n=400", 2, 3)


def test_points_that_are_not_simulated_are_judged_by_theory():
    dataset = group(excess_risk=(("n", "time"), [INSIDE, [np.nan] * 6]))
    theory = xr.DataArray([INSIDE, [1.0, 0.8, 0.6, 0.5, 0.4, 0.3]], dims=("n", "time"))
    dataset["excess_risk__expected_risk"] = theory.assign_attrs(predicts="excess_risk")
    (finding,) = fired("unbracketed", main=dataset)
    assert (finding.cell, finding.points, finding.judged) == ("n=200", 1, 2)


def test_overfitting_needs_a_risk_that_doubles_and_a_loss_that_falls():
    falling = ("time", [1.0, 0.5, 0.3, 0.2, 0.1, 0.05])
    finding = only("overfitting", excess_risk=("time", INSIDE), training_loss=falling)
    assert finding.severity == "note"
    assert "minimum 0.1 at τ = 4" in finding.observation and "3-fold" in finding.observation
    mild = ("time", [1.0, 0.5, 0.2, 0.1, 0.12, 0.15])
    assert fired("overfitting", main=group(excess_risk=mild, training_loss=falling)) == []
    rising = ("time", [1.0, 0.5, 0.3, 0.2, 0.3, 0.4])
    assert (
        fired("overfitting", main=group(excess_risk=("time", INSIDE), training_loss=rising)) == []
    )
    assert fired("overfitting", main=group(excess_risk=("time", INSIDE))) == []


# --- failure and divergence -----------------------------------------------------------------------


def test_failed_replicates_are_counted_and_their_error_is_quoted():
    words = [["", ""], ["", "wrong: b"], ["", ""]]
    dataset = group(replicates=2, excess_risk=(("n", "time"), [INSIDE] * 3))
    dataset["error"] = (("n", "replicate"), np.array(words, dtype=object))
    (finding,) = fired("failure", main=dataset)
    assert (finding.severity, finding.cell) == ("problem", "n=200")
    assert (finding.points, finding.judged) == (1, 3)
    assert finding.observation == "1 of 2 replicates failed, the first with: wrong: b"
    dataset["error"] = dataset["error"].copy(data=np.full((3, 2), "", dtype=object))
    assert fired("failure", main=dataset) == []


FAULTY_DATA = """
format = 1
name = "faulty-data"
replicates = 2
[design]
use = "dataset"
data = "file"
path = "PATH"
standardise = false
n = { values = [4, 5] }
n_test = 2
[target]
use = "labels"
[[estimator]]
name = "fixed"
model = { use = "ntk.polynomial", degree = 4 }
optimizer = { use = "gradient-flow", times = { geom = [1.0, 300.0, 30] } }
[[metric]]
use = "test-error"
"""


def test_a_run_whose_cells_fail_is_not_found_sound(tmp_path):
    """Powers of large inputs overflow, which only a cell can see."""
    x = 1e100 * np.vander(np.linspace(0.1, 1, 7), 2)
    np.savez(tmp_path / "data.npz", x=x, y=np.linspace(-1, 1, 7))
    text = FAULTY_DATA.replace("PATH", str(tmp_path / "data.npz"))
    tree = run(read_scenario(text), tmp_path / "run")
    (finding,) = read_findings(tree)
    assert (finding.check, finding.estimator, finding.points) == ("failure", "fixed", 2)
    assert str(tree["fixed"]["error"].values[0, 0]) in finding.observation


def test_diverged_replicates_are_counted_and_do_not_disturb_the_other_checks():
    dataset = group(status=[2, 2, 0, 0, 0, 0, 0, 0], excess_risk=("time", INSIDE))
    dataset["diverged_at"] = ("replicate", [8.0, 4.0, *[np.nan] * 6])
    (finding,) = fired("divergence", main=dataset)
    assert finding.severity == "problem"
    assert finding.observation == "2 of 8 replicates diverged, from τ = 4 on"
    assert finding.advice.startswith("lower the step size, or end `times` earlier;")
    dataset["excess_risk"] = dataset["excess_risk"].where(dataset["replicate"] > 1, 1e30)
    assert fired("unbracketed", main=dataset) == [] and fired("wide-mean", main=dataset) == []


def test_a_flow_that_spent_its_evaluations_has_no_step_size_to_lower(tmp_path):
    overrides = [
        "replicates=2",
        "estimator.fixed.optimizer.method=numeric",
        "estimator.fixed.optimizer.max_evaluations=20",
    ]
    tree = run(read_scenario(SCENARIO, overrides=overrides), tmp_path)
    spent = [finding for finding in read_findings(tree) if finding.check == "divergence"]
    assert [item.estimator for item in spent] == ["fixed"]
    assert "used up `max_evaluations`: end `times` earlier, or raise it" in spent[0].advice


def test_where_all_have_diverged_every_check_is_still_made():
    dataset = group(
        status=2,
        excess_risk=(("n", "time"), [INSIDE] * 3),
        training_loss=(("n", "time"), [INSIDE] * 3),
        eigenvalue=(("n", "time", "mode"), np.ones((3, 6, 2))),
        top_projection=(("n", "time", "replicate", "k"), np.zeros((3, 6, 8, 2))),
    )
    assert [finding.check for name in CHECKS for finding in fired(name, main=dataset)] == [
        "divergence"
    ]


def test_a_loss_that_climbs_is_divergence_and_rounding_is_not():
    climbing = [1.0, 0.5, 0.7, 0.9, 2.0, 4.0]
    assert "rises from 1 to 4" in only("divergence", training_loss=("time", climbing)).observation
    for loss in ([1.0, 0.1, 0.2, 0.4, 0.6, 0.9], [1e-31, *[1e-30] * 5]):
        assert fired("divergence", main=group(training_loss=("time", loss))) == []


# --- times ----------------------------------------------------------------------------------------


def stopping(*steps: float, by_replicate=True) -> xr.Dataset:
    """Four replicates at three points, whose steps are those given at the second."""
    dataset = group(replicates=4, excess_risk=(("n", "time"), [INSIDE] * 3))
    length = np.full((3, 4, 1), 0.01)
    length[1, : len(steps), 0] = steps
    reached = np.round(TIMES / length) * length
    if not by_replicate:
        reached = reached[0, 0]
    return dataset.assign_coords(
        time_reached=(("n", "replicate", "time") if by_replicate else ("time",), reached)
    )


def test_replicates_that_stop_far_from_the_times_asked_are_found():
    assert fired("times", main=stopping()) == []
    assert fired("times", main=stopping(3.0, by_replicate=False)) == []  # a plan has looked at it
    assert fired("times", main=group(excess_risk=("time", INSIDE))) == []
    (finding,) = fired("times", main=stopping(0.01, 0.3))  # 0.9 for 1
    assert (finding.severity, finding.cell, finding.points) == ("warning", "n=200", 1)
    assert finding.observation == "whole steps stop at τ = 0.9 for τ = 1 in replicate 1"
    moved, same = fired("times", main=stopping(0.01, 0.01, 3.5))
    assert (
        "stop at τ = 0 for τ = 1 in replicate 2" in moved.observation
        and "never" not in moved.observation
    )
    assert "τ = 0 and 1 fall on one step, at 0, in replicate 2" in same.observation


def test_replicates_that_never_take_a_step_are_named():
    (finding,) = fired("times", main=stopping(40.0, 0.01, 50.0))
    assert finding.observation.endswith("; replicates 0, 2 never take a step")
    (finding,) = fired("times", main=stopping(40.0))
    assert finding.observation.endswith("; replicate 0 never takes a step")
    gone = stopping(40.0)
    gone["time_reached"] = gone["time_reached"].where(gone["n"] != 200)  # failed, nothing is known
    assert fired("times", main=gone) == []


# --- Monte Carlo ----------------------------------------------------------------------------------


def scattered(seed: int, spread: float, level: float = 1.0, replicates: int = 8) -> xr.Dataset:
    """Risks that fall like n^−1/2, with independent errors of the given relative size."""
    rng = np.random.Generator(np.random.Philox(seed))
    n = np.array([100, 200, 400, 800])
    path = np.array([4.0, 2.0, 1.0, 1.5])
    error = np.exp(spread * rng.standard_normal((4, replicates, 1)))
    risk = level * n[:, None, None] ** -0.5 * error * path
    dims = ("n", "replicate", "time")
    status = ("replicate", np.zeros(replicates))
    coordinates = {"n": n, "time": TIMES[:4]}
    return xr.Dataset({"excess_risk": (dims, risk), "status": status}, coords=coordinates)


def test_intervals_are_wide_where_replicates_scatter_and_only_there():
    for check in ("wide-mean", "wide-slope"):
        assert fired(check, main=scattered(1, 0.05)) == []
        (finding,) = fired(check, main=scattered(1, 1.5))
        assert "replicates" in finding.advice and (
            "±" in finding.observation or "[" in finding.observation
        )
    (finding,) = fired("wide-mean", main=scattered(1, 0.05, replicates=1))
    assert finding.severity == "note" and "one replicate" in finding.observation


def test_a_slope_of_zero_with_a_narrow_interval_is_sound():
    flat = group(excess_risk=(("n", "time"), [INSIDE] * 4))
    assert fired("wide-slope", main=flat) == []


def test_differences_are_undecided_only_where_their_intervals_are_wide_and_hold_zero():
    first, same = scattered(2, 1.0), scattered(3, 1.0)
    (finding,) = fired("undecided", one=first, same=same)
    assert finding.estimator == "same" and "difference to one" in finding.observation
    assert fired("undecided", one=scattered(2, 0.02), same=scattered(3, 0.02)) == []  # both equal
    assert fired("undecided", one=scattered(2, 0.3), far=scattered(3, 0.3, level=10.0)) == []
    second = first.assign_coords(n=[1, 2, 3, 4])
    assert fired("undecided", one=first, other=second) == []  # nothing to subtract


def test_one_finding_for_all_the_estimators_before():
    groups = {f"e{seed}": scattered(seed, 1.0) for seed in range(4)}
    assert [item.estimator for item in fired("undecided", **groups)] == ["e1", "e2", "e3"]


# --- features -------------------------------------------------------------------------------------


def test_dead_and_shrunken_eigenvalues_are_collapse():
    shape = (("time", "mode"), np.full((6, 3), 1e-6))
    finding = only("collapse", eigenvalue=shape)
    assert "largest learned eigenvalue is 1e-06" in finding.observation
    shrunk = np.outer([1.0, 0.5, 0.1, 0.05, 0.01, 9e-4], [1e3, 1.0, 0.1])
    assert (
        "0.9 (1e+03 at the start)"
        in only("collapse", eigenvalue=(("time", "mode"), shrunk)).observation
    )
    alive = np.outer([1.0, 0.5, 0.1, 0.05, 0.02, 0.01], [1.0, 0.0, 0.0])
    assert fired("collapse", main=group(eigenvalue=(("time", "mode"), alive))) == []


def test_training_that_changes_nothing_is_found_without_eigenvalues():
    still = [0.7] * 6
    finding = only("collapse", training_loss=("time", still), excess_risk=("time", INSIDE))
    assert "the training loss stays at 0.7 from τ = 0 to τ = 16" in finding.observation
    assert finding.severity == "warning" and finding.variable == "training_loss"
    late = group(excess_risk=("time", still)).isel(time=slice(2, None))
    (note,) = fired("collapse", main=late)  # which may have converged before
    assert note.severity == "note" and "record time 0" in note.advice
    moving = [0.7, 0.7, 0.7, 0.7, 0.7, 0.6999]
    assert fired("collapse", main=group(excess_risk=("time", moving))) == []
    assert fired("collapse", main=group(training_loss=("time", [1e-30] * 6))) == []


def test_checks_know_what_rounding_is_in_single_precision():
    """Losses of 1e-12 beside risks of 1 are digits of double precision, and rounding of single."""
    loss = [1e-13, 2e-13, 3e-13, 5e-13, 9e-13, 2e-12]
    dataset = group(training_loss=("time", loss), excess_risk=("time", INSIDE))
    falling = group(excess_risk=("time", [1.0, 1e-3, 1e-6, 1e-8, 1e-9, 1e-10]))
    for dtype, count in (("float64", 1), ("float32", 0)):
        for check, data in (("divergence", dataset), ("unbracketed", falling)):
            tree = xr.DataTree.from_dict({"main": data})
            tree.attrs["dtype"] = dtype
            assert len(list(CHECKS[check](tree))) == count


def projection(*paths) -> xr.Dataset:
    """p_k of k = 5 and 10 along time, the same in all of 8 replicates."""
    values = np.repeat(np.array(paths).T[:, None, :], 8, axis=1)  # (time, replicate, k)
    return group(top_projection=(("time", "replicate", "k"), values))


def test_persistent_misalignment_is_a_hidden_truth_that_stays_hidden():
    hidden = [0.0, 0.0, 0.01, 0.0, 0.02, 0.01]
    (finding,) = fired("misalignment", main=projection([0.0] * 6, hidden))
    assert (
        "the 10 top eigenspaces hold 0 of the truth" in finding.observation
        and "0.02" in finding.observation
    )
    rises = [0.0, 0.0, 0.1, 0.3, 0.5, 0.7]
    aligned = [0.9, 0.9, 0.88, 0.85, 0.8, 0.8]
    for path in (rises, aligned):
        assert fired("misalignment", main=projection([0.0] * 6, path)) == []


def test_features_that_are_fixed_by_design_are_not_misaligned():
    assert fired("misalignment", main=projection([0.0] * 6, [0.1] * 6)) == []
    moving = projection([0.0] * 6, [0.1] * 6)
    moving["eigenvalue"] = (("time", "mode"), np.outer(np.arange(1.0, 7), [1.0]))
    assert len(fired("misalignment", main=moving)) == 1
