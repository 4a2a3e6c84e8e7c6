"""The claim that most replicates lie on one side of a number."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from testbed import analysis
from testbed.claims.measured import Measured, shared_level, takes_best, worst
from testbed.contract.claims import Evidence

if TYPE_CHECKING:
    from testbed.analysis.limits import Floats

NOTHING = "not simulated"


def measure_share(evidence: Evidence) -> Measured:
    """The share of replicates whose value lies on the side of `expect` is at least 1 − `within`;
    everywhere along a dimension, if there is one. With `than`, the value is the difference from
    that of `than`. With a dimension `time`, values are those at the best time of the mean."""
    values = _at_best(evidence.values, evidence)
    if evidence.rival is not None:
        values = values - _at_best(evidence.rival, evidence)
    beyond = values > evidence.expect if evidence.side == "above" else values < evidence.expect
    present = values.notnull()
    total = present.sum("replicate")
    count = (beyond & present).sum("replicate")
    level = 1 - (1 - shared_level(evidence)) / evidence.looks
    lower, upper = xr.apply_ufunc(
        lambda hits, trials: binomial_limits(hits, trials, level),
        count,
        total,
        output_core_dims=[[], []],
        dask="parallelized",
        output_dtypes=[float, float],
    )
    reason = xr.where(total > 0, "", NOTHING).astype(object)
    table = {"estimate": count / total, "lower": lower, "upper": upper, "reason": reason}
    return worst(xr.Dataset(table), evidence, (1 - evidence.within, 1.0))


def _at_best(values: xr.DataArray, evidence: Evidence) -> xr.DataArray:
    """The replicates at the best time of their mean, where there are times."""
    if not takes_best(evidence, values):
        return values
    return analysis.oracle(values, survivors=True)["value"]


def binomial_limits(count: ArrayLike, total: ArrayLike, level: float) -> tuple[Floats, Floats]:
    """The limits of a share by Clopper and Pearson (1934), which hold with at least this level.

    NaN where there is nothing to count.

    >>> low, high = binomial_limits(np.array([16]), np.array([16]), 0.95)
    >>> float(low[0].round(4)), float(high[0])  # (0.05/2)^(1/16)
    (0.7941, 1.0)
    """
    from scipy import special

    tail = (1 - level) / 2
    hits, trials = np.asarray(count, float), np.asarray(total, float)
    misses = trials - hits
    with np.errstate(all="ignore"):
        lower = np.where(hits > 0, special.betaincinv(hits, misses + 1, tail), 0.0)
        upper = np.where(misses > 0, special.betaincinv(hits + 1, misses, 1 - tail), 1.0)
    return np.where(trials > 0, lower, np.nan), np.where(trials > 0, upper, np.nan)
