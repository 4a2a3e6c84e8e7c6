"""Intervals, best stopping times and slopes against closed forms, NumPy and simulation."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from testbed.analysis import (
    crossing_time,
    mean_interval,
    oracle,
    paired_difference,
    paired_ratio,
    slope,
    slope_difference,
    slope_ratio,
)
from testbed.analysis.stopping import end_note

RNG = np.random.Generator(np.random.Philox(5))


def risks(replicates=40, exponent=-0.5, noise=0.1):
    """A risk over (n, replicate, time) whose best time is known: bias e^{−t} plus variance t/n."""
    n, time = np.array([100.0, 200, 400, 800]), np.linspace(0.0, 8, 33)
    base = n[:, None] ** exponent * (1 + (time[None] - 4 - np.log2(n / 100)[:, None]) ** 2)
    factor = np.exp(noise * RNG.standard_normal((len(n), replicates, 1)))
    return xr.DataArray(
        base[:, None] * factor,
        {"n": n, "replicate": range(replicates), "time": time},
        ("n", "replicate", "time"),
        "risk",
        {"units": "m", "long_name": "risk"},
    )


def test_the_oracle_time_is_the_best_of_the_mean_and_knows_the_ends():
    risk = risks()
    best = oracle(risk)
    np.testing.assert_array_equal(best.time, [4, 5, 6, 7])
    assert not best.at_end.any()
    np.testing.assert_array_equal(best.value, risk.min("time"))
    cut = oracle(risk.sel(time=slice(0, 5)))
    assert cut.at_end.values.tolist() == [False, True, True, True]
    for end, bracketed in (([0.0, 1.0, 2.0], True), ([0.1, 1.0, 2.0], False)):
        rising = xr.DataArray([[1.0, 2.0, 3.0]], {"time": end}, ("replicate", "time"))
        assert bool(oracle(rising).at_end) != bracketed  # nothing comes before 0
    falling = xr.DataArray([[3.0, 2.0, 1.0]], {"time": [1.0, 2.0, np.inf]}, ("replicate", "time"))
    assert not bool(oracle(falling).at_end)  # nor after infinity


@pytest.mark.parametrize(
    ("times", "means", "fall", "note"),
    [
        ([1.0, 4.0, 16.0], [8.0, 4.0, 1.0], 0.5, "still falls by 50%"),  # two doublings: 1/4
        ([1.0, 4.0, 16.0], [1.0, 1.44, 3.0], 1 - 1 / 1.2, "still falls by 17%"),
        ([1.0, 2.0, 4.0], [3.0, 2.0, 1.999], 0.0005, "by less than 1%"),
        ([1.0, 2.0, 4.0], [3.0, 2.0, 2.5], 0.0, ""),
        ([1.0, 2.0, np.inf], [3.0, 2.0, 1.0], 0.0, ""),
    ],
)
def test_the_oracle_says_how_fast_means_still_fall_at_an_end(times, means, fall, note):
    best = oracle(xr.DataArray([means, means], {"time": times}, ("replicate", "time")))
    assert float(best.fall_at_end) == pytest.approx(fall)
    assert note in end_note(best) and bool(note) == bool(end_note(best))


def test_a_slope_is_the_least_squares_line_of_logarithms():
    risk = risks(exponent=-0.7)
    fit = slope(risk, "n")
    mean = risk.mean("replicate").min("time")
    expected = stats.linregress(np.log(risk["n"]), np.log(mean))
    np.testing.assert_allclose(fit.estimate, expected.slope)
    np.testing.assert_allclose(fit.intercept, expected.intercept)
    assert fit.lower < fit.estimate < fit.upper
    assert abs(float(fit.estimate) + 0.7) < 0.05


def test_points_without_values_are_left_out():
    """Cells that are theory's alone hold NaN: slopes are those of the others."""
    original = risks(noise=0.1)
    params = original.where(original["n"] < original["n"].values[-2])
    kept = original.isel(n=slice(None, -2))
    xr.testing.assert_allclose(slope(params, "n"), slope(kept, "n"))
    best = oracle(params)
    assert np.isnan(best.time.values[-2:]).all() and not best.at_end.values[-2:].any()
    np.testing.assert_array_equal(best.time.values[:-2], oracle(kept).time)
    alone = original.where(original["n"] == original["n"].values[0])
    assert np.isnan(slope(alone, "n").estimate)


