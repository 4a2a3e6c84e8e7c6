"""What theory says about finding a direction, against the shipped scenario."""

from __future__ import annotations

import numpy as np
import xarray as xr
from rows import Row, at_least, at_most, between, near

from testbed.analysis import mean_interval, paired_difference, slope

AFP, ODE = "ours, after arXiv:2511.09425, §3", "population flow"
EXPONENTS = {1: "exponent-1", 2: "exponent-2", 3: "exponent-3"}
LEAST = 40  # n/d^r from which training is compared with the population flow
ENOUGH = 15  # n/d^r from which a dimension counts for the law in d


def single_index(tree: xr.DataTree) -> list[Row]:
    """Escape times: agreement with n → ∞, their order, and their laws in d."""
    data = tree["directional"].to_dataset()
    rows = []
    for r, target in EXPONENTS.items():
        rows += _agreement(data.sel(target=target), r)
    return [*rows, *_order(data), *_laws(data)]


def _agreement(data: xr.Dataset, r: int) -> list[Row]:
    """Mean escape over the population's at the largest n; the gap's slope in n."""
    flow = data["escape_time__population_flow"].isel(n=0)
    largest = data.sel(n=data["n"].max())
    rows = []
    for d in data["dim"].values:
        ratio = float(largest["n"]) / float(d) ** r
        if ratio < LEAST:
            continue
        found = mean_interval(largest["escape_time"].sel(dim=d) / float(flow.sel(dim=d)))
        width = float(found.upper - found.lower) / 2
        claim = f"r = {r}, d = {d}, n/d^{r} = {ratio:.0f}: mean escape time over the population's"
        rows.append(near(claim, ODE, float(found.estimate), 1.0, width + 0.05,
                         interval=between(found.lower, found.upper)))  # fmt: skip
        gap = np.abs(data["escape_time"].sel(dim=d) / float(flow.sel(dim=d)) - 1)
        reached = gap.where(data["n"] >= LEAST * d ** (r - 1), drop=True)
        fit = slope(reached, "n")
        claim = f"r = {r}, d = {d}: slope in n of the mean relative gap (upper limit)"
        rows.append(at_most(claim, ODE, float(fit.upper), 0.0,
                            interval=f"slope {float(fit.estimate):.2f}"))  # fmt: skip
    return rows


def _order(data: xr.Dataset) -> list[Row]:
    """A larger information exponent escapes later."""
    last = data["escape_time"].sel(n=data["n"].max(), dim=data["dim"].max())
    rows = []
    for low, high in ((1, 2), (2, 3)):
        later = paired_difference(last.sel(target=EXPONENTS[high]), last.sel(target=EXPONENTS[low]))
        claim = f"d = {int(data['dim'].max())}: escape at r = {high} − at r = {low} (lower limit)"
        rows.append(at_least(claim, AFP, float(later.lower), 0.0,
                             interval=f"mean {float(later.estimate):.2f}"))  # fmt: skip
    return rows


def _laws(data: xr.Dataset) -> list[Row]:
    """Slopes in d at the largest n beside those of the flow; .809 and r − 1 are for d → ∞."""
    return [_law(data.sel(target=target, n=data["n"].max()), r) for r, target in EXPONENTS.items()]


def _law(data: xr.Dataset, r: int) -> Row:
    data = data.sel(dim=data["dim"][data["n"] >= ENOUGH * data["dim"].astype(float) ** r])
    flow, escape = data["escape_time__population_flow"], data["escape_time"]
    against = np.log(data["dim"].astype(float))

    def rise(values: xr.DataArray) -> xr.DataArray:
        height = values if r == 1 else np.log(values)
        centred = against - against.mean()
        return (centred * height).sum("dim") / (centred**2).sum()

    found = mean_interval(rise(escape), positive=False)
    width = float(found.upper - found.lower) / 2
    what = "slope of the escape time in ln d" if r == 1 else "log–log slope of the escape time in d"
    limit = "1/(√5 − 1)" if r == 1 else str(r - 1)
    dims = ", ".join(map(str, data["dim"].values))
    claim = f"r = {r}, d = {dims}: {what} (d → ∞: {limit})"
    return near(claim, ODE, float(found.estimate), float(rise(flow)), width + 0.05,
                interval=between(found.lower, found.upper))  # fmt: skip
