"""What is published or derived about kernel regression, against runs of the shipped scenarios."""

from __future__ import annotations

import numpy as np
import xarray as xr
from rows import Row, at_least, at_most, between, exact, near

from testbed.analysis import oracle, paired_difference, slope
from testbed.results.groups import estimators

EIG, BARRIER = "ours, after arXiv:2110.03922", "ours, after arXiv:1904.12191"
PLATEAU, NTK = "ours, after arXiv:2401.01270", "ours, after arXiv:1806.07572"
GOLUB, BOOK = "ours, after Golub, Heath, Wahba 1979", "ours, after arXiv:2412.18756, §2"
FEATURES, DESCENT = "ours, after arXiv:2311.14646", "ours, after arXiv:1812.11118"
EQUIVALENT = "excess_risk__deterministic_equivalent"
TOLERANCE = 0.02  # what the deterministic equivalent is allowed beside the Monte Carlo interval


# --- learning curves ------------------------------------------------------------------------------


def kernel_learning_curve(tree: xr.DataTree) -> list[Row]:
    """The deterministic equivalent at every simulated point, and the estimates from the sample."""
    data = tree["ridge"].to_dataset().dropna("n", how="all", subset=["test_error"])
    risk = data["test_error"]
    error = risk.std("replicate", ddof=1) / np.sqrt(risk.sizes["replicate"])
    gap = risk.mean("replicate") / data["test_error__deterministic_equivalent"] - 1
    allowed = TOLERANCE + 2.1 * error / data["test_error__deterministic_equivalent"]
    inside = (np.abs(gap) <= allowed).sum("time")
    rows = [
        at_least(
            f"n = {int(n)}, σ = {noise:g}: ridges of {risk.sizes['time']} whose test error is "
            "within the interval + 2%", EIG, float(inside.sel(n=n, noise=noise)), 24,
        )
        for n in data["n"].values for noise in data["noise"].values
    ]  # fmt: skip
    return [*rows, *_chosen(data, "test_error")]


def _chosen(data: xr.Dataset, truth: str) -> list[Row]:
    """What is lost by stopping where leave-one-out or GCV is least, replicate by replicate."""
    rows = []
    for name in ("loo_risk", "gcv"):
        at = data[name].fillna(np.inf).argmin("time")
        ratio = (data[truth].isel(time=at) / data[truth].min("time")).median("replicate")
        claim = f"stopping by {name}: largest median {truth} over its least along the path"
        rows.append(at_most(claim, GOLUB, float(ratio.max()), 1.10))
    return rows


def double_descent(tree: xr.DataTree) -> list[Row]:
    """The equivalent at every width, and the peak that ridge takes away."""
    rows = []
    for name in ("no-ridge", "small-ridge", "large-ridge"):
        data = tree[name].to_dataset().isel(time=0)
        risk, theory = data["excess_risk"], data["excess_risk__random_feature_equivalent"]
        error = risk.std("replicate", ddof=1) / np.sqrt(risk.sizes["replicate"])
        gap = np.abs(risk.mean("replicate") - theory)
        inside = int((gap <= 0.1 * theory + 2.1 * error).sum())
        claim = f"{name}: widths of {risk.sizes['width']} whose risk is within the interval + 10%"
        rows.append(at_least(claim, FEATURES, inside, risk.sizes["width"]))
    mean = tree["no-ridge"].to_dataset()["excess_risk"].isel(time=0).mean("replicate")
    ridge = tree["large-ridge"].to_dataset()["excess_risk"].isel(time=0).mean("replicate")
    peak = float(mean.sel(width=[97, 103]).min())
    return [
        *rows,
        at_least("no ridge: least risk beside m = n over that at m = 800", DESCENT,
                 peak / float(mean.sel(width=800)), 5.0),
        at_least("no ridge: least risk beside m = n over that at m = 25", DESCENT,
                 peak / float(mean.sel(width=25)), 5.0),
        at_most("large ridge: largest rise between two widths, over the risk", "ours",
                float((ridge.diff("width") / ridge).max()), 0.02),
    ]  # fmt: skip


# --- exponents ------------------------------------------------------------------------------------


def saturation(tree: xr.DataTree) -> list[Row]:
    """Ridge's exponents by the deterministic equivalent, and simulated ridge against flow."""
    ridge = tree["ridge"].to_dataset()
    best = ridge[EQUIVALENT].min("time").isel(n=slice(-3, None))
    rows = []
    for s in ridge["smoothness"].values:
        y, x = np.log(best.sel(smoothness=s)), np.log(best["n"].astype(float))
        found, expected = (
            np.polyfit(x, y, 1)[0],
            float(ridge["risk_exponent__rates"].sel(smoothness=s).min()),
        )
        rows.append(near(f"ridge, s = {s:g}: exponent for n ≥ 4096", BOOK, found, expected, 0.02))
    for name in ("ridge", "iterated-ridge", "flow"):
        risk = tree[name].to_dataset()["excess_risk"].sel(smoothness=4.0)
        theory = tree[name].to_dataset()["risk_exponent__rates"].sel(smoothness=4.0)
        fit = slope(risk, "n")
        limits = between(fit.lower, fit.upper)
        claim = f"{name}, s = 4: slope of the best risk, n ≤ 1024"
        rows.append(
            near(claim, BOOK, float(fit.estimate), float(theory.min()), 0.08, interval=limits)
        )
    return [*rows, _widening(tree)]


def _widening(tree: xr.DataTree) -> Row:
    """Ridge over flow at s = 4 and the largest simulated n, at best times, paired."""
    one, other = (
        oracle(tree[name].to_dataset()["excess_risk"].sel(smoothness=4.0, n=1024)).value
        for name in ("ridge", "flow")
    )
    interval = paired_difference(np.log(one), np.log(other))
    claim = "s = 4, n = 1024: risk of ridge over flow, least of the paired interval"
    return at_least(claim, BOOK, float(np.exp(interval.lower)), 1.5)


