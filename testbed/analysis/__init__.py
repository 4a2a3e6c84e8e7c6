"""Means, stopping times, slopes, comparisons and their intervals, from labelled results alone.

    risk = simulated(tree["adaptive"].to_dataset(), "excess_risk")
    mean_interval(risk)                       # estimate, lower, upper, replicates, reason
    oracle(risk)                              # the best stopping time of each point
    slope(risk, along="n")                    # of the mean at the best time, with its interval
    paired_difference(risk, another_risk)

    risk.testbed.slope("n")                   # the same names, on DataArray, Dataset and DataTree

xarray goes in, labelled Datasets come out: they print briefly and can be saved. Every interval
comes from one jackknife over replicates; `docs/analysis.md` says how often each covers. Other
packages also use `analysis.limits`, `analysis.replicates`, `analysis.stopping` and
`analysis.accessor`.
"""

from testbed.analysis.accessor import METHODS
from testbed.analysis.choices import at_least, at_time, best_parameter, leave_one_out, quantiles
from testbed.analysis.collapses import collapse
from testbed.analysis.comparisons import (
    paired_difference,
    paired_ratio,
    slope_difference,
    slope_ratio,
    time_ratio,
)
from testbed.analysis.crossings import crossing, crossing_time
from testbed.analysis.exponents import exponent_gap, local_exponents
from testbed.analysis.extrapolations import extrapolation
from testbed.analysis.intervals import mean_interval
from testbed.analysis.replicates import simulated
from testbed.analysis.slopes import slope
from testbed.analysis.stopping import oracle

__all__ = [
    "METHODS",
    "at_least",
    "at_time",
    "best_parameter",
    "collapse",
    "crossing",
    "crossing_time",
    "exponent_gap",
    "extrapolation",
    "leave_one_out",
    "local_exponents",
    "mean_interval",
    "oracle",
    "paired_difference",
    "paired_ratio",
    "quantiles",
    "simulated",
    "slope",
    "slope_difference",
    "slope_ratio",
    "time_ratio",
]
