"""Adaptive integration of gradient flows by Dormand and Prince's methods.

For y' = f(y), y of shape (replicates, size). Both methods are explicit: a flow whose fastest rate
is r costs at least about r·t/3.3 steps (fifth order) to reach time t, whatever the tolerance. A
budget of evaluations ends an integration that would never end, and `finished` says so.

Every replicate has its own step size, so that a replicate alone gives the same numbers as in a
batch, up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import torch

if TYPE_CHECKING:
    from torch import Tensor

Field: TypeAlias = "Callable[[Tensor], Tensor]"
"""(replicates, size) → (replicates, size): the right-hand side f, row by row."""
Rate: TypeAlias = "Callable[[Tensor], Tensor]"
"""(replicates, size) → (replicates,): a bound of the fastest rate, the spectral radius of f'."""

QUIET = 1e-3  # share of the tolerance that a state at rest may still move
STAYS = 1.0  # growth rate × time left, up to which a disturbance counts as staying small
LOOK = 200  # steps between two looks at the rates of a long march
DAMPED = 2.0  # step × fastest rate at which errors in fast directions die out in a few steps
STABLE = 3.0  # largest step × rate; the eighth-order method's real stability ends near 6


class Method(NamedTuple):
    """An embedded pair of explicit Runge–Kutta methods; the last slope starts the next step."""

    stages: Tensor  # (stages, stages) lower triangular; the first row is empty
    errors: Tensor  # (estimates, stages): weights of the slopes in each estimate of the error
    order: int  # the error of a step of length h grows like h^order


