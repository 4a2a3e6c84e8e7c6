"""Adaptive integration of gradient flows, one step size per replicate.

Dormand and Prince's 5(4) pair with local extrapolation (J. Comput. Appl. Math. 6, 1980) for
y' = f(y), y of shape (replicates, size). It is explicit: a flow whose fastest rate is r costs at
least about r·t/3.3 steps to reach time t, whatever the tolerance; the evaluation budget ends a run
that would take for ever, and says so, instead of returning something else.

Replicates advance on their own clocks: none sees another's step size, so one alone gives the
numbers it gives in a batch, to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

Field = Callable[[Tensor], Tensor]

_A = (
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
_ERROR = (71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)


class Trajectory(NamedTuple):
    """States at the asked times, and where the integrator stands."""

    states: Tensor  # (replicates, times, size)
    evaluations: Tensor  # (replicates, times) right-hand sides so far
    state: State
    finished: Tensor  # (replicates,) bool: False where the evaluation budget ended first


class State(NamedTuple):
    """What is needed to go on: everything per replicate."""

    y: Tensor  # (replicates, size)
    step: Tensor  # (replicates,) the next step to try; 0: not chosen yet
    evaluations: Tensor  # (replicates,) right-hand sides so far, int64


def begin(y: Tensor) -> State:
    """The state at time 0."""
    count = y.shape[0]
    return State(y, y.new_zeros(count), torch.zeros(count, dtype=torch.int64, device=y.device))


def integrate(
    field: Field,
    state: State,
    since: float,
    times: Sequence[float],
    *,
    rtol: float = 1e-6,
    atol: float = 1e-9,
    max_evaluations: int = 1_000_000,
) -> Trajectory:
    """Integrate y' = field(y) from `since` through increasing `times`.

    Each replicate's local error, the maximum over coordinates of error/(atol + rtol·|y|), stays
    below 1 in every step.
    A replicate that would need more than `max_evaluations` right-hand sides, or whose step
    underflows, is NaN from there on and not `finished`.
    """
    recorded, evaluations = [], []
    clock = torch.full_like(state.step, since)
    finished = torch.isfinite(state.y).all(1)
    for time in times:
        state, clock, finished = _march(
            field, state, clock, time, finished, rtol, atol, max_evaluations
        )
        recorded.append(torch.where(finished[:, None], state.y, torch.nan))
        evaluations.append(state.evaluations)
    return Trajectory(torch.stack(recorded, 1), torch.stack(evaluations, 1), state, finished)


def _march(
    field: Field,
    state: State,
    clock: Tensor,
    end: float,
    finished: Tensor,
    rtol: float,
    atol: float,
    max_evaluations: int,
) -> tuple[State, Tensor, Tensor]:
    """Advance every unfinished replicate to `end`, each by its own steps."""
    y, step, evaluations = state
    slope = field(y)
    active = finished & (clock < end)
    evaluations = evaluations + active
    step = torch.where(step > 0, step, _first_step(y, slope, rtol, atol))
    while bool(active.any()):
        remaining = end - clock
        last = step >= remaining * (1 - 1e-12)
        trial = torch.where(last, remaining, step)
        new, new_slope, error = _dormand_prince(field, y, slope, trial, rtol, atol)
        evaluations = evaluations + 6 * active
        accepted = active & (error <= 1)
        factor = (0.9 * error.clamp_min(1e-10) ** -0.2).clamp(0.2, 5.0)
        # a step cut short by a recorded time says nothing against the longer one it was cut from
        grown = torch.where(last & accepted, torch.maximum(step, trial * factor), trial * factor)
        step = torch.where(active, torch.nan_to_num(grown, nan=0.0, posinf=0.0), step)
        step = torch.where(active & ~torch.isfinite(error), trial * 0.2, step)
        clock = torch.where(accepted, torch.where(last, end, clock + trial), clock)
        y = torch.where(accepted[:, None], new, y)
        slope = torch.where(accepted[:, None], new_slope, slope)
        lost = (evaluations > max_evaluations) | (step <= 1e-15 * clock.abs().clamp_min(1e-300))
        finished = finished & ~(active & ~(accepted & last) & lost)
        active = finished & (clock < end)
    return State(y, step, evaluations), clock, finished


def _first_step(y: Tensor, slope: Tensor, rtol: float, atol: float) -> Tensor:
    """Hairer, Nørsett and Wanner's starting step (Solving ODEs I, II.4), its first guess."""
    scale = atol + rtol * y.abs()
    size, speed = _norm(y / scale), _norm(slope / scale)
    return torch.where((size > 1e-5) & (speed > 1e-5), 0.01 * size / speed, 1e-6)


def _norm(values: Tensor) -> Tensor:
    # the largest coordinate, not the mean: thousands of resting modes must not dilute a moving one
    return values.abs().amax(1)


def _dormand_prince(
    field: Field, y: Tensor, slope: Tensor, step: Tensor, rtol: float, atol: float
) -> tuple[Tensor, Tensor, Tensor]:
    """One step: the fifth-order state, its slope (first same as last) and the scaled error."""
    width = step[:, None]
    slopes = [slope]
    for row in _A:
        change = sum(weight * k for weight, k in zip(row, slopes, strict=True) if weight)
        new = y + width * change
        slopes.append(field(new))
    error = width * sum(w * k for w, k in zip(_ERROR, slopes, strict=True) if w)
    scale = atol + rtol * torch.maximum(y.abs(), new.abs())
    return new, slopes[-1], _norm(error / scale)
