"""Objections to a scenario of sequence models, and findings of its results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from testbed import (
    Cell,
    Finding,
    IsSpectral,
    Plan,
    declared,
    has,
    over_replicates,
    relative_rounding,
    risk_path,
    worst_place,
)
from testbed_sequence.designs.gaussian import GaussianSequence
from testbed_sequence.metrics.invariants import InvariantDrift
from testbed_sequence.models.diagonal import Diagonal
from testbed_sequence.models.fixed import Fixed
from testbed_sequence.numerics.diagonal_flow import coordinate_estimate
from testbed_sequence.targets.signals import SequenceTarget
from testbed_sequence.theories.quadrature import expected_risk_fixed

if TYPE_CHECKING:
    import xarray as xr

TAIL = 0.05  # largest accepted share of the risk that the next J coefficients would add
KNOTS = 9  # coordinates of the tail at which the risk is computed
REACH, NODES = 5.0, 129  # quadrature over ξ/ε: the interval [−REACH, REACH] and its nodes
EXACT = 1e-9  # largest drift accepted of a closed form
INTEGRATED = 1e3  # largest accepted ratio of the drift to an integration's relative tolerance
STEPPED = 0.01  # largest drift accepted of steps of descent


# --- the scenario -------------------------------------------------------------------------------


def objections(plan: Plan) -> list[str]:
    """Reasons against a plan, without repetition."""
    reasons = (_frozen(cell) for cell in plan.cells)
    return list(dict.fromkeys(reason for reason in reasons if reason))


def _frozen(cell: Cell) -> str | None:
    """Noise 0 makes the default b₀ = ε^{1/(D+2)} zero; a model of depth D ≥ 1 then never moves."""
    model, design = cell.model, cell.design
    if not (isinstance(model, Diagonal) and isinstance(design, GaussianSequence)):
        return None
    if model.depth and model.b0 is None and design.noise == 0:
        return (
            f"found noise 0 for the estimator {cell.estimator!r} of depth {model.depth}, whose "
            "default b0 = ε^{1/(D+2)} is then 0 and freezes it; give b0"
        )
    return None


# --- the results --------------------------------------------------------------------------------


def findings(plan: Plan, tree: xr.DataTree) -> list[Finding]:
    """Truncated sequences and drifting invariants, at most one of each kind per estimator and
    variable."""
    listed: list[Finding] = []
    for estimator in plan.estimators:
        cells = list({cell.index: cell for cell in _cells(plan, estimator.name)}.values())
        dataset = tree[estimator.name].to_dataset()
        listed += [*_truncation(dataset, cells), *_drift(dataset, cells)]
    return listed


def _cells(plan: Plan, estimator: str) -> Iterator[Cell]:
    return (cell for cell in plan.cells if cell.estimator == estimator)


# --- truncation ---------------------------------------------------------------------------------


class _Tail(NamedTuple):
    """The coefficients J + 1 … 2J: their truth, eigenvalues, and noise variance."""

    truth: np.ndarray
    eigenvalue: np.ndarray
    variance: float


def _truncation(dataset: xr.Dataset, cells: Sequence[Cell]) -> Iterator[Finding]:
    """Find sequences where twice as many coefficients would add to the risk at its best time.

    Coordinates of fixed and diagonal models are independent: under gradient flow the coefficients
    J + 1 … 2J add their own expected risk. For other models and optimizers the check takes Σ θ*_j²
    over these coefficients instead.
    """
    path = risk_path(dataset)
    if path is None:
        return
    best = path.values.isel(time=path.best)
    risks, times = best.values, best["time"].transpose(*best.dims).values
    shares, added = np.full(best.shape, np.nan), {}
    for cell in cells:
        risk = float(risks[cell.index])
        if _truncates(cell) and risk > 0:
            added[cell.index] = tail_risk(cell, float(times[cell.index]))
            shares[cell.index] = added[cell.index] / risk
    share = best.drop_vars("time").copy(data=shares)
    place = worst_place(share, TAIL)
    if place:
        index = tuple(place.position.values())
        design: Any = next(cell.design for cell in cells if cell.index == index)
        modes, extra = design.modes, added[index]
        yield Finding(
            check="truncation",
            estimator=cells[0].estimator,
            variable=path.variable,
            **place.named(),
            observation=f"the coefficients {modes + 1} to {2 * modes} would add {extra:.2g} to "
            f"the best risk {float(best.isel(place.position)):.3g}",
            advice="raise `modes` of the design: the risks, and even more their slopes, describe a "
            "shorter sequence",
        )


def _truncates(cell: Cell) -> bool:
    """Whether a cell cuts off a sequence that continues beyond its modes."""
    return isinstance(cell.design, GaussianSequence) and isinstance(cell.target, SequenceTarget)


def tail_risk(cell: Cell, time: float) -> float:
    """Expected risk, at one time, of the coefficients J + 1 … 2J that the cell leaves out."""
    design: Any = cell.design
    model: Any = cell.model
    truth = np.asarray(cell.target.values(None, np.arange(1.0, 2 * design.modes + 1)))
    if not isinstance(model, Fixed | Diagonal) or not _flows(cell):
        return float((truth[design.modes :] ** 2).sum())
    index = np.arange(design.modes + 1.0, 2 * design.modes + 1)
    tail = _Tail(truth[design.modes :], index**-model.gamma, design.noise**2 / design.n)
    if isinstance(model, Fixed):
        return float(expected_risk_fixed(*tail, [time])[0])
    b0 = tail.variance ** (0.5 / (model.depth + 2)) if model.b0 is None else model.b0
    return _diagonal_tail(tail, b0, model.depth, time)


def _flows(cell: Cell) -> bool:
    """Whether training is gradient flow."""
    return has(cell.optimizer, IsSpectral) and (
        declared(cell.optimizer, IsSpectral).algorithm().name == "flow"
    )


def _diagonal_tail(tail: _Tail, b0: float, depth: int, time: float) -> float:
    """Approximate expected risk of a diagonal model's tail: computed at a few coordinates with
    truth and a few without, and interpolated linearly in the index. Within 2% for power laws."""
    total = 0.0
    for part in (tail.truth != 0, tail.truth == 0):
        index = np.flatnonzero(part)
        if len(index):
            knots = np.unique(np.linspace(0, len(index) - 1, KNOTS).astype(int))
            chosen = tail._replace(
                truth=tail.truth[index[knots]], eigenvalue=tail.eigenvalue[index[knots]]
            )
            risk = _coarse_risk(chosen, b0, depth, time)
            total += float(np.interp(np.arange(len(index)), knots, risk).sum())
    return total


def _coarse_risk(tail: _Tail, b0: float, depth: int, time: float) -> np.ndarray:
    """E (θ(t; θ* + ξ) − θ*)² of each coordinate ``(n,)``, by the trapezoidal rule over ξ."""
    nodes = np.linspace(-REACH, REACH, NODES)
    weights: np.ndarray = np.exp(-(nodes**2) / 2)
    z = torch.from_numpy(tail.truth[:, None] + np.sqrt(tail.variance) * nodes)  # (n, q)
    spread = torch.from_numpy(tail.eigenvalue[:, None]).expand_as(z)
    start, clock = torch.full_like(z, b0).flatten(), torch.tensor([time], dtype=z.dtype)
    (estimate,) = coordinate_estimate(z.flatten(), spread.flatten(), start, depth, clock)
    error = estimate.view(z.shape).numpy() - tail.truth[:, None]
    return np.asarray(error**2 @ weights / weights.sum())


# --- invariants ---------------------------------------------------------------------------------


def _drift(dataset: xr.Dataset, cells: Sequence[Cell]) -> Iterator[Finding]:
    """Find conserved quantities that change by more than the integrator's tolerance explains."""
    names = [
        name
        for planned in cells[0].metrics
        if isinstance(planned.metric, InvariantDrift)
        for name in planned.names.values()
        if name in dataset
    ]
    for name in names:
        drift = over_replicates(dataset, name).max("time")
        allowed = np.full(drift.shape, np.nan)
        for cell in cells:
            allowed[cell.index] = tolerance(cell)
        excess = drift / allowed
        place = worst_place(excess, 1.0)
        if place:
            worst = float(drift.isel(place.position))
            yield Finding(
                check="integrator",
                severity="warning",
                estimator=cells[0].estimator,
                variable=name,
                **place.named(),
                observation=f"conserved quantities drift by {worst:.2g}, more than the "
                f"allowed {worst / float(excess.isel(place.position)):.1g}",
                advice="lower the optimizer's `rtol` and `atol`, or its step size: the path "
                "differs from gradient flow",
            )


def tolerance(cell: Cell) -> float:
    """The largest relative drift that a cell's training method explains."""
    optimizer: Any = cell.optimizer
    if optimizer.name != "gradient-flow":
        return STEPPED
    rounded = relative_rounding(cell.compute.dtype)
    if optimizer.route(cell.model) == "numeric":
        return float(max(INTEGRATED * optimizer.rtol, rounded))
    return float(max(INTEGRATED * getattr(cell.model, "rtol", 0.0), EXACT, rounded))