def test_slope_intervals_cover():
    """Of 400 independent data sets with eight replicates the 95% interval misses 20 ± 4.4; three
    standard errors are allowed."""
    trials = xr.concat([risks(replicates=8, noise=0.3) for _ in range(400)], "trial")
    fit = slope(trials, "n")
    misses = int(((fit.lower > -0.5) | (fit.upper < -0.5)).sum())
    assert 6 <= misses <= 34


def test_a_jackknife_of_a_slope_is_the_refit_without_each_replicate():
    risk = risks(replicates=5, noise=0.5)
    fits = [float(slope(risk.drop_isel(replicate=r), "n").estimate) for r in range(5)]
    original = float(slope(risk, "n").estimate)
    error = np.sqrt(4 / 5 * np.sum((np.array(fits) - np.mean(fits)) ** 2))
    half = stats.t.ppf(0.975, 4) * error
    fit = slope(risk, "n")
    np.testing.assert_allclose([fit.lower, fit.upper], [original - half, original + half])


def test_differences_and_ratios_of_slopes_are_paired():
    risk = risks(replicates=8, noise=0.3)
    steeper = risk * risk["n"] ** -0.25
    difference = slope_difference(steeper, risk, "n")
    for part in (difference.lower, difference.estimate, difference.upper):
        np.testing.assert_allclose(part, -0.25)
    ratio = slope_ratio(steeper, risk, "n")
    alone = slope(risk, "n")
    assert ratio.lower < 1 + 0.25 / -alone.estimate < ratio.upper
    flat = slope_ratio(risk, risk * risk["n"] ** 0.5, "n")
    assert np.isnan(flat.lower) and "cannot be told from 0" in str(flat.reason.item())


def test_ratios_are_those_of_means_at_best_times():
    risk = risks(replicates=8)
    ratio = paired_ratio(risk * 3, risk, best=True)
    for part in (ratio.estimate, ratio.lower, ratio.upper):
        np.testing.assert_allclose(part, 3.0)
    cut = risk.isel(time=slice(0, 30))  # best times need no common grid
    np.testing.assert_allclose(paired_ratio(cut, risk, best=True).estimate, 1.0)


def test_units_and_long_names_stay_and_tables_are_saved(tmp_path):
    risk = risks(replicates=6)
    best = oracle(risk)
    assert best["estimate"].attrs == {"long_name": "risk at the best time", "units": "m"}
    assert slope(risk, "n")["estimate"].attrs["long_name"] == "slope of log risk against log n"
    for number, table in enumerate((best, slope(risk, "n"), mean_interval(risk))):
        table.to_netcdf(tmp_path / f"{number}.nc")
        back = xr.load_dataset(tmp_path / f"{number}.nc")
        xr.testing.assert_allclose(back.drop_vars("reason"), table.drop_vars("reason"))
        assert (back["reason"] == table["reason"]).all()


def test_slopes_are_taken_at_each_point_of_the_other_sweeps():
    both = xr.concat([risks(exponent=-0.5, noise=0), risks(exponent=-1.0, noise=0)], "depth")
    np.testing.assert_allclose(slope(both, "n").estimate, [-0.5, -1.0])


def test_differences_are_paired_and_need_equal_coordinates():
    first = risks(noise=1.0)
    interval = paired_difference(first + 1, first)
    np.testing.assert_allclose(interval.lower, 1)
    np.testing.assert_allclose(interval.upper, 1)
    second = first.assign_coords(gamma=2.0)  # what estimators differ in does not part them
    assert float(abs(paired_difference(first.assign_coords(gamma=1.0), second).estimate).max()) == 0
    with pytest.raises(ValueError, match="different coordinates along 'time'"):
        paired_difference(first, first.isel(time=slice(5)))


def test_crossing_times_are_interpolated_and_nan_where_there_is_none():
    time = [0.0, 1, 3]
    values = xr.DataArray(
        [[0.0, 0.25, 0.75], [0, 0.1, 0.2], [0.6, 0.7, 0.8]], {"time": time}, ("w", "time")
    )
    result = crossing_time(values, 0.5)
    np.testing.assert_allclose(result, [2.0, np.nan, 0.0])
