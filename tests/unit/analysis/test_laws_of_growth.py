"""Exponents, limits, collapses, choices and crossings recover what samples were made from."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy.optimize import curve_fit

from testbed.analysis import (
    METHODS,
    at_time,
    best_parameter,
    collapse,
    crossing,
    crossing_time,
    exponent_gap,
    extrapolation,
    leave_one_out,
    local_exponents,
    mean_interval,
    oracle,
    quantiles,
    slope,
    slope_difference,
)
from testbed.analysis.extrapolations import RATES, fitted

SIZES = np.array([100.0, 200, 400, 800, 1600, 3200])


def sampled(mean, dims, coordinates, trials=200, replicates=8, noise=0.05, seed=0):
    """Replicates of a mean, each point with an independent factor, for many trials."""
    rng = np.random.Generator(np.random.Philox(seed))
    factor = 1 + noise * rng.standard_normal((trials, replicates, *np.shape(mean)))
    labels = ("trial", "replicate", *dims)
    attributes = {"long_name": "gap", "units": "m"}
    return xr.DataArray(mean * factor, coordinates, labels, "gap", attributes)


def covers(table: xr.Dataset, truth: float) -> float:
    return float(((table["lower"] <= truth) & (truth <= table["upper"])).mean())


def test_a_slope_is_refused_across_a_kink_and_seldom_elsewhere():
    """A bend is found at 1% by chance, and only where it is also large."""
    straight = sampled(SIZES**-0.5, ["n"], {"n": SIZES}, noise=0.2)
    assert float(slope(straight, "n")["refused"].mean()) <= 0.05
    kinked = np.where(SIZES < 500, SIZES**-0.2, 500**0.8 / SIZES)
    table = slope(sampled(kinked, ["n"], {"n": SIZES}), "n")
    assert table["refused"].all() and (table["bend"] < -0.5).all()
    assert "no power law" in str(table["reason"].values[0])
    difference = slope_difference(straight, sampled(kinked, ["n"], {"n": SIZES}), "n")
    assert "the second is no power law" in set(difference["reason"].values)


def test_local_exponents_are_those_of_neighbours():
    kinked = np.where(SIZES < 500, SIZES**-0.2, 400**0.8 / SIZES)
    table = local_exponents(sampled(kinked, ["n"], {"n": SIZES}, noise=1e-9), "n")
    expected = np.diff(np.log(kinked)) / np.diff(np.log(SIZES))
    np.testing.assert_allclose(table["estimate"].isel(trial=0), expected, atol=1e-6)
    np.testing.assert_allclose(table["n"], np.sqrt(SIZES[1:] * SIZES[:-1]))


def test_an_exponent_is_compared_with_its_theory():
    values = sampled(SIZES**-0.5, ["n"], {"n": SIZES})
    assert 0.9 < covers(exponent_gap(values, "n", -0.5), 0.0) <= 0.99
    assert covers(exponent_gap(values, "n", -0.7), 0.0) < 0.01


@pytest.mark.parametrize("rate", [None, 0.5])
def test_extrapolation_finds_the_limit_and_the_rate(rate):
    """200 trials: 95% ± 4.6% (three standard errors), and above where the rate is chosen."""
    values = sampled(1 + 30 * SIZES**-0.5, ["n"], {"n": SIZES}, noise=0.01)
    table = extrapolation(values, "n", rate=rate)
    assert covers(table, 1.0) > 0.9
    assert table["estimate"].attrs["units"] == "m"
    if rate is None:
        held = (table["rate_lower"] <= 0.5) & (table["rate_upper"] >= 0.5)
        assert float(held.mean()) > 0.9


def test_limit_and_rate_are_those_of_a_general_least_squares_routine():
    """Off any grid of rates, so that leaving a replicate out always moves them."""
    rng = np.random.Generator(np.random.Philox(5))
    means = (1 + 30 * SIZES**-0.6173) * (1 + 0.01 * rng.standard_normal((8, len(SIZES))))
    for mean, limit, rate in zip(means, *fitted(SIZES, means, RATES), strict=True):
        expected, _ = curve_fit(
            lambda n, level, factor, exponent: level + factor * n**-exponent,
            SIZES, mean, (1.0, 30.0, 0.6), sigma=mean, xtol=1e-13,
        )  # fmt: skip
        assert (limit, rate) == pytest.approx((expected[0], expected[2]), rel=1e-6)


def test_the_interval_of_a_limit_keeps_its_level_with_many_replicates():
    """1000 trials of 64 replicates with a chosen rate: 95% less three standard errors. Rates on a
    grid covered 92%."""
    sizes = np.array([1.0, 4, 16, 64, 256])
    values = sampled(1 + 1 / sizes, ["n"], {"n": sizes}, 1000, replicates=64, noise=0.015)
    assert covers(extrapolation(values, "n"), 1.0) >= 0.95 - 3 * np.sqrt(0.05 * 0.95 / 1000)


def test_a_collapse_finds_the_exponent_of_the_rescaling():
    time = np.geomspace(1, 1e4, 25)
    curve = 1 / (1 + time / SIZES[:3, None] ** 0.6)
    values = sampled(curve, ["n", "time"], {"n": SIZES[:3], "time": time}, trials=6, noise=0.02)
    table = collapse(values, "n")
    assert abs(float(table["estimate"].mean()) - 0.6) < 0.02
    assert covers(table, 0.6) >= 0.6 and (table["spread"] < 0.1).all()


def test_the_best_parameter_is_chosen_with_its_interval():
    ridge = np.geomspace(1e-3, 1e3, 7)
    mean = 1 + np.log10(ridge / 0.1) ** 2
    table = best_parameter(sampled(mean, ["ridge"], {"ridge": ridge}), "ridge")
    assert (table["parameter"] == pytest.approx(0.1)).all() and not table["at_end"].any()
    assert covers(table, 1.0) > 0.9


def test_leaving_one_out_chooses_each_replicates_time():
    time = np.array([1.0, 2.0, 4.0])
    risk = xr.DataArray([[3.0, 1, 2], [3, 1, 2], [3, 1, 2]], {"time": time}, ("replicate", "time"))
    estimated = xr.DataArray([[9.0, 1, 5], [9, 5, 1], [1, 5, 9]], risk.coords, risk.dims)
    table = leave_one_out(risk, estimated)
    assert table["time"].values.tolist() == [2.0, 4.0, 1.0]
    assert float(table["estimate"]) == 2.0


def test_crossings_of_means_and_of_paths_agree_without_noise():
    time = np.linspace(0, 10, 11)
    rising = xr.DataArray(
        (time / 4) * np.linspace(0.999, 1.001, 7)[:, None], {"time": time}, ("replicate", "time")
    )
    table = crossing(rising, 0.9)
    assert float(table["estimate"]) == pytest.approx(3.6, abs=1e-6)
    assert table["lower"] < 3.6 < table["upper"]
    np.testing.assert_allclose(crossing_time(rising, 0.9).mean(), 3.6, atol=1e-4)
    assert np.isnan(crossing(rising, 99.0)["estimate"])
    assert str(table["reason"].item()) == ""
    assert "already" in str(crossing(rising + 1.0, 0.9)["reason"].item())
    fallen = crossing(-np.exp(-rising), -0.5)  # where the mean of exp(−t/4) falls to a half
    assert float(fallen["estimate"]) == pytest.approx(4 * np.log(2), abs=0.03)


def test_accessors_have_the_functions_names_and_give_the_same():
    values = sampled(SIZES**-0.5, ["n"], {"n": SIZES}, trials=2)
    risk = (values / xr.DataArray([1.0, 2.0], {"time": [1.0, 2.0]}, ("time",))).rename("gap")
    status = xr.DataArray(np.zeros((6, 8), int), dims=("n", "replicate"))
    status[2, 3] = 2
    dataset = xr.Dataset({"gap": risk, "status": status})
    tree = xr.DataTree.from_dict({"/one": dataset, "/two": xr.Dataset({"other": status})})
    xr.testing.assert_identical(risk.testbed.slope("n"), slope(risk, "n"))
    xr.testing.assert_identical(risk.testbed.at_time(2.1), at_time(risk, 2.1))
    lost = dataset.testbed.oracle("gap")
    assert (
        lost["estimate"].isnull().any("trial").values.tolist() == [False] * 2 + [True] + [False] * 3
    )
    xr.testing.assert_identical(
        tree.testbed.mean_interval("gap")["one"].to_dataset(),
        mean_interval(dataset.testbed.simulated("gap")),
    )
    assert list(tree.testbed.oracle("gap").children) == ["one"]
    assert set(METHODS) <= set(dir(risk.testbed)) and "slope" in dir(tree.testbed)
    with pytest.raises(AttributeError, match="expected one of"):
        _ = risk.testbed.slop
    assert quantiles(risk, [0.1, 0.9]).attrs["units"] == "m"
    assert oracle(risk)["value"].attrs["units"] == "m"
