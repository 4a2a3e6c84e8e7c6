"""Kernels that learn their eigenvalues, their sequence twins, and where learning helps."""

from __future__ import annotations

import numpy as np
import xarray as xr
from rows import Row, at_least, at_most, between, near

from testbed.analysis import mean_interval, oracle, paired_difference, slope

SEQ = "arXiv:2409.00894, Figure 5; noise and eigenvalues ours"
BN = "ours, after arXiv:2412.18756, open question 1"
MAP = "ours, after arXiv:2412.18756, open question 3"


def adaptive_kernel(tree: xr.DataTree) -> list[Row]:
    """The published contrast: slopes, and paired differences at every n."""
    fixed, learned = (tree[name].to_dataset()["excess_risk"] for name in ("fixed", "learned"))
    fit = slope(fixed, "n")
    limits, steepest = between(fit.lower, fit.upper), float(fit.lower)
    rows = [
        near(
            "fixed: slope of the best risk", SEQ, float(fit.estimate), -0.31, 0.05, interval=limits
        )
    ]
    for depth in learned["depth"].values:
        own = learned.sel(depth=depth)
        fit = slope(own, "n")
        claim = (
            f"learned, D = {depth}: upper limit of the slope (published about −0.65), below fixed"
        )
        found = f"({float(fit.estimate):.2f} {between(fit.lower, fit.upper)})"
        rows.append(at_most(claim, SEQ, float(fit.upper), steepest, interval=found))
        gain = paired_difference(oracle(own).value, oracle(fixed).value)
        claim = f"learned, D = {depth}, minus fixed: largest upper limit of the paired difference"
        rows.append(at_most(claim, SEQ, float(gain.upper.max()), 0.0))
    return rows


def equivalence(tree: xr.DataTree) -> list[Row]:
    """The distance of the paths falls with n at fixed dimension."""
    gap = tree["learned"].to_dataset()["largest_path_gap"]
    fit = slope(gap, "n")
    rows = []
    for modes in gap["modes"].values:
        for depth in gap["depth"].values:
            low, mid, high = (
                float(part.sel(modes=modes, depth=depth))
                for part in (fit.lower, fit.estimate, fit.upper)
            )
            claim = (
                f"{modes} functions, D = {depth}: slope in n of the largest path gap, upper limit"
            )
            rows.append(
                at_most(claim, BN, high, -0.4, interval=f"({mid:.2f} {between(low, high)})")
            )
    return rows


def equivalence_growing(tree: xr.DataTree) -> list[Row]:
    """With n = d^γ the distance falls for γ = 2.5, and does not for γ = 1.5."""
    gap = tree["learned"].to_dataset()["largest_path_gap"]
    fit = slope(gap, "dim")
    rows = []
    for depth in gap["depth"].values:
        low, high = (
            float(part.sel(depth=depth, growth=growth)) / growth
            for part, growth in ((fit.lower, 1.5), (fit.upper, 2.5))
        )
        claim = f"D = {depth}, n = d^1.5: slope in n of the largest path gap, lower limit"
        rows.append(at_least(claim, BN, low, 0.0))
        claim = f"D = {depth}, n = d^2.5: slope in n of the largest path gap, upper limit"
        rows.append(at_most(claim, BN, high, 0.0))
    return rows


def overparameterization_map(tree: xr.DataTree) -> list[Row]:
    """Expected gains on the whole grid, confirmed on the simulated cells."""
    fixed, learned = (tree[name].to_dataset() for name in ("fixed", "learned"))
    expected = [data["excess_risk__expected_risk"].min("time") for data in (fixed, learned)]
    gain = np.log(expected[0] / expected[1])  # above 0: learning helps
    best = [oracle(data["excess_risk"]).value for data in (fixed, learned)]
    found = mean_interval(np.log(best[0]) - np.log(best[1]), positive=False)
    sure = ((found.lower > 0) & (gain < 0)) | ((found.upper < 0) & (gain > 0))
    simulated = found.estimate.notnull()
    return [
        at_least("share of the grid's points that are simulated", MAP,
                 float(simulated.mean()), 0.1),
        at_most("simulated points whose interval contradicts the expected sign", MAP,
                float(sure.sum()), 1),
        at_least("q ≥ 2: share of points where learning helps", MAP,
                 float((gain.sel(q=slice(1.9, None)) > 0).mean()), 1.0),
        at_most("q = 1: share of points where learning helps", MAP,
                float((gain.sel(q=1.0) > 0).mean()), 0.2),
    ]  # fmt: skip
