"""Energies beyond a rank, from which span dimension, feature error and projection risks follow.

A spectrum's coordinates are ordered by decreasing eigenvalue; for the truth's coefficients θ in
that order, tail(k) = Σ_{i>k} θ_i² + outside, k = 0 … J. Exact eigenvalues that tie are ordered by
their index, as in the source. Where a solver has found the eigenvectors (`Spectrum.resolution`),
those of one eigenspace, the null space among them, have no order, and every rotation of them is as
good: energies are then shared evenly between them, which is the mean over all rotations. Tails stay
monotone, so that all bounds hold. Functions act on the last axis and work under torch.func.vmap.
Sources: arXiv:2509.20294 (effective span dimension), arXiv:2412.18756 §4.3.3 (projections).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from testbed.contract.values import Spectrum

if TYPE_CHECKING:
    from torch import Tensor


def order(spectrum: Spectrum) -> Tensor:
    """Positions of the coordinates by decreasing eigenvalue, ties by index, (modes,)."""
    return torch.sort(-spectrum.eigenvalue, dim=-1, stable=True).indices


def resolution(eigenvalue: Tensor) -> Tensor:
    """Distance up to which eigenvalues (…, n) of a matrix of n rows are one eigenvalue, (…):
    4√n·eps·s_max, several times what a solver's rounding moves them by.

    >>> resolution(torch.ones(4).double()) == 8 * torch.finfo(torch.float64).eps
    tensor(True)
    """
    rounding = 4 * eigenvalue.shape[-1] ** 0.5 * torch.finfo(eigenvalue.dtype).eps
    return rounding * eigenvalue.amax(-1)


def eigenspace(spectrum: Spectrum) -> Tensor:
    """Number of the eigenspace that each coordinate of the learned order belongs to, (modes,)."""
    value = torch.gather(spectrum.eigenvalue, -1, order(spectrum))
    if spectrum.resolution is None:
        return torch.arange(value.shape[-1], device=value.device).expand(value.shape)
    separated = value[..., :-1] - value[..., 1:] > spectrum.resolution.unsqueeze(-1)
    first = torch.zeros_like(value[..., :1], dtype=torch.int64)
    return torch.cat([first, torch.cumsum(separated, -1)], -1)


def ranked_energy(spectrum: Spectrum, energy: Tensor) -> Tensor:
    """Energies (modes,) along the learned order, shared evenly within eigenspaces.

    >>> value = torch.tensor([1.0, 1.0, 3.0])
    >>> spectrum = Spectrum(value, value, value, value, value[0], torch.tensor(0.1))
    >>> ranked_energy(spectrum, torch.tensor([4.0, 0.0, 7.0]))
    tensor([7., 2., 2.])
    """
    energy = torch.gather(energy, -1, order(spectrum))
    if spectrum.resolution is None:
        return energy
    space = eigenspace(spectrum)
    total = torch.zeros_like(energy).scatter_add(-1, space, energy)
    count = torch.zeros_like(energy).scatter_add(-1, space, torch.ones_like(energy))
    return torch.gather(total / count.clamp_min(1), -1, space)


def tails(truth: Tensor, outside: Tensor) -> Tensor:
    """tail(k) of coefficients in their order, k = 0 … J, (modes + 1,)."""
    return energy_tails(truth.square(), outside)


def energy_tails(energy: Tensor, outside: Tensor) -> Tensor:
    """The same of their squares. Summed from the end, so that zeros are exact."""
    sums = torch.flip(torch.cumsum(torch.flip(energy, (-1,)), -1), (-1,))
    end = torch.zeros_like(sums[..., :1])
    return torch.cat([sums, end], -1) + outside.unsqueeze(-1)


def ordered_tails(spectrum: Spectrum) -> Tensor:
    """tail(k) of the truth along the learned order, (modes + 1,)."""
    return energy_tails(ranked_energy(spectrum, spectrum.truth.square()), spectrum.outside)


def span_dimension(tail: Tensor, tau: Tensor) -> Tensor:
    """d†(τ) = min{k ≥ 1 : H(k) ≤ τ}, H(k) = tail(k)/k; NaN where no computed rank attains it.

    `tail` (modes + 1,), `tau` (…,) → (…,). arXiv:2509.20294, Definition 3.1. H never increases, so
    the dimension is one more than the number of ranks above the threshold.

    >>> truth = torch.tensor([0.0, 2.0, 0.0, 1.0]).double()
    >>> tail = tails(truth, torch.tensor(0.0).double())
    >>> span_dimension(tail, torch.tensor([0.4, 0.3, 0.0]).double()).tolist()
    [3.0, 4.0, 4.0]
    """
    rank = torch.arange(1, tail.shape[-1], dtype=tail.dtype, device=tail.device)
    height = tail[..., 1:] / rank  # (modes,)
    above = (height > tau.unsqueeze(-1)).sum(-1)
    dimension = (above + 1).to(tail.dtype)
    return torch.where(above == rank.shape[0], torch.nan, dimension)


def projection_risks(tail: Tensor, noise: Tensor) -> Tensor:
    """Risk kε² + tail(k) of keeping the first k observed coordinates, k = 0 … J, (modes + 1,)."""
    rank = torch.arange(tail.shape[-1], dtype=tail.dtype, device=tail.device)
    return rank * noise.unsqueeze(-1) + tail


def projection_errors(spectrum: Spectrum) -> Tensor:
    """Error Σ_{i≤k} (z_i − θ_i)² + tail(k) on this observation, k = 0 … J, (modes + 1,)."""
    error = ranked_energy(spectrum, (spectrum.observed - spectrum.truth).square())
    kept = torch.cumsum(error, -1)
    return torch.cat([torch.zeros_like(kept[..., :1]), kept], -1) + ordered_tails(spectrum)
