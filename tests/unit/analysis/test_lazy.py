"""Analysis of chunked results: nothing is read before it is asked for, and numbers are the same.

Blocks of the stored array count how often they are read. Chunks cut every dimension, replicates and
times included.
"""

from __future__ import annotations

from collections.abc import Callable

import dask.array as da
import numpy as np
import pytest
import xarray as xr

from testbed import analysis

N = np.array([100.0, 200, 400, 800, 1600])
TIMES = np.array([0.0, 0.5, 1, 2, 3, 4, 5, 6, 8])
RIDGE = np.array([0.1, 1.0, 10.0])
CHUNKS = {"n": 3, "ridge": 2, "replicate": 5, "time": 5}


def dataset() -> xr.Dataset:
    """A risk (n, ridge, replicate, time) with lost, failed and not-run replicates, its estimate,
    and a quantity of any sign."""
    rng = np.random.Generator(np.random.Philox(8))
    shape = (len(N), len(RIDGE), 8, len(TIMES))
    size, ridge, time = N[:, None, None, None], RIDGE[:, None, None], TIMES
    base = size**-0.5 * (1 + (time - 3 - np.log2(size / 100) / 3) ** 2) + 0.1 * np.log(ridge) ** 2
    risk = base * np.exp(0.1 * rng.standard_normal(shape[:3])[..., None])
    estimate = risk * np.exp(0.1 * rng.standard_normal(shape))
    gap = risk - 0.2
    status = np.zeros(shape[:3], dtype="i1")
    status[0, 0, 7] = 2
    status[-1, :, 6:] = 3
    risk[0, 0, 7, 4:] = np.nan
    risk[-1, :, 6:] = np.nan
    dims = ("n", "ridge", "replicate", "time")
    flags = {"flag_values": [0, 1, 2, 3, 4], "flag_meanings": analysis.replicates.STATUSES}
    return xr.Dataset(
        {
            "excess_risk": (dims, risk, {"units": "m", "long_name": "excess risk"}),
            "loo_risk": (dims, estimate),
            "gap": (dims, gap),
            "status": (dims[:3], status, flags),
        },
        {"n": N, "ridge": RIDGE, "replicate": np.arange(8), "time": TIMES}
        | {"epsilon": ("n", N**-0.5), "step": ("time", TIMES), "seed": 5},
    )


class Reads:
    """An array that counts the blocks that are read of it."""

    def __init__(self, values: np.ndarray):
        self.values, self.count = values, 0
        self.dtype, self.shape, self.ndim = values.dtype, values.shape, values.ndim

    def __getitem__(self, key: object) -> np.ndarray:
        self.count += 1
        return self.values[key]


def stored(full: xr.Dataset) -> tuple[xr.Dataset, dict[str, Reads]]:
    """The dataset in chunks that are counted."""
    reads = {str(name): Reads(variable.values) for name, variable in full.data_vars.items()}
    chunked = {
        name: full[name].copy(
            data=da.from_array(
                reads[name],
                [CHUNKS[str(dim)] for dim in full[name].dims],
                name=False,
                meta=np.empty(0),
            )
        )
        for name in reads
    }
    auxiliary = (
        full.drop_vars(list(reads)).reset_coords(["epsilon", "step"]).chunk({"n": 3, "time": 5})
    )
    return full.assign(chunked).assign_coords(auxiliary.data_vars), reads


Analysed = Callable[[xr.Dataset], "xr.Dataset | xr.DataArray"]


def risk(group: xr.Dataset, name: str = "excess_risk") -> xr.DataArray:
    return analysis.simulated(group, name)


FUNCTIONS: dict[str, Analysed] = {
    "at_time": lambda g: analysis.at_time(risk(g), 2.0),
    "at_time, any sign": lambda g: analysis.at_time(risk(g, "gap"), 2.0, survivors=True),
    "best_parameter": lambda g: analysis.best_parameter(risk(g), "ridge", survivors=True),
    "best_parameter at a time": lambda g: analysis.best_parameter(
        risk(g, "gap").sel(time=2.0), "ridge", survivors=True
    ),
    "collapse": lambda g: analysis.collapse(risk(g).sel(ridge=1.0), "n"),
    "crossing": lambda g: analysis.crossing(risk(g), 0.5, survivors=True),
    "crossing_time": lambda g: analysis.crossing_time(-risk(g), -0.5),
    "exponent_gap": lambda g: analysis.exponent_gap(risk(g), "n", -0.5, survivors=True),
    "extrapolation": lambda g: analysis.extrapolation(risk(g), "n", survivors=True),
    "leave_one_out": lambda g: analysis.leave_one_out(risk(g), risk(g, "loo_risk"), survivors=True),
    "local_exponents": lambda g: analysis.local_exponents(risk(g), "n", survivors=True),
    "mean_interval": lambda g: analysis.mean_interval(risk(g)),
    "mean_interval, any sign": lambda g: analysis.mean_interval(risk(g, "gap"), survivors=True),
    "oracle": lambda g: analysis.oracle(risk(g)),
    "oracle, any sign": lambda g: analysis.oracle(risk(g, "gap"), survivors=True),
    "paired_difference": lambda g: analysis.paired_difference(risk(g), risk(g, "loo_risk")),
    "paired_difference, best": lambda g: analysis.paired_difference(
        risk(g), risk(g, "loo_risk"), best=True, survivors=True
    ),
    "paired_ratio": lambda g: analysis.paired_ratio(risk(g), risk(g, "loo_risk")),
    "paired_ratio, best": lambda g: analysis.paired_ratio(
        risk(g), risk(g, "loo_risk"), best=True, survivors=True
    ),
    "quantiles": lambda g: analysis.quantiles(risk(g), [0.1, 0.5]),
    "slope": lambda g: analysis.slope(risk(g), "n", survivors=True),
    "slope_difference": lambda g: analysis.slope_difference(
        risk(g), risk(g, "loo_risk"), "n", survivors=True
    ),
    "slope_ratio": lambda g: analysis.slope_ratio(
        risk(g), risk(g, "loo_risk"), "n", survivors=True
    ),
    "time_ratio": lambda g: analysis.time_ratio(risk(g), risk(g, "loo_risk"), 0.5, survivors=True),
    "at_least": lambda g: analysis.at_least(risk(g), risk(g, "loo_risk")),
}


def test_every_function_is_tried():
    tried = {name.partition(",")[0].partition(" ")[0] for name in FUNCTIONS}
    assert tried == {*analysis.METHODS, "at_least"}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_chunked_results_give_the_same_and_are_read_when_asked(name):
    full = dataset()
    chunked, reads = stored(full)
    expected = FUNCTIONS[name](full)
    lazy = FUNCTIONS[name](chunked)
    read = {variable: block.count for variable, block in reads.items() if block.count}
    assert set(read) <= {"status"}, f"{read} were read before anything was asked"
    xr.testing.assert_allclose(lazy.compute(), expected, rtol=1e-12)
    assert {v: lazy[v].dtype for v in getattr(lazy, "data_vars", ())} == {
        v: expected[v].dtype for v in getattr(expected, "data_vars", ())
    }
