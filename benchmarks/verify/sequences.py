"""What is published about sequence models, against runs of the shipped scenarios."""

from __future__ import annotations

import numpy as np
import xarray as xr
from rows import Row, at_least, at_most, between, exact, near

from testbed.analysis import mean_interval, oracle, paired_difference, slope
from testbed.contract.findings import Finding
from testbed.results.groups import estimators
from testbed.soundness import read_findings

SEQ, ESD = "arXiv:2409.00894, Figure 1", "arXiv:2509.20294"
LEARNED = "ours, after arXiv:2412.18756, §4.3.3"
PROPOSITION, BN = "arXiv:2409.00894, Prop. 3.4; n ours", "ours, after arXiv:2412.18756"
FIT = {  # log10 risk = slope·log10 n + level, as printed in Figure 1
    ("fixed", 1.5): (-0.374, 0.29),
    ("fixed", 3.0): (-0.341, 0.21),
    ("adaptive", 1.5): (-0.533, 0.65),
    ("adaptive", 3.0): (-0.499, 0.55),
}


# --- rates ----------------------------------------------------------------------------------------


def adaptivity_rates(tree: xr.DataTree) -> list[Row]:
    """Slopes and levels of Figure 1; replicates against the exact expectation."""
    rows = []
    for (name, gamma), (published, level) in FIT.items():
        risk = tree[name].to_dataset()["excess_risk"].sel(gamma=gamma)
        for depth in risk["depth"].values if "depth" in risk.dims else [None]:
            chosen = risk if depth is None else risk.sel(depth=depth)
            label = f"{name}, γ = {gamma:g}" + ("" if depth is None else f", D = {depth}")
            rows += _fit_rows(label, chosen, published, level)
    return [*rows, _expectation_row(tree)]


def _fit_rows(label: str, risk: xr.DataArray, published: float, level: float) -> list[Row]:
    fit, best = slope(risk, "n"), oracle(risk)
    limits = between(fit.lower, fit.upper)
    mean = best.value.mean("replicate")
    log = published * np.log10(risk["n"]) + level
    gap = float(np.abs(mean / 10**log - 1).max())
    return [
        near(f"{label}: slope of the best risk", SEQ, float(fit.estimate), published, 0.09,
             interval=limits),
        at_most(f"{label}: largest relative gap to the published level", SEQ, gap, 0.10),
        exact(f"{label}: best times inside the grid", SEQ, not bool(best.at_end.any()), True),
    ]  # fmt: skip


def _expectation_row(tree: xr.DataTree) -> Row:
    """The largest |z| over all points; by chance alone it seldom exceeds 4.5."""
    largest = 0.0
    for group in estimators(tree).values():
        data = group.to_dataset()
        risk = data["excess_risk"]
        error = risk.std("replicate", ddof=1) / np.sqrt(risk.sizes["replicate"])
        z = (risk.mean("replicate") - data["excess_risk__expected_risk"]) / error
        largest = max(largest, float(np.abs(z).max()))
    claim = "mean over replicates against the expectation by quadrature: largest standard score"
    return at_most(claim, "quadrature over ξ", largest, 4.5)


# --- learned eigenvalues and eigenvectors ---------------------------------------------------------


def eigenvalue_learning(tree: xr.DataTree) -> list[Row]:
    """Proposition 3.4: a b^D never falls, is large on signal, and stays where there is none."""
    data = tree["adaptive"].to_dataset()
    feature = np.sqrt(data["eigenvalue"])
    truth = np.abs(data["truth_coefficient"])
    signal, start = truth > 0, feature.isel(time=0)
    source, size = PROPOSITION, float(data["n"])
    least_step = float((feature.diff("time") / start).min())
    rows = [at_least("smallest relative step of a b^D along time", source, least_step, -1e-12)]
    for depth in data["depth"].values:
        power = (depth + 1) / (depth + 2)
        state = feature.sel(depth=depth).sel(time=size**power, method="nearest")
        size_of_signal = float((state / truth**power).where(signal).min())
        growth = float((state / start.sel(depth=depth)).where(~signal).median())
        mean = state.mean("replicate")
        contrast = float(mean.where(signal).min() / mean.where(~signal).max())
        when = f"D = {depth}, t = {float(state['time']):.0f}"
        on_signal = f"{when}: least a b^D / |θ*|^{power:.2g} on signal"
        rows += [
            at_least(on_signal, source, size_of_signal, 0.5),
            at_most(f"{when}: median growth of a b^D elsewhere", source, growth, 2.0),
            at_least(f"{when}: least mean on signal over largest elsewhere", source, contrast, 2.0),
        ]
    return rows


