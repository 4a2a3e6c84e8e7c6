"""After divergence and with few replicates: what is left out, what is refused, and what is said."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from testbed.analysis import (
    mean_interval,
    oracle,
    paired_difference,
    paired_ratio,
    simulated,
    slope,
    slope_difference,
)

N, TIME = np.array([50.0, 100, 200, 400]), np.array([1.0, 2, 4, 8])
RNG = np.random.Generator(np.random.Philox(3))


def dataset(status=None, replicates=16) -> xr.Dataset:
    """Risks over (n, replicate, time) that are best at τ = 4; those lost explode before the end."""
    status = np.zeros((4, replicates), int) if status is None else status
    path = np.array([1.0, 0.5, 0.25, 0.5])
    risk = (N[:, None] ** -0.5 * (1 + 0.1 * RNG.random((4, replicates))))[..., None] * path
    risk[..., 3] = np.where(status == 2, np.nan, risk[..., 3])
    risk[..., 2] = np.where(status == 2, 1e217, risk[..., 2])
    risk = np.where((status == 4)[..., None], np.nan, risk)
    return xr.Dataset(
        {
            "excess_risk": (("n", "replicate", "time"), risk),
            "status": (("n", "replicate"), status),
        },
        {"n": N, "time": TIME},
    )


def diverged(*counts: int) -> np.ndarray:
    """Sixteen replicates at four points, so many of them diverged."""
    return np.array([[2] * count + [0] * (16 - count) for count in counts])


def test_a_point_that_lost_replicates_has_no_best_risk_unless_asked_for():
    risk = simulated(dataset(diverged(0, 14, 16, 0)), "excess_risk")
    best = oracle(risk)
    assert best["estimate"].notnull().values.tolist() == [True, False, False, True]
    assert best["time"].notnull().values.tolist() == [True, False, False, True]
    assert best["replicates"].values.tolist() == [16, 2, 0, 16]
    assert best["reason"].values.tolist() == [
        "",
        "2 of 16 replicates are left; 2 replicates, where an interval needs at least 3",
        "0 of 16 replicates are left",
        "",
    ]
    requested = oracle(risk, survivors=True)
    assert requested["estimate"].notnull().values.tolist() == [True, True, False, True]
    assert np.isnan(requested["lower"].values[1]) and "2 of 16" in str(
        requested["reason"].values[1]
    )


def test_values_before_divergence_are_never_averaged():
    """Nothing near 1e217 is printed, with or without the lost replicates."""
    risk = simulated(dataset(diverged(1, 5, 0, 0)), "excess_risk")
    for survivors in (False, True):
        assert float(oracle(risk, survivors=survivors)["estimate"].max()) < 1
        assert float(mean_interval(risk, survivors=survivors)["upper"].max()) < 1


def test_slopes_and_comparisons_refuse_lost_replicates_and_say_how_many_are_left():
    risk = simulated(dataset(diverged(0, 0, 3, 0)), "excess_risk")
    original = simulated(dataset(), "excess_risk")
    for table in (
        slope(risk, "n"),
        slope_difference(original, risk, "n"),
        paired_difference(original, risk, best=True).isel(n=2),
        paired_ratio(risk, original, best=True).isel(n=2),
        mean_interval(risk).isel(n=2, time=0),
    ):
        assert np.isnan(table["estimate"]) and np.isnan(table["lower"])
        assert str(table["reason"].item()) == "13 of 16 replicates are left"
    assert np.isfinite(slope(risk, "n", survivors=True)["lower"])


def test_points_that_theory_alone_speaks_of_are_left_out_without_complaint():
    status = diverged(0, 0, 0, 0)
    status[3] = 4
    table = slope(simulated(dataset(status), "excess_risk"), "n")
    assert float(table["estimate"]) == pytest.approx(-0.5, abs=0.1)
    assert str(table["reason"].item()) == "" and int(table["replicates"]) == 16
    assert str(oracle(simulated(dataset(status), "excess_risk"))["reason"].values[3]) == (
        "not simulated"
    )


def test_without_statuses_a_replicate_that_ends_early_is_lost():
    risk = dataset()["excess_risk"]
    risk[1, 0, 2:] = np.nan
    best = oracle(risk)
    assert best["estimate"].isnull().values.tolist() == [False, True, False, False]
    unmeasured = dataset()["excess_risk"].where(lambda risk: risk["time"] != 2)
    assert oracle(unmeasured)["estimate"].notnull().all()  # a time without values is not a loss


@pytest.mark.parametrize("count", [1, 2])
def test_one_or_two_replicates_have_no_interval_and_say_so(count):
    risk = dataset(replicates=count)["excess_risk"]
    for table in (slope(risk, "n"), oracle(risk), mean_interval(risk)):
        assert np.isfinite(table["estimate"]).all()
        assert np.isnan(table["lower"]).all() and np.isnan(table["upper"]).all()
        assert all("needs at least 3" in text for text in np.ravel(table["reason"].values))
        assert (table["replicates"] == count).all()


def test_skewness_that_makes_an_interval_unreliable_is_said():
    even, skewed = np.linspace(1, 2, 8), np.array([1.0, 1, 1, 1, 1, 1, 1, 50])
    values = xr.DataArray([even, skewed + 0.01 * even], dims=("n", "replicate"))
    for positive in (True, False):
        reason = mean_interval(values, positive=positive)["reason"].values
        assert reason[0] == "" and "skewness 2.8 of 8 replicates" in reason[1]


def test_values_without_a_mean_on_a_logarithmic_scale_are_said_to_be_undefined():
    values = dataset()["excess_risk"] - 1.0
    table = slope(values, "n")
    assert np.isnan(table["estimate"])
    assert str(table["reason"].item()) == "not defined for these values"
