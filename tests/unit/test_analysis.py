"""Intervals, best stopping times and slopes against closed forms, NumPy and simulation."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from testbed.analysis.analysis import crossing_time, mean_interval, oracle, paired_difference, slope

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


def test_an_interval_is_students_and_leaves_nan_out():
    values = xr.DataArray(
        [[1.0, 2, 4, np.nan], [3.0, np.nan, np.nan, np.nan]], dims=("n", "replicate")
    )
    interval = mean_interval(values)
    low, high = stats.t.interval(0.95, 2, np.mean([1, 2, 4]), stats.sem([1, 2, 4]))
    np.testing.assert_allclose([interval.lower[0], interval.upper[0]], [low, high])
    assert interval.replicates.values.tolist() == [3, 1]
    assert interval.mean[1] == 3 and np.isnan(interval.lower[1])


def test_intervals_cover_as_often_as_they_say():
    """95% intervals of 2000 normal samples of size 8 miss 5% ± 1.5% (three standard errors)."""
    values = xr.DataArray(RNG.standard_normal((2000, 8)), dims=("n", "replicate"))
    interval = mean_interval(values)
    misses = float(((interval.lower > 0) | (interval.upper < 0)).mean())
    assert abs(misses - 0.05) < 0.015


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


def test_a_slope_is_the_least_squares_line_of_logarithms():
    risk = risks(exponent=-0.7)
    fit = slope(risk, "n")
    mean = risk.mean("replicate").min("time")
    expected = stats.linregress(np.log(risk["n"]), np.log(mean))
    np.testing.assert_allclose(fit.slope, expected.slope)
    np.testing.assert_allclose(fit.intercept, expected.intercept)
    assert fit.lower < fit.slope < fit.upper
    assert fit.slope.attrs == {} and abs(float(fit.slope) + 0.7) < 0.05


def test_points_without_values_are_left_out():
    """Cells that are theory's alone hold NaN: slopes are those of the others."""
    whole = risks(noise=0.1)
    some = whole.where(whole["n"] < whole["n"].values[-2])
    kept = whole.isel(n=slice(None, -2))
    for part, expected in zip(slope(some, "n"), slope(kept, "n"), strict=True):
        np.testing.assert_allclose(part, expected, rtol=1e-12)
    best = oracle(some)
    assert np.isnan(best.time.values[-2:]).all() and not best.at_end.values[-2:].any()
    np.testing.assert_array_equal(best.time.values[:-2], oracle(kept).time)
    alone = whole.where(whole["n"] == whole["n"].values[0])
    assert all(np.isnan(part) for part in slope(alone, "n"))


def test_slope_intervals_cover():
    """Of 100 independent data sets the 95% bootstrap interval misses at most 12 (P ≈ 0.2% if it
    covers as the percentile bootstrap of 40 replicates does, 93%)."""
    misses = 0
    for _ in range(100):
        fit = slope(risks(noise=0.3), "n")
        misses += not (float(fit.lower) <= -0.5 <= float(fit.upper))
    assert misses <= 16


def test_slopes_are_taken_at_each_point_of_the_other_sweeps():
    both = xr.concat([risks(exponent=-0.5, noise=0), risks(exponent=-1.0, noise=0)], "depth")
    np.testing.assert_allclose(slope(both, "n").slope, [-0.5, -1.0])


def test_differences_are_paired_and_need_equal_coordinates():
    one = risks(noise=1.0)
    interval = paired_difference(one + 1, one)
    np.testing.assert_allclose(interval.lower, 1)
    np.testing.assert_allclose(interval.upper, 1)
    other = one.assign_coords(gamma=2.0)  # what estimators differ in does not part them
    assert float(abs(paired_difference(one.assign_coords(gamma=1.0), other).mean).max()) == 0
    with pytest.raises(ValueError, match="different coordinates along 'time'"):
        paired_difference(one, one.isel(time=slice(5)))


def test_crossing_times_are_interpolated_and_nan_where_there_is_none():
    time = [0.0, 1, 3]
    values = xr.DataArray(
        [[0.0, 0.25, 0.75], [0, 0.1, 0.2], [0.6, 0.7, 0.8]], {"time": time}, ("w", "time")
    )
    found = crossing_time(values, 0.5)
    np.testing.assert_allclose(found, [2.0, np.nan, 0.0])
