"""The orthogonal sequence model with its basis, by exact rotations: the second route.

The flow of `orthogonal_flow` is split into two flows that are solved exactly:

- basis: d and α stand still, ``Ȧ = A skew(y vᵀ)`` turns y towards v in their common plane; the
  angle ψ between them obeys ``ψ̇ = −½‖y‖‖v‖ sin ψ``, so ``tan(ψ/2)`` decays exponentially and A is
  multiplied by one rank-two rotation;
- eigenvalues: A stands still, every coordinate is the depth-0 diagonal model from a general start,
  a Riccati equation in ``(d + α)²``.

They are composed to fourth order by the symmetric six-stage splitting of Blanes and Moan (J.
Comput. Appl. Math. 142, 2002, table 2). AᵀA = I, ``‖y‖`` and ``d² − α²`` hold to rounding at any
step size; steps are controlled by doubling, on vectors only, so that each accepted step turns the
matrix twelve times at O(J²).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch

from testbed_sequence.numerics.orthogonal_flow import (
    TRAINABLE,
    Matrices,
    check_trainable,
    fitted_weight,
    grown,
)

if TYPE_CHECKING:
    from torch import Tensor

_GROW = (0.0792036964311957, 0.353172906049774, -0.0420650803577195)
_TURN = (0.209515106613362, -0.143851773179818)
GROW = (*_GROW, 1 - 2 * sum(_GROW), *_GROW[::-1])  # seven stages of the eigenvalues' flow
TURN = (
    *_TURN,
    0.5 - sum(_TURN),
    0.5 - sum(_TURN),
    *_TURN[::-1],
)  # six stages of the basis' flow, between them
MOST_STEPS = 200_000


class Rotation(NamedTuple):
    """A rotation in the plane of orthonormal f and g, each ``(r, n)``."""

    forward: Tensor  # f = v/‖v‖
    aside: Tensor  # g: direction of y's part orthogonal to f
    sine: Tensor  # (r, 1)
    versine: Tensor  # 1 − cosine (r, 1)


class Vectors(NamedTuple):
    """The vectors that determine the motion, each ``(r, n)``."""

    observed: Tensor  # y = Aᵀz
    scale: Tensor  # d
    weight: Tensor  # α
    eigenvalue: Tensor  # d² − α², conserved


def matrix_flow(
    z: Tensor,
    start: Matrices,
    times: Sequence[float],
    *,
    since: float = 0.0,
    train: Collection[str] = TRAINABLE,
    rtol: float = 1e-10,
    atol: float = 1e-12,
) -> Matrices:
    """Path of the orthogonal model at non-decreasing ``times``, each part with a time axis before
    its last axes: ``basis (..., time, mode, mode)``, ``scale`` and ``weight (..., time, mode)``.

    ``z (..., mode)`` is fixed; the observation in the coordinates of the basis is ``Aᵀz``. Local
    errors of ``(Aᵀz, d, α)`` stay below ``atol + rtol |·|``. One step size per replicate.
    """
    check_trainable(train)
    batch, modes = z.shape[:-1], z.shape[-1]
    basis = start.basis.expand(*batch, modes, modes).reshape(-1, modes, modes).double().clone()
    scale, weight, moving = (x.expand_as(z).reshape(-1, modes).double() for x in (*start[1:], z))
    observed = torch.bmm(moving[:, None], basis)[:, 0]
    vectors = Vectors(observed, scale, weight, (scale - weight) * (scale + weight))
    march = _March(basis, vectors, since, train, rtol, atol)
    record = [march.to(time, times[-1]) for time in times]
    parts = (torch.stack(part, 1).to(z.dtype) for part in zip(*record, strict=True))
    return Matrices(*(part.reshape(*batch, len(times), *part.shape[2:]) for part in parts))


class _March:
    """The state of every row: basis, vectors, clock, next step."""

    def __init__(
        self,
        basis: Tensor,
        vectors: Vectors,
        since: float,
        train: Collection[str],
        rtol: float,
        atol: float,
    ) -> None:
        self.basis, self.vectors, self.train = basis, vectors, train
        self.rtol, self.atol = rtol, atol
        y, scale, _, _ = vectors
        self.clock = y.new_full(y.shape[:1], since)
        self.step = 0.1 / ((scale**2).amax(1) + (y * y).sum(1)).clamp(min=1e-300)

    def to(self, end: float, last: float) -> tuple[Tensor, Tensor, Tensor]:
        """Basis, d and α at ``end``; rows that rest until ``last`` need no further work."""
        for _ in range(MOST_STEPS):
            rows = (self.clock < end).nonzero()[:, 0]
            if not len(rows):
                break
            self._advance(rows, end)
            self._finish_slow(rows, last)
        self.basis[self.clock < end] = torch.nan
        return self.basis.clone(), self.vectors.scale, self.vectors.weight

    def _advance(self, rows: Tensor, end: float) -> None:
        """One attempted step of each of the rows, against two of half its size."""
        before = Vectors(*(part[rows] for part in self.vectors))
        wanted, remaining = self.step[rows], end - self.clock[rows]
        step = torch.minimum(wanted, remaining)
        step_map, _ = composed(before, step, self.train)
        middle, first = composed(before, step / 2, self.train)
        after, second = composed(middle, step / 2, self.train)
        error = self._error(before, step_map, after)
        good = error <= 1
        factor = torch.nan_to_num(0.9 * error.clamp(min=1e-10) ** -0.2, nan=0.2).clamp(0.2, 5.0)
        cut = good & (step < wanted)
        self.step[rows] = torch.where(cut, torch.maximum(wanted, step * factor), step * factor)
        kept = rows[good]
        for rotation in (*first, *second):
            self.basis[kept] = turned(self.basis[kept], Rotation(*(x[good] for x in rotation)))
        parts = (p.index_copy(0, kept, n[good]) for p, n in zip(self.vectors, after, strict=True))
        self.vectors = Vectors(*parts)
        clock = torch.where(step < remaining, self.clock[rows] + step, end)
        self.clock[kept] = clock[good]
        lost = rows[~good & ~(step > 1e-14 * self.clock[rows].abs())]
        self.basis[lost], self.clock[lost] = torch.nan, torch.inf

    def _finish_slow(self, rows: Tensor, last: float) -> None:
        """A row rests if its speed, kept up to the end, moves it by less than the tolerance."""
        remaining = (last - self.clock[rows])[:, None]
        resting = torch.ones_like(rows, dtype=torch.bool)
        vectors = Vectors(*(part[rows] for part in self.vectors))
        for part, speed in zip(vectors, _velocity(vectors), strict=False):
            resting &= (speed.abs() * remaining <= self.atol + self.rtol * part.abs()).all(1)
        self.clock[rows[resting]] = torch.inf

    def _error(self, before: Vectors, coarse: Vectors, fine: Vectors) -> Tensor:
        sizes = []
        for old, rough, new in zip(before[:3], coarse[:3], fine[:3], strict=True):
            scale = self.atol + self.rtol * torch.maximum(old.abs(), new.abs())
            sizes.append(((rough - new).abs() / scale).amax(1))
        return torch.stack(sizes).amax(0)


def _velocity(vectors: Vectors) -> tuple[Tensor, Tensor, Tensor]:
    """ẏ, ḋ and α̇ with everything trained: zero only where nothing moves at all."""
    y, scale, weight, _ = vectors
    fitted = scale * weight
    residual = y - fitted
    along, length = ((x * y).sum(1, keepdim=True) for x in (fitted, y))
    return 0.5 * (length * fitted - along * y), weight * residual, scale * residual


def composed(
    vectors: Vectors, step: Tensor, train: Collection[str]
) -> tuple[Vectors, list[Rotation]]:
    """One step ``(r,)`` of the fourth-order composition, and the rotations it made."""
    width = step[:, None]
    if "basis" not in train:
        return _moved(vectors, width, "eigenvalues" in train), []
    rotations: list[Rotation] = []
    for stage, share in enumerate(GROW):
        vectors = _moved(vectors, share * width, "eigenvalues" in train)
        if stage < len(TURN):
            vectors, rotation = aligned(vectors, TURN[stage] * width)
            rotations.append(rotation)
    return vectors, rotations


def _moved(vectors: Vectors, step: Tensor, eigenvalues: bool) -> Vectors:
    """Exact flow of the eigenvalues and α, or of α alone, with the basis held."""
    if not eigenvalues:
        return vectors._replace(weight=fitted_weight(*vectors[:3], step))
    scale, weight = grown(*vectors, step)
    return vectors._replace(scale=scale, weight=weight)


def aligned(vectors: Vectors, step: Tensor) -> tuple[Vectors, Rotation]:
    """Exact flow of the basis alone: y turns towards v, ``tan(ψ/2) → tan(ψ/2) e^{−½‖y‖‖v‖t}``."""
    y, scale, weight, _ = vectors
    fitted = scale * weight
    length = fitted.norm(dim=1, keepdim=True)
    forward = fitted / length.clamp(min=1e-300)
    along = (y * forward).sum(1, keepdim=True)
    beside = y - along * forward
    width = beside.norm(dim=1, keepdim=True)
    aside = beside / width.clamp(min=1e-300)
    half = torch.tan(torch.atan2(width, along) / 2)  # tan(ψ/2)
    exponent = -0.5 * torch.hypot(along, width) * length * step
    swing = -half * torch.expm1(exponent) / (1 + half * half * torch.exp(exponent))  # tan(φ/2)
    versine = 2 * swing * swing / (1 + swing * swing)
    rotation = Rotation(forward, aside, 2 * swing / (1 + swing * swing), versine)
    return vectors._replace(observed=turned(y[:, None], rotation)[:, 0]), rotation


def turned(rows: Tensor, rotation: Rotation) -> Tensor:
    """Each row ``(r, m, n)`` rotated from g towards f: ``A → A Gᵀ``, a product of rank two."""
    forward, aside, sine, versine = rotation
    plane = torch.stack((forward, aside), 1)  # (r, 2, n)
    moved = torch.stack((-versine * forward - sine * aside, sine * forward - versine * aside), 1)
    return torch.baddbmm(rows, torch.bmm(rows, plane.mT), moved)