@cache
def fifth_order() -> Method:
    """Dormand and Prince's 5(4) pair with local extrapolation (J. Comput. Appl. Math. 6, 1980)."""
    rows = (
        (),
        (1 / 5,),
        (3 / 40, 9 / 40),
        (44 / 45, -56 / 15, 32 / 9),
        (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
        (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
        (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
    )
    error = (71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)
    stages = torch.tensor([row + (0.0,) * (7 - len(row)) for row in rows], dtype=torch.float64)
    return Method(stages, torch.tensor([error], dtype=torch.float64), 5)


@cache
def eighth_order() -> Method:
    """Dormand and Prince's 8(5,3) method: DOP853 of Hairer, Nørsett and Wanner (Solving Ordinary
    Differential Equations I, II.10), with the coefficients that SciPy publishes."""
    from scipy.integrate import DOP853  # takes most of a second to import

    stages = torch.zeros(13, 13, dtype=torch.float64)
    stages[:12, :12] = torch.from_numpy(DOP853.A)
    stages[12, :12] = torch.from_numpy(DOP853.B)
    estimates = torch.stack([torch.from_numpy(part.copy()) for part in (DOP853.E5, DOP853.E3)])
    return Method(stages, estimates, 8)


class Rates(NamedTuple):
    """Eigenvalues of f' at a state y, (size,), of a replicate, found where they are needed."""

    fastest: Callable[[int, Tensor], float]  # −λ_min, the fastest decay
    growth: Callable[[int, Tensor], float]  # λ_max, the fastest growth


class State(NamedTuple):
    """The state of an integration, for each replicate, from which it can continue."""

    y: Tensor  # (replicates, size)
    step: Tensor  # (replicates,) the next step to try; 0: not chosen yet
    evaluations: Tensor  # (replicates,) right-hand sides so far, int64


class Trajectory(NamedTuple):
    """States at the asked times, and where the integrator stands."""

    states: Tensor  # (replicates, times, size)
    evaluations: Tensor  # (replicates, times) right-hand sides so far
    state: State
    finished: Tensor  # (replicates,) bool: False where the evaluation budget ended first


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
    method: Method | None = None,
    rtol: float = 1e-6,
    atol: float = 1e-9,
    max_evaluations: int = 1_000_000,
    rate: Rate | None = None,
    rates: Rates | None = None,
) -> Trajectory:
    """Integrate y' = field(y) from `since` through non-decreasing `times`; fifth order by default.

    Each replicate's local error, the maximum over coordinates of error/(atol + rtol·|y|), stays
    below 1 in every step. With a bound `rate` of the fastest rate, steps stay well inside the
    region of stability: a flow that comes to rest then reaches it to rounding, and a replicate
    whose speed, kept up to the last time, would stay below the tolerance, is left where it is.

    Without a bound, steps at the edge of stability keep fast directions from coming to rest. With
    `rates`, a march of 200 steps that is at that edge goes on with shorter ones; a replicate whose
    speed, kept up to the last time, would move it by less than a thousandth of the tolerance, and
    where disturbances do not grow meanwhile, is left where it is.

    A replicate that would need more than `max_evaluations` right-hand sides, or whose step
    underflows, is NaN from there on and not `finished`.
    """
    march = _March(field, method or fifth_order(), rtol, atol, max_evaluations, rate, rates)
    clock = torch.full_like(state.step, since)
    finished = torch.isfinite(state.y).all(1)
    recorded, evaluations = [], []
    for time in times:
        state, clock, finished = march.to(time, times[-1], state, clock, finished)
        recorded.append(torch.where(finished[:, None], state.y, torch.nan))
        evaluations.append(state.evaluations)
    return Trajectory(torch.stack(recorded, 1), torch.stack(evaluations, 1), state, finished)


class _March(NamedTuple):
    """A field with its integration method and tolerances."""

    field: Field
    method: Method
    rtol: float
    atol: float
    max_evaluations: int
    rate: Rate | None
    rates: Rates | None

    def to(
        self, end: float, last: float, state: State, clock: Tensor, finished: Tensor
    ) -> tuple[State, Tensor, Tensor]:
        """Advance every unfinished replicate to `end`, each by its own steps."""
        y, step, evaluations = state
        active = finished & (clock < end)
        if not bool(active.any()):
            return state, clock, finished
        slope = self.field(y)
        evaluations = evaluations + active
        clock = torch.where(active & self._rests(y, slope, last - clock), end, clock)
        active = finished & (clock < end)
        step = torch.where(step > 0, step, self._first_step(y, slope))
        bar, cap, count = torch.full_like(step, QUIET), torch.full_like(step, torch.inf), 0
        clock, bar = self._settled(y, slope, clock, (end, last), active, bar)
        active = finished & (clock < end)
        while bool(active.any()):
            count += 1
            if self.rates is not None and count % LOOK == 0:
                cap = self._damped(self.rates, y, step, active)
            remaining = end - clock
            wanted = torch.minimum(step, cap if self.rate is None else STABLE / self.rate(y))
            arrives = wanted >= remaining * (1 - 1e-12)
            trial = torch.where(arrives, remaining, wanted)
            new, new_slope, error = self._step(y, slope, trial)
            evaluations = evaluations + (len(self.method.stages) - 1) * active
            accepted = active & (error <= 1)
            step = torch.where(active, self._next_step(wanted, trial, error, accepted), step)
            clock = torch.where(accepted, torch.where(arrives, end, clock + trial), clock)
            y = torch.where(accepted[:, None], new, y)
            slope = torch.where(accepted[:, None], new_slope, slope)
            tiny = step <= 1e-15 * clock.abs().clamp_min(1e-300)
            lost = (evaluations > self.max_evaluations) | tiny
            finished = finished & ~(active & ~(accepted & arrives) & lost)
            active = finished & (clock < end)
            clock, bar = self._settled(y, slope, clock, (end, last), active, bar)
            active = finished & (clock < end)
        return State(y, step, evaluations), clock, finished

    def _rests(self, y: Tensor, slope: Tensor, remaining: Tensor) -> Tensor:
        """Whether a replicate's speed, kept up to the end, stays below the tolerance."""
        if self.rate is None:
            return torch.zeros_like(remaining, dtype=torch.bool)
        return (slope.abs() * remaining[:, None] <= self.atol + self.rtol * y.abs()).all(1)

    def _damped(self, rates: Rates, y: Tensor, step: Tensor, active: Tensor) -> Tensor:
        """The longest step that damps fast directions, of replicates at the edge of stability."""
        cap = torch.full_like(step, torch.inf)
        for row in active.nonzero()[:, 0].tolist():
            fastest = rates.fastest(row, y[row])
            if float(step[row]) * fastest > DAMPED:
                cap[row] = DAMPED / fastest
        return cap

    def _settled(
        self, y: Tensor, slope: Tensor, clock: Tensor, ends: tuple[float, float], active: Tensor,
        bar: Tensor,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """The clocks, at the end for replicates at rest, and the distance, in tolerances, below
        which the others are looked at again."""
        if self.rates is None:
            return clock, bar
        end, last = ends
        left = last - clock
        distance = _largest(slope * left[:, None] / (self.atol + self.rtol * y.abs()))
        for row in (active & (distance <= bar)).nonzero()[:, 0].tolist():
            clock, bar = clock.clone(), bar.clone()
            if self.rates.growth(row, y[row]) * float(left[row]) <= STAYS:
                clock[row] = end
            else:
                bar[row] = 0.1 * distance[row]
        return clock, bar

    def _first_step(self, y: Tensor, slope: Tensor) -> Tensor:
        """Hairer, Nørsett and Wanner's starting step (Solving ODEs I, II.4), its first guess."""
        scale = self.atol + self.rtol * y.abs()
        size, speed = _largest(y / scale), _largest(slope / scale)
        return torch.where((size > 1e-5) & (speed > 1e-5), 0.01 * size / speed, 1e-6)

    def _next_step(self, wanted: Tensor, trial: Tensor, error: Tensor, accepted: Tensor) -> Tensor:
        """The step to try next: longer after a small error, a fifth where nothing is finite."""
        factor = (0.9 * error.clamp_min(1e-10) ** (-1 / self.method.order)).clamp(0.2, 5.0)
        # a step cut short by a recorded time says nothing against the longer one it was cut from
        cut = accepted & (trial < wanted)
        grown = torch.where(cut, torch.maximum(wanted, trial * factor), trial * factor)
        return torch.where(torch.isfinite(error), grown, trial * 0.2)

    def _step(self, y: Tensor, slope: Tensor, step: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The state after one step, its slope, and the error in units of the tolerance."""
        width = step[:, None]
        stages, errors = self.method.stages.to(y), self.method.errors.to(y)
        slopes = y.new_empty(len(stages), *y.shape)
        slopes[0] = slope
        flat = slopes.view(len(stages), -1)
        for stage in range(1, len(stages)):
            change = (stages[stage, :stage] @ flat[:stage]).view_as(y)
            new = torch.addcmul(y, width, change)
            slopes[stage] = self.field(new)
        scale = self.atol + self.rtol * torch.maximum(y.abs(), new.abs())
        estimates = [_largest((weights @ flat).view_as(y) * width / scale) for weights in errors]
        return new, slopes[-1], _combined(*estimates)


def _largest(values: Tensor) -> Tensor:
    # the largest coordinate, not the mean: thousands of resting modes must not dilute a moving one
    return values.abs().amax(1)


def _combined(high: Tensor, low: Tensor | None = None) -> Tensor:
    """The error of a step; the estimate of higher order, damped where that of lower order is
    larger (Hairer, Nørsett and Wanner, II.10), where there are two."""
    if low is None:
        return high
    return high**2 / torch.sqrt(high**2 + 0.01 * low**2).clamp(min=1e-300)
