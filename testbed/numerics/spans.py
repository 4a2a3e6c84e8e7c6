"""Energies beyond a rank: what span dimension, feature error and projection risks are made of.

A spectrum's coordinates are ordered by decreasing eigenvalue, ties by index; for the truth's
coefficients θ in that order, tail(k) = Σ_{i>k} θ_i² + outside, k = 0 … J. Functions act on the last
axis and work under torch.func.vmap. Sources: arXiv:2509.20294 (effective span dimension),
arXiv:2412.18756 §4.3.3 (projections).
"""

from __future__ import annotations

import torch
from torch import Tensor

from testbed.contract.values import Spectrum


def order(spectrum: Spectrum) -> Tensor:
    """Positions of the coordinates by decreasing eigenvalue, ties by index, (modes,)."""
    return torch.sort(-spectrum.eigenvalue, dim=-1, stable=True).indices


def tails(truth: Tensor, outside: Tensor) -> Tensor:
    """tail(k) for k = 0 … J, (modes + 1,). Summed from the end, so that zeros are exact."""
    energy = truth.square()
    sums = torch.flip(torch.cumsum(torch.flip(energy, (-1,)), -1), (-1,))
    end = torch.zeros_like(sums[..., :1])
    return torch.cat([sums, end], -1) + outside.unsqueeze(-1)


def ordered_tails(spectrum: Spectrum) -> Tensor:
    """tail(k) of the truth along the learned order, (modes + 1,)."""
    truth = torch.gather(spectrum.truth, -1, order(spectrum))
    return tails(truth, spectrum.outside)


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
    ranked = order(spectrum)
    error = torch.gather(spectrum.observed - spectrum.truth, -1, ranked).square()
    kept = torch.cumsum(error, -1)
    return torch.cat([torch.zeros_like(kept[..., :1]), kept], -1) + ordered_tails(spectrum)
