"""The accessor `.testbed` on DataArray, Dataset and DataTree: the functions of this package.

    risk.testbed.slope("n")                              # a DataArray
    dataset.testbed.slope("excess_risk", "n")            # a variable of an estimator's group
    tree.testbed.slope("excess_risk", "n")               # of every group that has it: a DataTree

On a Dataset or DataTree the first argument names the variable, and the status tells which
replicates are lost. Importing `testbed.analysis` registers it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ClassVar

import xarray as xr

from testbed.analysis.choices import at_time, best_parameter, leave_one_out, quantiles
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

Result = xr.Dataset | xr.DataArray
METHODS: dict[str, Callable[..., Result]] = {
    function.__name__: function
    for function in (
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
        paired_difference,
        paired_ratio,
        quantiles,
        slope,
        slope_difference,
        slope_ratio,
        time_ratio,
    )
}
"""The accessor's methods by name."""


@xr.register_dataarray_accessor("testbed")
class ArrayAccessor:
    """Analysis of one variable."""

    def __init__(self, values: xr.DataArray):
        self._values = values

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *METHODS})

    def __getattr__(self, name: str) -> Callable[..., Result]:
        function = _method(name)

        @wraps(function)
        def method(*arguments: object, **settings: object) -> Result:
            return function(self._values, *arguments, **settings)

        return method


@xr.register_dataset_accessor("testbed")
class DatasetAccessor:
    """Analysis of a variable of an estimator's group."""

    def __init__(self, dataset: xr.Dataset):
        self._dataset = dataset

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *METHODS})

    def simulated(self, variable: str) -> xr.DataArray:
        """The variable, lost replicates NaN at all times."""
        return simulated(self._dataset, variable)

    def __getattr__(self, name: str) -> Callable[..., Result]:
        function = _method(name)

        @wraps(function)
        def method(variable: str, *arguments: object, **settings: object) -> Result:
            return function(self.simulated(variable), *arguments, **settings)

        return method


@xr.register_datatree_accessor("testbed")
class TreeAccessor:
    """Analysis of a variable in every group that has it. In a notebook it shows question, verdicts,
    best values and findings, once `testbed.report` or a function of `testbed` was used."""

    html: ClassVar[Callable[[xr.DataTree], str] | None] = None
    """What a notebook shows of a result; set by those who can write it."""

    def __init__(self, tree: xr.DataTree):
        self._tree = tree

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *METHODS})

    def _repr_html_(self) -> str | None:
        show = type(self).html
        return None if show is None else show(self._tree)

    def __getattr__(self, name: str) -> Callable[..., xr.DataTree]:
        function = _method(name)

        @wraps(function)
        def method(variable: str, *arguments: object, **settings: object) -> xr.DataTree:
            results = {}
            for group, node in self._tree.children.items():
                if variable in node.data_vars:
                    values = simulated(node.to_dataset(), variable)
                    result = function(values, *arguments, **settings)
                    is_array = isinstance(result, xr.DataArray)
                    results[f"/{group}"] = result.to_dataset(name=name) if is_array else result
            return xr.DataTree.from_dict(results)

        return method


def _method(name: str) -> Callable[..., Result]:
    """The function of a method; AttributeError if there is none."""
    if name not in METHODS:
        raise AttributeError(f"found {name!r}, expected one of {', '.join(METHODS)}")
    return METHODS[name]
