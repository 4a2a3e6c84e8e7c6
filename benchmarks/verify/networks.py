"""Networks against their kernels, flows and linearisations: runs of the shipped scenarios."""

from __future__ import annotations

import numpy as np
import xarray as xr
from rows import Row, at_least, at_most, between, near

from testbed.analysis import crossing_time, oracle, paired_difference, slope

NTK, MEAN = "ours, after arXiv:1806.07572", "ours, after arXiv:1804.06561"
EDGE = "ours, after arXiv:2103.00065"
ESD = "arXiv:2509.20294, Figure 5"


def width(tree: xr.DataTree) -> list[Row]:
    """Slopes in the width of the distance to the kernel's flow and of its drift, at τ = 10."""
    data = tree["network"].to_dataset().sel(time=10.0, method="nearest")
    rows = []
    for scale, source in (("ntk", NTK), ("mean-field", MEAN)):
        for name, words in (("gap", "distance to the kernel's flow"), ("kernel_drift", "drift")):
            fit = slope(data[name].sel(parameterization=scale), "width")
            limits = between(fit.lower, fit.upper)
            claim = f"{scale}: slope in the width of the {words}"
            expected, within = (-0.5, 0.15) if name == "gap" else (-0.75, 0.25)
            if scale == "mean-field":
                expected, within = 0.0, 0.1
            rows.append(near(claim, source, float(fit.estimate), expected, within, interval=limits))
    drift = data["kernel_drift"].sel(parameterization="mean-field").mean("replicate")
    return [*rows, at_least("mean-field: least drift of the kernel", MEAN, float(drift.min()), 1.0)]


def flow_vs_descent(tree: xr.DataTree) -> list[Row]:
    """The distance to the flow is proportional to the step; divergence is a status."""
    rows = []
    for name, group in (("network", tree["network"]), ("linearised", tree["linearised"])):
        gap = group.to_dataset()["flow_gap"].sel(time=20.0, method="nearest")
        gap = gap.sel(edge=slice(0.01, 0.25))
        fit = slope(gap, "edge")
        claim = f"{name}: slope in the step of the distance to the flow, c ≤ 0.2"
        limits = between(fit.lower, fit.upper)
        rows.append(near(claim, EDGE, float(fit.estimate), 1.0, 0.1, interval=limits))
    network, linear = (
        (tree[name]["status"] != 0).mean("replicate") for name in ("network", "linearised")
    )
    fine, past = linear.sel(edge=slice(0, 1)).max(), linear.sel(edge=slice(1, None)).min()
    small, large = network.sel(edge=slice(0, 0.5)).max(), network.sel(edge=slice(2, None)).min()
    return [
        *rows,
        at_most("linearised: largest share that diverges, c < 1", EDGE, float(fine), 0),
        at_least("linearised: least share that diverges, c > 1", EDGE, float(past), 1),
        at_most("network: largest share that diverges, c ≤ 0.5", EDGE, float(small), 0),
        at_least("network: least share that diverges, c ≥ 2.5", EDGE, float(large), 1),
    ]


def deep_linear(tree: xr.DataTree) -> list[Row]:
    """Figure 5 as published, and what a readout that starts at 0 makes of it."""
    data, ours = (
        tree[name].to_dataset().mean("replicate") for name in ("figure-5", "zero-readout")
    )
    span, risk = data["span_dimension"], data["excess_risk"].isel(time=slice(1, None))
    rise = float((risk.diff("time") / risk.isel(time=0)).max())
    turned = ours["span_dimension"]
    fall = float(turned.isel(time=-1) / turned.isel(time=0))
    return [
        near("span dimension at the start", ESD, float(span.isel(time=0)), 63, 4),
        near("span dimension after 500 epochs", ESD, float(span.isel(time=-1)), 49, 4),
        near("excess risk after 500 epochs", ESD, float(risk.isel(time=-1)), 0.0873, 0.01),
        at_most("largest rise of the excess risk between two records, over its first", ESD,
                rise, 1e-4),
        at_most("readout from 0: span dimension at the end over that at the start", "ours", fall,
                0.2),
        at_most("readout from 0: largest rise of the span dimension between two records", "ours",
                float(turned.diff("time").max()), 0.0),
    ]  # fmt: skip


def digits_network(tree: xr.DataTree) -> list[Row]:
    """Paired differences of the test error at equal and at best times, and the kernels' drift."""
    data = tree["network"].to_dataset()
    errors, kernel = data["test_error"], tree["kernel"].to_dataset()["test_error"]
    moving, lazy = (errors.sel(parameterization=scale) for scale in ("mean-field", "ntk"))
    pairs = {
        "kernel's at τ = 4096, n = 1000": (
            moving.sel(n=1000, time=4096), kernel.sel(n=1000, time=4096),
        ),
        "kernel's at best times, n = 300": (
            oracle(moving.sel(n=300)).value, oracle(kernel.sel(n=300)).value,
        ),
        "NTK-scaled network's at best times, n = 1000": (
            oracle(moving.sel(n=1000)).value, oracle(lazy.sel(n=1000)).value,
        ),
    }  # fmt: skip
    rows = []
    for words, pair in pairs.items():
        gain = paired_difference(*pair)
        found = f"({float(gain.estimate):.4f} {between(gain.lower, gain.upper)})"
        claim = f"mean-field: test error minus the {words}: upper limit"
        rows.append(at_most(claim, MEAN, float(gain.upper), 0.0, interval=found))
    drift = data["kernel_drift"].mean("replicate").max("time").sel(n=1000)
    return [
        *rows,
        at_most("ntk: drift of the kernel", NTK, float(drift.sel(parameterization="ntk")), 0.05),
        at_least("mean-field: drift of the kernel", MEAN,
                 float(drift.sel(parameterization="mean-field")), 1.0),
    ]  # fmt: skip


def architecture(tree: xr.DataTree) -> list[Row]:
    """Everywhere maximal-update scaling moves the kernel, and halves the risk earlier."""
    data = tree["network"].to_dataset()
    risk = data["excess_risk"]
    halved = crossing_time(-risk, -risk.sel(time=0.0) / 2)
    ratio = paired_difference(
        np.log(halved.sel(parameterization="mup")), np.log(halved.sel(parameterization="ntk"))
    )
    drift = data["kernel_drift"].mean("replicate").isel(time=-1)
    moved = drift.sel(parameterization="mup") / drift.sel(parameterization="ntk")
    slower = np.exp(ratio.upper)
    means = np.exp(ratio.estimate)
    found = f"(means {float(means.min()):.2f} to {float(means.max()):.2f})"
    return [
        at_most("τ that halves the risk, maximal-update over NTK scale: largest upper limit", MEAN,
                float(slower.max()), 1.0, interval=found),
        at_least("drift of the kernel at τ = 200, maximal-update over NTK scale: least", MEAN,
                 float(moved.min()), 2.0),
    ]  # fmt: skip
