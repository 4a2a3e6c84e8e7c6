"""Kernels, ready to be computed tile by tile.

A kernel is two pure functions: `embed` transforms each input by itself, `tile` makes a block of
kernel values from two sets of embedded points. Most tiles are functions of inner products; on the
diagonal of a Gram matrix these are replaced by `Points.square`, so that k(x, x) is exact. Kernels
of the difference x − x' measure inputs from a centre, since a common shift of all inputs would cost
inner products digits, and take differences where the inputs lie many lengths apart.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import product
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np
import torch
from scipy import special

if TYPE_CHECKING:
    from torch import Tensor

Lengths = float | Sequence[float]  # one for all coordinates, or one for each
Profile: TypeAlias = "Callable[[Tensor, float], Tensor]"
"""‖x − x'‖², ℓ → values; may overwrite its argument."""
FAR = 16.0  # lengths from the centre, from where on squared distances are sums of squares


class Points(NamedTuple):
    """Inputs in the form that a kernel reads."""

    rows: Tensor  # (n, p) their inner products enter the tiles
    square: Tensor  # (n,) the exact inner product of a row with itself
    layers: Tensor | None = None  # (statistics, n) of networks: factors of each layer
    parts: tuple[Points, ...] = ()  # of sums and products: the points of each of their kernels
    direct: bool = False  # whether their distances are those of differences

    def block(self, chosen: slice) -> Points:
        """Some of the points."""
        layers = None if self.layers is None else self.layers[:, chosen]
        parts = tuple(part.block(chosen) for part in self.parts)
        return Points(self.rows[chosen], self.square[chosen], layers, parts, self.direct)


class Kernel(NamedTuple):
    """k(x, x') on the points that `embed` makes of inputs."""

    embed: Callable[[Tensor, Tensor], Points]  # (n, …) inputs, (d,) centre → points
    tile: Callable[[Points, Points, bool], Tensor]  # points, points', whether they are the same


def flat(x: Tensor) -> Tensor:
    """Inputs as a matrix: (n,) → (n, 1), (n, h, w) → (n, h·w)."""
    return x.reshape(x.shape[0], -1)


def of_products(
    embed: Callable[[Tensor, Tensor], Points], tile: Callable[[Tensor, Points, Points], Tensor]
) -> Kernel:
    """k(x, x') = tile(⟨rows, rows'⟩, points, points'); the tile may overwrite the products."""

    def values(left: Points, right: Points, same: bool) -> Tensor:
        return tile(products(left, right, same), left, right)

    return Kernel(embed, values)


def products(left: Points, right: Points, same: bool) -> Tensor:
    """⟨rows, rows'⟩, (a, b)."""
    inner = left.rows @ right.rows.mT
    if same:
        inner.diagonal().copy_(left.square)
    return inner


# --- combinations ---------------------------------------------------------------------------------


def scaled(kernel: Kernel, factor: float) -> Kernel:
    """factor·k."""
    if factor == 1:
        return kernel
    return Kernel(kernel.embed, lambda *block: kernel.tile(*block).mul_(factor))


def weighted_sum(first: Kernel, second: Kernel, weights: Sequence[float]) -> Kernel:
    """w₁k₁ + w₂k₂."""
    left_weight, right_weight = weights
    base = scaled(first, left_weight)
    return _combined(base, second, lambda left, right: left.add_(right, alpha=right_weight))


def pointwise_product(first: Kernel, second: Kernel) -> Kernel:
    """k₁k₂."""
    return _combined(first, second, lambda left, right: left.mul_(right))


def _combined(first: Kernel, second: Kernel, combine: Callable[[Tensor, Tensor], Tensor]) -> Kernel:
    def embed(x: Tensor, centre: Tensor) -> Points:
        parts = first.embed(x, centre), second.embed(x, centre)
        return parts[0]._replace(parts=parts)

    def tile(left: Points, right: Points, same: bool) -> Tensor:
        (left_first, left_second), (right_first, right_second) = left.parts, right.parts
        return combine(
            first.tile(left_first, right_first, same), second.tile(left_second, right_second, same)
        )

    return Kernel(embed, tile)


# --- kernels of the difference --------------------------------------------------------------------


