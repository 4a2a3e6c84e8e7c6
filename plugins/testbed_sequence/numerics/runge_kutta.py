"""The Dormand–Prince 8(5,3) method, each replicate on its own clock.

Coefficients and error estimate are DOP853's of Hairer, Nørsett and Wanner (Solving Ordinary
Differential Equations I, II.10), as SciPy publishes them. Made for flows that come to rest: where a
bound of the fastest rate is known, steps stay well inside the region of stability, so that rest is
reached to rounding, noticed, and kept without further work.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

Field = Callable[[Tensor], Tensor]  # (replicates, size) → (replicates, size), autonomous
Rate = Callable[[Tensor], Tensor]  # (replicates, size) → (replicates,), bound of the fastest rate

STABLE = 3.0  # largest step × rate; the method's real stability ends near 6
MOST_STEPS = 200_000


class Tableau(NamedTuple):
    """Coefficients of the method."""

    stages: Tensor  # (12, 12)
    weights: Tensor  # (12,)
    fifth: Tensor  # (13,) of the error of order 5
    third: Tensor  # (13,) of the error of order 3


@cache
def tableau() -> Tableau:
    """SciPy's; imported on the first use, for that takes most of a second."""
    from scipy.integrate import DOP853

    parts = (DOP853.A, DOP853.B, DOP853.E5, DOP853.E3)
    return Tableau(*(torch.from_numpy(part.copy()) for part in parts))


def integrate(
    field: Field,
    start: Tensor,
    times: Sequence[float],
    *,
    since: float = 0.0,
    rtol: float = 1e-10,
    atol: float = 1e-12,
    rate: Rate | None = None,
) -> Tensor:
    """States of ``y' = field(y)`` at non-decreasing ``times``, ``y(since) = start (r, n)``.

    Returns ``(r, t, n)``. Local errors stay below ``atol + rtol |y|`` in every coordinate. A row
    that leaves the finite numbers, or whose step vanishes, is NaN from there on.
    """
    state = _State(field, start.clone(), since, rtol, atol, rate)
    path = start.new_empty(start.shape[0], len(times), start.shape[1])
    for index, time in enumerate(times):
        state.march(time)
        path[:, index] = state.y
        state.notice_rest(times[-1] - time)
    return path


class _State:
    """Where every row stands: value, slope, clock, next step."""

    def __init__(
        self, field: Field, y: Tensor, since: float, rtol: float, atol: float, rate: Rate | None
    ) -> None:
        self.field, self.rate, self.rtol, self.atol = field, rate, rtol, atol
        self.y, self.slope = y, field(y)
        self.clock = y.new_full(y.shape[:1], since)
        self.step = self._first_step()
        self.resting = torch.zeros(y.shape[:1], dtype=torch.bool, device=y.device)

    def _first_step(self) -> Tensor:
        """A step that moves no coordinate by more than a hundredth of the state's size."""
        size = self.y.abs().amax(1) + self.atol
        return 0.01 * size / self.slope.abs().amax(1).clamp(min=1e-300)

    def notice_rest(self, remaining: float) -> None:
        """A row rests if even its present speed, kept up to the end, stays below the tolerance."""
        self.resting |= (self.slope.abs() * remaining <= self.atol + self.rtol * self.y.abs()).all(
            1
        )

    def march(self, end: float) -> None:
        for _ in range(MOST_STEPS):
            rows = ((self.clock < end) & ~self.resting).nonzero()[:, 0]
            if not len(rows):
                break
            self._advance(rows, end)
        self.y[(self.clock < end) & ~self.resting] = torch.nan
        self.clock[self.resting] = end

    def _advance(self, rows: Tensor, end: float) -> None:
        """One attempted step of each of the rows."""
        y, wanted, remaining = self.y[rows], self.step[rows], end - self.clock[rows]
        if self.rate is not None:
            wanted = torch.minimum(wanted, STABLE / self.rate(y))
        step = torch.minimum(wanted, remaining)
        new, slope, error = dormand_prince(self.field, y, self.slope[rows], step)
        scale = self.atol + self.rtol * torch.maximum(y.abs(), new.abs())
        size = _combined(*(part / scale for part in error))
        good = size <= 1
        factor = torch.nan_to_num(0.9 * size.clamp(min=1e-10) ** -0.125, nan=0.2).clamp(0.2, 5.0)
        # a step cut short by a recorded time says nothing against the one it was cut from
        cut = good & (step < wanted)
        self.step[rows] = torch.where(cut, torch.maximum(wanted, step * factor), step * factor)
        kept = rows[good]
        self.y[kept], self.slope[kept] = new[good], slope[good]
        after = torch.where(step < remaining, self.clock[rows] + step, end)
        self.clock[kept] = after[good]
        lost = rows[~good & ~(step > 1e-14 * self.clock[rows].abs())]
        self.y[lost], self.clock[lost] = torch.nan, torch.inf


def dormand_prince(
    field: Field, y: Tensor, slope: Tensor, step: Tensor
) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor]]:
    """One step of every row: new state, new slope, and the errors of orders 5 and 3, ``(r, n)``."""
    width, (stages, weights, *errors) = step[:, None], (part.to(y) for part in tableau())
    slopes = y.new_empty(13, *y.shape)
    slopes[0] = slope
    flat = slopes.view(13, -1)
    for stage in range(1, 12):
        change = (stages[stage, :stage] @ flat[:stage]).view_as(y)
        slopes[stage] = field(torch.addcmul(y, width, change))
    new = torch.addcmul(y, width, (weights @ flat[:12]).view_as(y))
    slopes[12] = field(new)
    fifth, third = ((error @ flat).view_as(y) * width for error in errors)
    return new, slopes[12], (fifth, third)


def _combined(fifth: Tensor, third: Tensor) -> Tensor:
    """The method's error: the fifth-order estimate, damped where the third-order one is larger."""
    high, low = fifth.abs().amax(1), third.abs().amax(1)
    return high**2 / torch.sqrt(high**2 + 0.01 * low**2).clamp(min=1e-300)