def feature_alignment(tree: xr.DataTree) -> list[Row]:
    """Section 4.3.3: the basis turns, the risk falls, and late times fit the noise."""
    learned, fixed = (tree[name].to_dataset() for name in ("learned", "fixed"))
    matrix = tree["matrix"].to_dataset()
    rows = []
    for n in learned["n"].values:
        at = {"n": n, "target": "misaligned"}
        share = mean_interval(learned["top_projection"].sel(**at, k=10).isel(time=-1))
        best = oracle(learned["excess_risk"].sel(at))
        start = learned["excess_risk"].sel(at).isel(time=0)
        fall = paired_difference(best.value, start)
        last = learned["excess_risk"].sel(at).isel(time=-1)
        late = paired_difference(last, best.value)
        rows += [
            at_least(f"misaligned, n = {n}: p₁₀ at the end, from 0 (lower limit)",
                     LEARNED, float(share.lower), 0.3,
                     interval=f"mean {float(share.estimate):.3f}"),
            at_most(f"misaligned, n = {n}: risk at the best time − at the start (upper limit)",
                    LEARNED, float(fall.upper), 0.0, interval=f"mean {float(fall.estimate):.3f}"),
            at_least(f"misaligned, n = {n}: risk at the end − at the best time (lower limit)",
                     LEARNED, float(late.lower), 0.0, interval=f"mean {float(late.estimate):.3f}"),
        ]  # fmt: skip
    at = {"n": 1000, "target": "misaligned"}
    best = [oracle(model["excess_risk"].sel(at)).value for model in (learned, fixed)]
    gain = paired_difference(*best)
    rows.append(
        at_most("misaligned, n = 1000: best risk, learned − fixed (upper limit)",
                LEARNED, float(gain.upper), 0.0, interval=f"mean {float(gain.estimate):.4f}")
    )  # fmt: skip
    gap = float(np.abs(learned["excess_risk"] - matrix["excess_risk"]).max())
    return [
        *rows,
        at_most("risk of the reduced system − of the full matrix", "two routes", gap, 1e-6),
    ]


# --- effective span dimension ---------------------------------------------------------------------


def span_profile(tree: xr.DataTree) -> list[Row]:
    """Figure 1: seed-free integers, the sandwich, and spans that shrink."""
    data = tree["adaptive"].to_dataset()
    span = data["span_dimension"]
    start = span.isel(time=0)
    spread = int((start.max("replicate") - start.min("replicate")).max())
    risk, noise = data["oracle_projection_risk"], 1e-4
    low, high = (span - 1) * noise, 2 * span * noise
    inside = bool(((risk >= low * (1 - 1e-12)) & (risk <= high * (1 + 1e-12))).all())
    rows = [
        exact("d†(1e−4) at t = 0 for q = 1, 1.5, 2, 3", f"{ESD}, Figure 1",
              start.isel(replicate=0).values.astype(int), [15, 46, 121, 512]),
        exact("the same in every replicate", f"{ESD}, Figure 1", spread, 0),
        exact("oracle projection risk in [(d† − 1)ε², 2d†ε²] everywhere", f"{ESD}, Figure 1",
              inside, True),
    ]  # fmt: skip
    for q in data["q"].values[1:]:
        mean = span.sel(q=q).mean("replicate")
        shown = " → ".join(f"{value:.1f}" for value in mean.values)
        falls = bool((mean.diff("time") <= 0).all())
        rows.append(
            Row(
                f"q = {q:g}: mean d† along t = 0, 20, …, 80",
                f"{ESD}, Figure 1",
                "falls",
                shown,
                falls,
            )
        )
    return rows


