"""The check for descent that has blown up although its numbers stayed finite.

A network with bounded activations survives a step size that is far too large: its risk is many
times that of the function 0, and scatters over orders of magnitude. Such points say nothing about
the estimator, so the other checks leave them out.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import xarray as xr

from testbed.analysis import simulated
from testbed.contract.cells import STATUS, Cell
from testbed.contract.findings import Finding, along_time, worst_place
from testbed.contract.parameters import value_with
from testbed.contract.seeds import Streams
from testbed.planning.plan import Plan
from testbed.results.groups import estimators

TIMES_ZERO = 10.0  # best risk over the risk of the function 0 that counts as blown up
RISK = "excess_risk"


def blown_up(plan: Plan, tree: xr.DataTree) -> dict[str, xr.DataArray]:
    """For each estimator that takes steps: the least risk of each replicate over that of the
    function 0, (sweep…, replicate)."""
    shares = {}
    for name, group in estimators(tree).items():
        cells = _first_cells(plan, name)
        dataset = group.to_dataset()
        if not cells or not along_time(dataset, RISK) or "replicate" not in dataset[RISK].dims:
            continue
        dims = next(planned.dims for planned in plan.estimators if planned.name == name)
        zero = np.full([len(dim.coordinate) for dim in dims], np.nan)
        risks: dict[tuple[int, int], float] = {}
        for cell in cells:
            parts = id(cell.design), id(cell.target)
            if parts not in risks:
                risks[parts] = _risk_of_zero(cell)
            zero[cell.index] = risks[parts]
        best = simulated(dataset, RISK).min("time")
        shares[name] = best / xr.DataArray(zero, dims=[dim.name for dim in dims])
    return shares


def _first_cells(plan: Plan, name: str) -> list[Cell]:
    """The first simulated cell of each point of an estimator that takes steps of a size."""
    points: dict[tuple[int, ...], Cell] = {}
    for cell in plan.cells:
        if cell.estimator == name and cell.replicates and cell.target.facts().truth_known:
            points.setdefault(cell.index, cell)
    return [cell for cell in points.values() if value_with(cell.optimizer, "step_size", None)]


def _risk_of_zero(cell: Cell) -> float:
    """Σ weight·f*² at the test points of one replicate."""
    rng = Streams(cell.seed, cell.replicates[0], cell.shared_design)
    sample = cell.design.draw(rng)._replace(design=cell.design)
    data = cell.target.problem(cell.target.draw(rng, sample), sample).test
    squares = np.square(np.asarray(data.truth))
    return float((data.weight * (squares if squares.ndim == 1 else squares.sum(-1))).sum())


def blow_up_findings(shares: dict[str, xr.DataArray]) -> Iterator[Finding]:
    """A finding for each estimator some of whose replicates have blown up."""
    for name, share in shares.items():
        place = worst_place(share.max("replicate"), TIMES_ZERO)
        if place is None:
            continue
        worst = share.isel(place.position)
        yield Finding(
            check="divergence",
            severity="problem",
            estimator=name,
            variable=RISK,
            **place.named(),
            observation=f"at its best time the risk of {int((worst > TIMES_ZERO).sum())} of "
            f"{int(worst.notnull().sum())} replicates is over {TIMES_ZERO:g} times that of the "
            f"function 0, at most {float(worst.max()):.2g} times: training has blown up",
            advice="lower the step size, not the number of replicates; the metric training-loss "
            "shows how it rises",
        )


def without_blown_up(tree: xr.DataTree, shares: dict[str, xr.DataArray]) -> xr.DataTree:
    """The tree with the status "diverged" where replicates have blown up, for the other checks."""
    groups = {node.path: node.to_dataset(inherit=False) for node in tree.subtree}
    for name, share in shares.items():
        status = groups[f"/{name}"]["status"]
        lost = (share > TIMES_ZERO).transpose(*status.dims)
        groups[f"/{name}"] = groups[f"/{name}"].assign(
            status=status.where(~lost, STATUS["diverged"])
        )
    return tree.from_dict(groups, name=tree.name)