def radial(profile: Profile, bandwidth: Lengths) -> Kernel:
    """k(x, x') = profile(‖x − x'‖², ℓ); with a length for each coordinate
    profile(Σ_i (x_i − x'_i)²/ℓ_i², 1)."""
    length = _common(bandwidth)

    def embed(x: Tensor, centre: Tensor) -> Points:
        return _spread(_rows(x, centre, bandwidth), length)

    def tile(left: Points, right: Points, same: bool) -> Tensor:
        return profile(_squares(left, right, same), length)

    return Kernel(embed, tile)


def _common(bandwidth: Lengths) -> float:
    """The length by which profiles divide: 1 where each coordinate has been divided by its own."""
    return bandwidth if isinstance(bandwidth, int | float) else 1.0


def _rows(x: Tensor, centre: Tensor, bandwidth: Lengths) -> Tensor:
    rows = flat(x) - centre if bool(centre.any()) else flat(x)  # most often no copy is needed
    return rows if isinstance(bandwidth, int | float) else rows / x.new_tensor(bandwidth)


def _spread(rows: Tensor, length: float) -> Points:
    square = rows.square().sum(1)
    return Points(rows, square, direct=bool((square > (FAR * length) ** 2).any()))


def _squares(left: Points, right: Points, same: bool) -> Tensor:
    """‖x − x'‖², (a, b): by inner products, which lose what is below eps‖x‖², while that is nothing
    on the scale of the length; else by differences, which take three to seven times as long."""
    if left.direct or right.direct:
        mode = "donot_use_mm_for_euclid_dist"
        return torch.cdist(left.rows, right.rows, compute_mode=mode).square_()
    inner = products(left, right, same)
    return inner.mul_(-2).add_(left.square[:, None]).add_(right.square).clamp_min_(0)


def rbf(bandwidth: Lengths) -> Kernel:
    """exp(−‖x − x'‖²/(2ℓ²))."""
    return radial(lambda squares, length: squares.mul_(-0.5 / length**2).exp_(), bandwidth)


def laplace(bandwidth: Lengths) -> Kernel:
    """exp(−‖x − x'‖/ℓ)."""
    return radial(lambda squares, length: squares.sqrt_().mul_(-1 / length).exp_(), bandwidth)


def laplace_of_sums(bandwidth: Lengths) -> Kernel:
    """exp(−Σ_i |x_i − x'_i|/ℓ_i), by differences: no inner product has this distance."""
    length = _common(bandwidth)

    def embed(x: Tensor, centre: Tensor) -> Points:
        return _spread(_rows(x, centre, bandwidth), length)

    def tile(left: Points, right: Points, same: bool) -> Tensor:
        return torch.cdist(left.rows, right.rows, p=1).mul_(-1 / length).exp_()

    return Kernel(embed, tile)


def periodic(period: float, bandwidth: Lengths) -> Kernel:
    """exp(−2 Σ_i sin²(π(x_i − x'_i)/p)/ℓ_i²): the Gaussian kernel between points of circles, one
    for each coordinate (MacKay 1998), positive semidefinite in every dimension."""

    def embed(x: Tensor, centre: Tensor) -> Points:
        angle = (flat(x) - centre) * (2 * math.pi / period)
        circles = torch.stack([angle.cos(), angle.sin()]) / x.new_tensor(bandwidth)  # (2, n, d)
        return _spread(torch.cat(circles.unbind(), 1), 1.0)

    return Kernel(embed, rbf(1.0).tile)


def matern(nu: float, bandwidth: Lengths) -> Kernel:
    """Matérn kernel 2^{1−ν}/Γ(ν) u^ν K_ν(u), u = √(2ν)‖x − x'‖/ℓ (Rasmussen and Williams 2006,
    equations 4.14 and 4.16): e^{−u} times a polynomial for ν = ½, 3/2, 5/2, …; others by SciPy's
    Bessel functions, on the CPU."""
    value = _half_integer(round(nu - 0.5)) if (nu - 0.5).is_integer() else _bessel(nu)

    def profile(squares: Tensor, length: float) -> Tensor:
        return value(squares.sqrt_().mul_(math.sqrt(2 * nu) / length))

    return radial(profile, bandwidth)


def _half_integer(p: int) -> Callable[[Tensor], Tensor]:
    """e^{−u} p!/(2p)! Σ_m (2p − m)!/((p − m)! m!) (2u)^m, ν = p + ½."""
    powers = [
        2**m * math.comb(p, m) * math.factorial(2 * p - m) / math.factorial(2 * p)
        for m in range(p + 1)
    ]

    def value(u: Tensor) -> Tensor:
        total = torch.full_like(u, powers[-1])
        for power in reversed(powers[:-1]):
            total.mul_(u).add_(power)
        return total.mul_(u.neg_().exp_())

    return value


