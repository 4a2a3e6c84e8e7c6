"""Eigenpairs of empirical kernels under the weights of the points."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from testbed.contract.values import Data, Spectrum
from testbed.numerics.spans import resolution

if TYPE_CHECKING:
    from torch import Tensor


def eigenpairs(gram: Tensor, root: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues (…, n), largest first, and eigenvectors (…, n, n) of W^{1/2} K W^{1/2}.

    `root` is W^{1/2}, (…, n). Rounding below 0 is cut off. A matrix with a number that is not
    finite has NaN everywhere and leaves the others of its batch alone.
    """
    scaled = root.unsqueeze(-1) * gram * root.unsqueeze(-2)
    finite = torch.isfinite(scaled).flatten(-2).all(-1)[..., None, None]
    value, vectors = torch.linalg.eigh(torch.where(finite, scaled, 0.0))
    value = torch.where(finite[..., 0], value.clamp_min(0), torch.nan)
    return value.flip(-1), torch.where(finite, vectors, torch.nan).flip(-1)


def empirical_spectrum(value: Tensor, vectors: Tensor, data: Data, fitted: Tensor) -> Spectrum:
    """Coefficients on the eigenfunctions that are normalised to the weights, Σ w e_j² = 1.

    At the points e_j = U_j/√w, and a coefficient is Σ w e_j g. There are as many as points, so that
    nothing of the truth is outside. All with a leading replicate axis; of several outputs
    coefficients have a last axis.
    """
    root = data.weight.sqrt()

    def coefficients(values: Tensor) -> Tensor:
        if values.ndim > root.ndim:
            return vectors.mT @ (root.unsqueeze(-1) * values)
        return ((root * values).unsqueeze(-2) @ vectors).squeeze(-2)

    outside = torch.zeros_like(root[..., 0])
    parts = (value, coefficients(data.truth), coefficients(fitted), coefficients(data.y), outside)
    return Spectrum(*parts, resolution(value))