def polynomial_barrier(tree: xr.DataTree) -> list[Row]:
    """Prediction against simulation in dimension 20, and against the barrier in dimension 10⁴."""
    data = tree["ridge"].to_dataset()
    least = data[EQUIVALENT].min("time")
    rows = []
    for gamma, level in ((1.5, 2 / 3), (2.5, 1 / 3)):
        found = float(least.sel(dim=10000).sel(gamma=gamma, method="nearest"))
        rows.append(
            near(f"d = 10⁴, n = d^{gamma:g}: best risk at the barrier", BARRIER, found, level, 0.02)
        )
    best = oracle(data["excess_risk"].sel(dim=20)).value.mean("replicate")
    gap = np.abs(best / least.sel(dim=20) - 1)
    claim = "d = 20: largest relative gap between simulated and predicted best risk"
    return [*rows, at_most(claim, EIG, float(gap.max()), 0.05)]


def periodic_plateau(tree: xr.DataTree) -> list[Row]:
    """Exponents in d between 10³ and 10⁴ by the deterministic equivalent of ridge."""
    data = tree["ridge"].to_dataset()
    least = np.log(data[EQUIVALENT].min("time"))
    found = (least.sel(dim=10000) - least.sel(dim=1000)) / np.log(10)
    limit = data["dimension_exponent__large_dimension"].sel(dim=10000)
    rows = []
    for s in data["smoothness"].values:
        gap = np.abs(found - limit).sel(smoothness=s, gamma=slice(0.9, None))
        claim = f"s = {s:g}, γ ≥ 1: largest gap of the exponent in d to its limit"
        rows.append(at_most(claim, PLATEAU, float(gap.max()), 0.15))
    inside = float(np.abs(found.sel(smoothness=0.5, gamma=1.0) + 0.5))
    rows.append(
        at_most(
            "s = 0.5: the first plateau's exponent 1/2, at γ = 1, is off by", PLATEAU, inside, 0.05
        )
    )
    share = float(_inside(data.sel(dim=20)).mean())
    claim = "d = 20: share of points simulated within the interval + 2% at the predicted best ridge"
    return [*rows, at_least(claim, EIG, share, 0.85), *_flow_beside_ridge(tree)]


def _flow_beside_ridge(tree: xr.DataTree) -> list[Row]:
    """Ridge attains the exponent of gradient flow up to s = 1, and saturates above."""
    best = [
        tree[name].to_dataset()["excess_risk"].sel(dim=20).mean("replicate").min("time")
        for name in ("ridge", "flow")
    ]
    ratio = best[0] / best[1]
    rough = float(abs(ratio.sel(smoothness=0.5) - 1).max())
    smooth = float(ratio.sel(smoothness=3.0, gamma=2.75))
    claim = "d = 20, s = 0.5: best risks of ridge and gradient flow differ at most, relatively, by"
    above = "d = 20, n = 3783, s = 3: best risk of ridge over that of gradient flow"
    return [at_most(claim, PLATEAU, rough, 0.05), at_least(above, PLATEAU, smooth, 3.0)]


def _inside(data: xr.Dataset) -> np.ndarray:
    """Whether the simulated risk at the ridge that the prediction finds best agrees with it."""
    expected = data[EQUIVALENT]
    at = expected.argmin("time")
    risk, expected = data["excess_risk"].isel(time=at), expected.isel(time=at)
    error = risk.std("replicate", ddof=1) / np.sqrt(risk.sizes["replicate"])
    allowed = TOLERANCE * expected + 2.26 * error  # Student's t of ten replicates
    inside = np.abs(risk.mean("replicate") - expected) <= allowed
    return inside.values[np.isfinite(risk).all("replicate").values]


# --- spectra and real data ------------------------------------------------------------------------


def ntk_spectrum(tree: xr.DataTree) -> list[Row]:
    """Decay of the population's eigenvalues; the sample's at the largest n."""
    rows = []
    for name, group in estimators(tree).items():
        data = group.to_dataset().isel(n=-1)
        true = data["eigenvalue__population_spectrum"]
        for depth in data["depth"].values:
            tail = np.log(true.sel(depth=depth).where(true["mode"] >= 30, drop=True))
            decay = np.polyfit(np.log(tail["mode"].astype(float)), tail, 1)[0]
            claim = f"{name}, depth {depth}: decay of the eigenvalues 30 to 400"
            rows.append(near(claim, NTK, decay, -1.5, 0.15))
        shown = data["eigenvalue"].mean("replicate").isel(time=0)
        gap = float(np.abs(shown / true - 1).where(true["mode"] <= 100).median())
        claim = f"{name}: n = 1600, first 100 eigenvalues, median relative gap to the population"
        rows.append(at_most(claim, NTK, gap, 0.10))
    return rows


def kernel_digits(tree: xr.DataTree) -> list[Row]:
    """Errors at the largest n, at the time that leave-one-out chooses."""
    rows = []
    for name, group in estimators(tree).items():
        data = group.to_dataset().sel(n=1000, filter="ridge")
        at = data["loo_risk"].fillna(np.inf).argmin("time")
        wrong = data["misclassification"].isel(time=at).mean("replicate")
        rows.append(at_most(f"{name}: error at n = 1000, stopped by leave-one-out", "ours",
                            float(wrong.min()), 0.05))  # fmt: skip
        rows += [row._replace(claim=f"{name}: {row.claim}") for row in _chosen(data, "test_error")]
    depths = tree["ntk"].to_dataset()["depth"].values.tolist()
    return [*rows, exact("depths compared", "ours", depths, [1, 2, 3, 4, 5])]