def _bessel(nu: float) -> Callable[[Tensor], Tensor]:
    def value(u: Tensor) -> Tensor:
        argument = u.cpu().numpy().astype(float)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            log = nu * np.log(argument) + np.log(special.kve(nu, argument)) - argument
        values = np.exp(log - (nu - 1) * math.log(2) - math.lgamma(nu))
        return torch.from_numpy(np.where(np.isfinite(log), values, argument == 0)).to(u)

    return value


def rational_quadratic(alpha: float, bandwidth: Lengths) -> Kernel:
    """(1 + ‖x − x'‖²/(2αℓ²))^{−α} (Rasmussen and Williams 2006, equation 4.19)."""

    def profile(squares: Tensor, length: float) -> Tensor:
        return squares.mul_(0.5 / (alpha * length**2)).log1p_().mul_(-alpha).exp_()

    return radial(profile, bandwidth)


# --- inner-product kernels and features -----------------------------------------------------------


def inner_product(profile: Callable[[Tensor], Tensor]) -> Kernel:
    """k(x, x') = profile(⟨x, x'⟩)."""

    def embed(x: Tensor, centre: Tensor) -> Points:
        return Points(flat(x), flat(x).square().sum(1))

    return of_products(embed, lambda inner, left, right: profile(inner))


def polynomial(degree: int, scale: float, offset: float) -> Kernel:
    """(scale·⟨x, x'⟩ + offset)^degree."""
    return inner_product(lambda inner: inner.mul_(scale).add_(offset).pow_(degree))


def power_series(coefficients: Sequence[float]) -> Kernel:
    """Σ_j a_j ⟨x, x'⟩^j by Horner's rule."""

    def profile(inner: Tensor) -> Tensor:
        total = torch.full_like(inner, coefficients[-1])
        for coefficient in reversed(coefficients[:-1]):
            total.mul_(inner).add_(coefficient)
        return total

    return inner_product(profile)


def half_lattice(dim: int, largest: int) -> list[tuple[int, ...]]:
    """One of every pair {m, −m} of non-zero integer vectors with |m_i| ≤ largest: those whose first
    non-zero entry is positive; ordered by |m|², then lexicographically."""
    zero = (0,) * dim
    half = [m for m in product(range(-largest, largest + 1), repeat=dim) if m > zero]
    return sorted(half, key=lambda m: (sum(k * k for k in m), m))


def torus_features(x: Tensor, frequencies: Sequence[tuple[int, ...]]) -> Tensor:
    """1, then √2cos(π⟨m, x⟩), √2sin(π⟨m, x⟩) for each m: orthonormal on [−1, 1)^d, (n, 1 + 2M)."""
    m = torch.tensor(frequencies, dtype=x.dtype, device=x.device).reshape(len(frequencies), -1)
    if not frequencies:
        return torch.ones_like(x[:, :1])
    phase = math.pi * (flat(x) @ m.mT)  # (n, M)
    waves = math.sqrt(2) * torch.stack([phase.cos(), phase.sin()], 2)
    return torch.cat([torch.ones_like(phase[:, :1]), waves.flatten(1)], 1)


def torus_eigenvalues(frequencies: Sequence[tuple[int, ...]], smoothness: float) -> list[float]:
    """λ_m = (1 + |m|²)^{−r} in the order of `torus_features`: each but the first twice."""
    values = [(1.0 + sum(k * k for k in m)) ** -smoothness for m in frequencies]
    return [1.0, *(value for value in values for _ in range(2))]


def torus(dim: int, largest: int, smoothness: float) -> Kernel:
    """Σ_m λ_m e_m(x) e_m(x') over |m_i| ≤ largest, λ_m = (1 + |m|²)^{−r}."""
    frequencies = half_lattice(dim, largest)
    scales = [math.sqrt(value) for value in torus_eigenvalues(frequencies, smoothness)]

    def embed(x: Tensor, centre: Tensor) -> Points:
        rows = torus_features(x, frequencies) * x.new_tensor(scales)
        return Points(rows, rows.square().sum(1))

    return of_products(embed, lambda inner, left, right: inner)
