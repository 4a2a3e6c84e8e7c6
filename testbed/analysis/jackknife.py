"""The jackknife over replicates: a statistic of means, and its pseudo-values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr

from testbed.analysis.limits import Floats
from testbed.analysis.replicates import REPLICATE

Statistic = Callable[[Floats], Floats]
"""A function of means over replicates, (…, core…) → (…), for any leading axes."""


class Jackknife(NamedTuple):
    """A statistic and its pseudo-values, one for each replicate; NaN for those without a value."""

    estimate: xr.DataArray
    pseudo: xr.DataArray

    def __sub__(self, subtracted: Jackknife) -> Jackknife:
        """The difference of two statistics of the same replicates."""
        return Jackknife(self.estimate - subtracted.estimate, self.pseudo - subtracted.pseudo)


def jackknife(
    values: xr.DataArray, statistic: Statistic, core: Sequence[str] = (), dim: str = REPLICATE
) -> Jackknife:
    """A statistic of the means over replicates along the dimensions `core`, and its pseudo-values.

    The statistic is computed from all replicates and again with each one left out, including
    choices such as a best time. It works lazily on dask arrays.
    """
    estimate, pseudo = xr.apply_ufunc(
        lambda array: _pseudo_values(array, statistic, len(core)),
        values,
        input_core_dims=[[dim, *core]],
        output_core_dims=[[], [dim]],
        dask="parallelized",
        output_dtypes=[float, float],
        dask_gufunc_kwargs={"allow_rechunk": True},
    )
    return Jackknife(estimate, pseudo)


def _pseudo_values(array: Floats, statistic: Statistic, core: int) -> tuple[Floats, Floats]:
    """Estimate (…) and pseudo-values (…, replicate) of an array (…, replicate, core…)."""
    axis = array.ndim - core - 1
    present = np.isfinite(array)
    filled = np.where(present, array, 0.0)
    count = present.sum(axis, keepdims=True)
    with np.errstate(all="ignore"):
        means = np.where(count > 0, filled.sum(axis, keepdims=True) / count, np.nan)
        # leaving out a missing replicate does not change the mean
        without = np.where(count - present > 0, _without(filled, axis) / (count - present), np.nan)
        estimate = statistic(np.squeeze(means, axis))
        reduced = statistic(without)
    here = present.any(tuple(range(axis + 1, array.ndim)))  # (…, replicate)
    number = here.sum(-1, keepdims=True)
    with np.errstate(all="ignore"):
        pseudo = number * estimate[..., None] - (number - 1) * reduced
    return estimate, np.where(here, pseudo, np.nan)


def _without(filled: Floats, axis: int) -> Floats:
    """Sums without each replicate, from sums of both sides, so that no digits cancel."""
    moved = np.moveaxis(filled, axis, 0)
    before, after = np.zeros_like(moved), np.zeros_like(moved)
    np.cumsum(moved[:-1], axis=0, out=before[1:])
    np.cumsum(moved[:0:-1], axis=0, out=after[-2::-1])
    return np.moveaxis(before + after, 0, axis)
