"""Deep linear networks near the identity, with the population spectrum of their kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from attrs import frozen

from testbed import HasExactSpectrum, Problem, Rng, Spectrum, UnsuitableError, Withheld, parameter
from testbed.numerics.spans import resolution
from testbed_networks.models.network import Network, Params, outputs_of
from testbed_networks.numerics import linear

if TYPE_CHECKING:
    from torch import Tensor


@frozen(kw_only=True)
class DeepLinear(Network, HasExactSpectrum):
    """f(x) = aᵀ W^D … W¹ x, square layers W^ℓ = I + s·N(0, 1), a readout a = a₀ + cI + s·N(0, 1),
    all trained by gradient descent on the clock τ = η·steps (arXiv:2509.20294, figure 5).

    In the readout, I means the first columns of the identity: e₁ for one output. With c = 1 the
    network starts near f(x) = x₁, as in the figure; with c = 0 near f = 0.

    Its learned kernel is xᵀ S x'. For inputs of covariance I (`isotropic`) the eigenfunctions of
    the population are ⟨v_j, x⟩, v_j the eigenvectors of S: the spectrum then holds
    the eigenvalues and the coefficients of the truth, ⟨v_j, β*⟩, of the fit, and of the
    observations, (1/n) Σ y_i ⟨v_j, x_i⟩, and the risk is exact. Otherwise the spectrum belongs to
    the Gram matrix on a sample.
    """

    name = "networks.deep-linear"
    references = ("arXiv:2509.20294",)

    depth: int = parameter(4, help="square layers D", ge=1)
    scale: float = parameter(0.01, help="standard deviation s of the random part", ge=0)
    readout: float = parameter(0.0, help="a₀ of the readout's start a₀ + cI + s·N(0, 1)")
    readout_identity: float = parameter(
        0.0, help="c of the readout's start; 1 as in arXiv:2509.20294: e₁ for one output"
    )
    isotropic: bool = parameter(
        False, help="inputs have mean 0 and covariance I, so that spectra are population spectra"
    )

    @property
    def width(self) -> int:
        return 1  # no activations are held

    def withheld(self) -> Withheld:
        sample = (
            f"the spectrum of {self.name} is the one of a sample; isotropic = true makes it exact"
        )
        return {} if self.isotropic else {HasExactSpectrum: sample}

    def draw(self, rng: Rng, problem: Problem) -> dict[str, np.ndarray]:
        self.expect_vectors(problem, batched=False)
        dim = int(problem.train.x.shape[-1])
        readout, layers = rng("model").spawn(2)
        start = readout.standard_normal((dim, *outputs_of(problem)))
        identity = np.eye(dim, start[0].size).reshape(start.shape)
        mean = self.readout + self.readout_identity * identity
        drawn = {"second": mean + self.scale * start}
        square = np.eye(dim) + self.scale * layers.standard_normal((self.depth, dim, dim))
        drawn["first"] = square[0]
        return drawn | {"hidden": square[1:]} if self.depth > 1 else drawn

    def function(self, params: Params, x: Tensor) -> Tensor:
        return linear.predict(params, x)

    def slope(self, params: Params, x: Tensor, y: Tensor, weight: Tensor) -> Params:
        return linear.gradient(params, x, y, weight)

    def kernel(self, params: Params, x: Tensor, second: Tensor | None, kernel: str) -> Tensor:
        right = x if second is None else second
        gram = x @ linear.metric(params, kernel) @ right.mT
        return 0.5 * (gram + gram.mT) if second is None else gram

    def spectrum(
        self, prepared: Params, params: Params, problem: Problem, kernel: str, points: str
    ) -> Spectrum:
        if not self.isotropic:
            return super().spectrum(prepared, params, problem, kernel, points)
        truth, data = self._truth(problem), problem.train
        value, vectors = _eigenpairs(linear.metric(params, kernel))
        fitted = linear.coefficients(params).squeeze(-1)
        observed = torch.einsum("rn,rn,rnd->rd", data.weight, data.y, data.x)

        def in_basis(values: Tensor) -> Tensor:
            return (vectors.mT @ values.unsqueeze(-1)).squeeze(-1)

        outside = torch.zeros_like(value[:, 0])
        parts = (value, in_basis(truth), in_basis(fitted), in_basis(observed), outside)
        return Spectrum(*parts, resolution(value))

    def _truth(self, problem: Problem) -> Tensor:
        """β*, (R, d); UnsuitableError where the truth is not ⟨β*, x⟩."""
        beta, data = problem.expansion.get("coefficients"), problem.train
        if beta is not None and beta.shape[-1] == data.x.shape[-1] and data.truth.ndim == 2:
            at_points = (data.x @ beta.unsqueeze(-1)).squeeze(-1)
            if torch.allclose(at_points, data.truth, rtol=1e-4, atol=1e-4):
                return beta
        raise UnsuitableError(
            f"{self.name}: found isotropic = true with a truth that is not linear, expected the "
            'target "linear"; or leave isotropic out'
        )


def _eigenpairs(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues (R, d), largest first, and eigenvectors (R, d, d); NaN where not finite."""
    finite = torch.isfinite(matrix).flatten(1).all(1)[:, None, None]
    value, vectors = torch.linalg.eigh(torch.where(finite, matrix, 0.0))
    value = torch.where(finite[..., 0], value.clamp_min(0), torch.nan)
    return value.flip(-1), torch.where(finite, vectors, torch.nan).flip(-1)
