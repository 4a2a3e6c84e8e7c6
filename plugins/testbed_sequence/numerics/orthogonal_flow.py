"""Gradient flow of the sequence model with a learned basis: ``θ = A diag(d) α``.

Squared loss ``½‖z − A diag(d) α‖²``, all parameters trained from ``A = I, d = √λ, α = 0``
(arXiv:2412.18756, sections 4.3.2 and 4.3.3; the initialisation of the paper was not available,
this one is testbed's choice). With ``y = Aᵀz``, ``v = d∘α``, ``e = y − v``:

    ḋ = α∘e,   α̇ = d∘e,   Ȧ = A skew(y vᵀ)   (A orthogonal),   Ȧ = (z − Av) vᵀ   (A free).

With A orthogonal the flow closes on (y, d, α): ``ẏ = ½(‖y‖² v − ⟨v, y⟩ y)``, and any other vector
in the coordinates of the moving basis, ``u = Aᵀx``, follows ``u̇ = ½(⟨y, u⟩ v − ⟨v, u⟩ y)``. A is
never formed: a step costs O(J). ``d² − α² = λ`` and ``‖y‖`` are conserved.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch

from testbed.numerics.integrate import Field, begin, eighth_order, integrate

if TYPE_CHECKING:
    from torch import Tensor

TRAINABLE = frozenset({"basis", "eigenvalues"})


class Reduced(NamedTuple):
    """State in the moving basis, each ``(..., mode)``; a path has ``(..., time, mode)``."""

    observed: Tensor  # y = Aᵀz
    scale: Tensor  # d, the square roots of the learned eigenvalues
    weight: Tensor  # α
    truth: Tensor  # u = Aᵀθ*


class Matrices(NamedTuple):
    """State with its basis ``(..., mode, mode)``, eigenvectors in columns; others as above."""

    basis: Tensor  # A
    scale: Tensor  # d
    weight: Tensor  # α


def reduced_start(z: Tensor, eigenvalue: Tensor, truth: Tensor) -> Reduced:
    """``A = I, d = √λ, α = 0`` for observations ``z (..., mode)``."""
    scale = eigenvalue.sqrt().expand_as(z)
    return Reduced(z, scale, torch.zeros_like(z), truth.expand_as(z))


def matrix_start(z: Tensor, eigenvalue: Tensor) -> Matrices:
    """``A = I, d = √λ, α = 0`` for observations ``z (..., mode)``."""
    basis = torch.eye(z.shape[-1], dtype=z.dtype, device=z.device)
    basis = basis.expand(*z.shape, z.shape[-1])
    return Matrices(basis, eigenvalue.sqrt().expand_as(z), torch.zeros_like(z))


def reduced_flow(
    start: Reduced,
    times: Sequence[float],
    *,
    since: float = 0.0,
    train: Collection[str] = TRAINABLE,
    rtol: float = 1e-10,
    atol: float = 1e-12,
) -> Reduced:
    """Path of the orthogonal model at non-decreasing ``times``, each part ``(..., time, mode)``.

    ``train`` names what moves in addition to α: "basis" (A), "eigenvalues" (d). Adaptive
    Runge–Kutta, one step size per replicate; closed forms where the basis is held. Batch axes lead.
    """
    check_trainable(train)
    if "basis" not in train:
        return _held(start, times, since, "eigenvalues" in train)
    batch, modes = start.observed.shape[:-1], start.observed.shape[-1]
    packed = torch.stack([part.expand_as(start.observed) for part in start], -2)
    path = integrate(
        reduced_field(modes, train),
        begin(packed.reshape(-1, 4 * modes).double()),
        since,
        times,
        method=eighth_order(),
        rtol=rtol,
        atol=atol,
        rate=lambda state: _fastest(state.view(-1, 4, modes)),
    ).states.to(start.observed.dtype)
    return Reduced(*path.reshape(*batch, len(times), 4, modes).unbind(-2))


def _held(start: Reduced, times: Sequence[float], since: float, eigenvalues: bool) -> Reduced:
    """The path with A held: every coordinate by itself, in closed form."""
    y, scale, weight, truth = (x.expand_as(start.observed).unsqueeze(-2) for x in start)
    clock = torch.as_tensor(times, dtype=y.dtype, device=y.device)[:, None] - since  # (t, 1)
    if eigenvalues:
        moved = grown(y, scale, weight, (scale - weight) * (scale + weight), clock)
    else:
        moved = scale, fitted_weight(y, scale, weight, clock)
    return Reduced(*torch.broadcast_tensors(y, *moved, truth))


def reduced_field(modes: int, train: Collection[str] = TRAINABLE) -> Field:
    """Velocity of ``(y, d, α, Aᵀθ*)`` packed into rows of ``4·modes``, O(J) a row: A moves, and d
    moves if ``train`` contains it.
    """

    def field(state: Tensor) -> Tensor:
        y, scale, weight, _ = state.view(-1, 4, modes).unbind(1)
        fitted = scale * weight
        residual = y - fitted
        velocity = torch.zeros_like(state).view(-1, 4, modes)
        products = torch.bmm(state.view(-1, 4, modes)[:, ::3], torch.stack((y, fitted), 2))
        with_y, with_v = (products / 2).unbind(2)  # ½⟨·, y⟩, ½⟨·, v⟩ of y and Aᵀθ* (r, 2)
        velocity[:, ::3] = with_y[:, :, None] * fitted[:, None] - with_v[:, :, None] * y[:, None]
        if "eigenvalues" in train:
            velocity[:, 1] = weight * residual
        velocity[:, 2] = scale * residual
        return velocity.view_as(state)

    return field


def _fastest(state: Tensor) -> Tensor:
    """Bound of the rate at which the flow comes to rest: ``max(d² + α²) + ½‖y‖(‖y‖ + ‖v‖)``."""
    y, scale, weight, _ = state.unbind(1)
    diagonal = (scale**2 + weight**2).amax(1)
    length = y.norm(dim=1)
    return diagonal + 0.5 * length * (length + (scale * weight).norm(dim=1)) + 1e-300


def grown(
    observed: Tensor, scale: Tensor, weight: Tensor, eigenvalue: Tensor, time: Tensor
) -> tuple[Tensor, Tensor]:
    """d and α after ``time`` with the basis held: the depth-0 diagonal model from any start.

    ``eigenvalue`` is the conserved ``d² − α²``; all broadcast. For y ≥ 0 (else with α negated)
    ``q = (d + α)²`` obeys ``q̇ = ½(q₊ − q)(q − q₋)``, ``q± = 2y ± √(4y² + λ²)``, and
    ``d + α = √q``, ``d − α = λ/√q``. Negative times are allowed while the past exists.
    """
    sign = torch.where(observed < 0, -1.0, 1.0)
    square = (scale + sign * weight) ** 2
    reach = 2 * observed.abs()
    rate = torch.hypot(reach, eigenvalue)
    above = reach + rate - square  # q₊ − q
    below = square + eigenvalue**2 / (reach + rate).clamp(min=1e-300)  # q − q₋
    exponent = -rate * time
    change = -torch.expm1(exponent) * above * below
    moved = square + change / (below + above * torch.exp(exponent))
    total = torch.sqrt(torch.where(square > 0, moved, 0.0))  # d = α = 0 stays
    inverse = eigenvalue / torch.where(total > 0, total, 1.0)
    return (total + inverse) / 2, sign * (total - inverse) / 2


def fitted_weight(observed: Tensor, scale: Tensor, weight: Tensor, time: Tensor) -> Tensor:
    """α after ``time`` with basis and eigenvalues held: ``α̇ = d (y − dα)``."""
    gain = -torch.expm1(-scale * scale * time) / torch.where(scale != 0, scale, 1.0)
    return weight + (observed - scale * weight) * gain


def free_flow(
    z: Tensor,
    start: Matrices,
    times: Sequence[float],
    *,
    since: float = 0.0,
    train: Collection[str] = TRAINABLE,
    rtol: float = 1e-10,
    atol: float = 1e-12,
) -> Matrices:
    """Path with A unconstrained, each part with a time axis before its last axes: O(J²) a step.

    The learned spectrum is then that of ``A diag(d²) Aᵀ``, not d². Conserved: ``d² − α²`` and
    ``‖A_j‖² − d_j²``.
    """
    check_trainable(train)
    batch, modes = z.shape[:-1], z.shape[-1]
    sizes = (modes * modes, modes, modes, modes)
    basis = start.basis.expand(*batch, modes, modes).flatten(-2)
    packed = torch.cat([basis, *(x.expand_as(z) for x in (start.scale, start.weight, z))], -1)
    path = integrate(
        _free_field(modes, train),
        begin(packed.reshape(-1, sum(sizes)).double()),
        since,
        times,
        method=eighth_order(),
        rtol=rtol,
        atol=atol,
        rate=lambda state: _fastest_free(*_unpacked(state, modes)),
    ).states
    path = path.to(z.dtype).reshape(*batch, len(times), sum(sizes))
    basis, scale, weight, _ = path.split(sizes, -1)
    return Matrices(basis.unflatten(-1, (modes, modes)), scale, weight)


def _unpacked(state: Tensor, modes: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """A ``(r, n, n)``, d, α and z ``(r, n)`` of packed rows."""
    flat, scale, weight, z = state.split((modes * modes, modes, modes, modes), 1)
    return flat.view(-1, modes, modes), scale, weight, z


def _free_field(modes: int, train: Collection[str]) -> Field:
    def field(state: Tensor) -> Tensor:
        basis, scale, weight, z = _unpacked(state, modes)
        fitted = scale * weight
        error = z - torch.bmm(basis, fitted[:, :, None])[:, :, 0]  # z − Av
        residual = torch.bmm(error[:, None], basis)[:, 0]  # Aᵀ(z − Av)
        still = torch.zeros_like(z)
        turn = error[:, :, None] * fitted[:, None] if "basis" in train else torch.zeros_like(basis)
        grow = weight * residual if "eigenvalues" in train else still
        return torch.cat((turn.flatten(1), grow, scale * residual, still), 1)

    return field


def _fastest_free(basis: Tensor, scale: Tensor, weight: Tensor, z: Tensor) -> Tensor:
    """Bound of the rate at which the free flow rests: ``‖v‖² + ‖A‖² max(d² + α²)``."""
    size = basis.abs()
    norm = size.sum(1).amax(1) * size.sum(2).amax(1)  # ‖A‖₁‖A‖_∞ ≥ ‖A‖₂²
    diagonal = (scale**2 + weight**2).amax(1)
    return norm * diagonal + ((scale * weight) ** 2).sum(1) + 1e-300


def check_trainable(train: Collection[str]) -> None:
    """`train` may hold "basis" and "eigenvalues"."""
    if isinstance(train, str) or not set(train) <= TRAINABLE:
        raise ValueError(f"train must be a collection of {sorted(TRAINABLE)}, got {train!r}")