def span_depth(tree: xr.DataTree) -> list[Row]:
    """Figure 2: depth shrinks the span; the flow's own risk has its best time, then climbs."""
    data = tree["adaptive"].to_dataset()
    rows = []
    for depth, time in {0: 63.0, 1: 200.0, 3: 632.0}.items():  # known to half a decade
        best = oracle(data["excess_risk"].sel(depth=depth)).time
        gap = float(np.log10(best / time))
        shown = f"(t = {float(best):.0f})"
        claim = f"D = {depth}: log10 of the best time of the flow's risk over {time:g}"
        rows.append(near(claim, "independent run", gap, 0.0, 0.25, interval=shown))
    end = mean_interval(data["span_dimension"].isel(time=-1))
    shown = ", ".join(f"{value:.1f}" for value in end.estimate.values)
    falls = bool((end.estimate.diff("depth") < 0).all())
    rows.append(
        Row(
            "mean d† at t = 1e4 for D = 0, 1, 3",
            f"{ESD}, Figure 2",
            "falls with depth",
            shown,
            falls,
        )
    )
    best = {int(d): oracle(data["projection_error"].sel(depth=d)).value for d in data["depth"]}
    for depth in (1, 3):
        gain = paired_difference(best[depth], best[0])
        claim = f"projection error at its best time, D = {depth} − D = 0 (upper limit)"
        shown = f"mean {float(gain.estimate):.2e}"
        rows.append(at_most(claim, f"{ESD}, Figure 2", float(gain.upper), 0.0, interval=shown))
    return rows


def span_depth_ablation(tree: xr.DataTree) -> list[Row]:
    """The gain from depth needs a strong signal and a start that is neither 1 nor next to 0."""
    data = tree["adaptive"].to_dataset()
    least = data["projection_error"].mean("replicate").min("time")
    ratio = least.sel(depth=3) / least.sel(depth=0)
    claim = "least projection error up to t = 1e4, D = 3 over D = 0"
    return [
        near(f"{claim}: b₀ = 1, C = 1, no gain", "independent run",
             float(ratio.sel(b0=1.0, scale=1.0)), 1.0, 0.1),
        at_most(f"{claim}: b₀ = 0.4, C = 5, a gain", "ours",
                float(ratio.sel(b0=0.4, scale=5.0)), 0.7),
        at_least(f"{claim}: b₀ = 0.1, C = 5, too slow", "ours",
                 float(ratio.sel(b0=0.1, scale=5.0)), 1.0),
    ]  # fmt: skip


def span_alignment(tree: xr.DataTree) -> list[Row]:
    """Figure 3: the least risk over k follows the span dimension."""
    data = tree["projection"].to_dataset().isel(time=0)
    risk = data["projection_error"].mean("replicate").min("k")
    span = data["span_dimension"].isel(replicate=0)
    noise = 1 / 300
    low, high = float((risk / ((span - 1) * noise)).min()), float((risk / (span * noise)).max())
    follows = float(xr.corr(risk, span, "alignment"))
    return [
        at_least("correlation of the least risk with d† over α", f"{ESD}, Figure 3", follows, 0.95),
        at_least("least risk / ((d† − 1)σ²/n), smallest", f"{ESD}, Figure 3", low, 1.0),
        at_most("least risk / (d†σ²/n), largest", f"{ESD}, Figure 3", high, 2.0),
    ]


def failure_signatures(tree: xr.DataTree) -> list[Row]:
    """Every provoked failure is found where it is provoked, and nothing that is not expected."""
    source, found = f"{BN}, §4", read_findings(tree)
    rows = [
        exact(f"found in `{name}`", source, name in _names_of(found, name), True)
        for name in ("overfitting", "unbracketed", "collapse", "misalignment", "divergence")
    ]
    unexpected = sum(one.severity != "expected" for one in found)
    sound = tree["sound"].to_dataset()["top_projection"].sel(target="hidden").mean("replicate")
    return [
        *rows,
        exact("found in `coarse`", source, "integrator" in _names_of(found, "coarse"), True),
        exact("findings that nothing provoked", source, unexpected, 0),
        exact("checks that blame `sound` for more than its truncated target", source,
              len(_names_of(found, "sound") - {"truncation"}), 0),
        at_least("`sound`: p₄₀ at the last time", source, float(sound.isel(k=-1, time=-1)), 0.9),
    ]  # fmt: skip


def _names_of(found: list[Finding], estimator: str) -> set[str]:
    return {one.check for one in found if one.estimator == estimator}
