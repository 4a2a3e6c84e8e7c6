"""Kernel regression with a kernel that was learned from the data before the readout is fitted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from attrs import frozen

from testbed import (
    POINTS,
    Data,
    Eigensystem,
    HasBasis,
    HasEigensystem,
    HasGram,
    HasSpectrum,
    Model,
    ModelFacts,
    ParameterError,
    Problem,
    Spectrum,
    UnsuitableError,
    parameter,
)
from testbed.numerics.spans import resolution

if TYPE_CHECKING:
    from torch import Tensor

State: TypeAlias = "dict[str, Tensor]"  # the learned features η
Prepared = dict[str, Any]
ROOT_DIM = "sqrt-dim"


@frozen(kw_only=True)
class LearnedKernel(Model, HasEigensystem, HasSpectrum, HasBasis, HasGram):
    """f_t = k_η(·, X) α_t from f₀ = 0, η learned beforehand and fixed over t; not offered itself.

    α̇ = W(y − K α) on the rows X that the readout is fitted on, W their loss weights: gradient flow
    and every spectral filter act on the eigensystem of K/n, ridge at time t with parameter 1/t for
    K/n, that is n/t for K. Subclasses learn η (`learn`) and compute k_η (`kernel`).
    """

    input_scale: float | str = parameter(
        1.0, help='factor of the inputs, or "sqrt-dim" for √d, which gives points of the unit '
        "sphere coordinates of variance 1", gt=0,
    )  # fmt: skip

    def __attrs_post_init__(self) -> None:
        if isinstance(self.input_scale, str) and self.input_scale != ROOT_DIM:
            raise ParameterError(
                f"found {self.input_scale!r}", f"a number or {ROOT_DIM!r}", parameter="input_scale"
            )

    def facts(self) -> ModelFacts:
        return ModelFacts(batching="loop", coordinates="function", learns="preparation")

    # --- methods of subclasses ----------------------------------------------------------------

    def rows(self, data: Data) -> Tensor | None:
        """The training rows that the readout is fitted on; None: all."""
        return None

    def learn(self, drawn: Any, data: Data) -> State:
        """η from the training data, inputs scaled."""
        raise NotImplementedError

    def kernel(self, state: State, x: Tensor, second: Tensor | None = None) -> Tensor:
        """k_η(x, second) on scaled inputs, (n, n'); k_η(x, x) if `second` is None."""
        raise NotImplementedError

    def pairs(self, state: State, x: Tensor, gram: Tensor, root: Tensor) -> tuple[Tensor, Tensor]:
        """Eigenvalues s ≥ 0, largest first, (k,), and eigenvectors, (n, k), of W^{1/2} K W^{1/2}:
        all, or those of a kernel of rank k < n that are not in its null space."""
        return eigenpairs(gram, root)

    # --- the contract of models ---------------------------------------------------------------

    def scaled(self, x: Tensor) -> Tensor:
        """The inputs multiplied by the input scale."""
        factor = x.shape[-1] ** 0.5 if isinstance(self.input_scale, str) else self.input_scale
        return factor * x

    defined_on = POINTS

    def prepare(self, drawn: Any, problem: Problem) -> Prepared:
        self.expect_points(problem)
        data = problem.train._replace(x=self.scaled(problem.train.x))
        state, rows = self.learn(drawn, data), self.rows(data)
        x, weight = data.x, data.weight
        if rows is not None:
            x, weight = x[rows], torch.full_like(weight[rows], 1 / len(rows))
        gram, root = self.kernel(state, x), weight.sqrt()
        value, vectors = self.pairs(state, x, gram, root)
        return {
            "state": state, "rows": rows, "x": x, "root": root, "gram": gram, "value": value,
            "vectors": vectors,
        }  # fmt: skip

    def expect_points(self, problem: Problem) -> None:
        """UnsuitableError unless the training data are finite vectors with finite observations."""
        x, y = problem.train.x, problem.train.y
        if x.ndim != 2:
            raise UnsuitableError(
                f"{self.name}: found inputs of shape {tuple(x.shape)}, expected vectors (n, d); "
                "choose a design of points"
            )
        if not bool(torch.isfinite(x).all() and torch.isfinite(y).all()):
            raise UnsuitableError(
                f"{self.name}: found NaN or infinite numbers in the training data, expected "
                "finite ones; correct these points or leave them out"
            )

    def start(self, drawn: Any, prepared: Prepared, problem: Problem) -> Tensor:
        return torch.zeros_like(_fitted_rows(problem.train.y, prepared))

    def probe(self, prepared: Prepared, x: Tensor) -> Tensor:
        """k_η(x, X), (m, rows)."""
        x, train_x = self.scaled(x), prepared["x"]
        if x.shape == train_x.shape and torch.equal(x, train_x):
            gram: Tensor = prepared["gram"]
            return gram
        return self.kernel(prepared["state"], x, train_x)

    def predict(self, prepared: Prepared, params: Tensor, probe: Tensor) -> Tensor:
        return probe @ params

    def gradient(
        self, prepared: Prepared, params: Tensor, problem: Problem, rows: Tensor | None = None
    ) -> Tensor:
        """W(Kα − y), minus the velocity of the dual coefficients. Of a batch of training rows only
        those that the readout is fitted on count."""
        residual = prepared["gram"] @ params - _fitted_rows(problem.train.y, prepared)
        slope = _columnwise(prepared["root"], residual).square() * residual
        if rows is None:
            return slope
        taken = torch.zeros_like(problem.train.weight)
        share = len(taken) / len(rows)
        taken = taken.index_add(0, rows, torch.full_like(taken[rows], share))
        return _columnwise(_fitted_rows(taken, prepared), slope) * slope

    def eigensystem(self, prepared: Prepared) -> Eigensystem:
        value, vectors = prepared["value"], prepared["vectors"]
        return Eigensystem(value, vectors, torch.zeros_like(prepared["root"]), prepared["rows"])

    def spectrum(
        self, prepared: Prepared, params: Tensor, problem: Problem, kernel: str, points: str
    ) -> Spectrum:
        """Eigenpairs of k_η under the empirical law of the points, largest eigenvalue first.

        With points = "train" these are the training rows that the readout is fitted on.
        Eigenfunctions have Σ w e_j² = 1. `outside` is the part of the truth outside their span,
        which is not 0 where the kernel's rank is below the number of points.
        """
        if points == "train":
            root, value, vectors = prepared["root"], prepared["value"], prepared["vectors"]
            truth, y = (_fitted_rows(of, prepared) for of in (problem.train.truth, problem.train.y))
            fitted = prepared["gram"] @ params
        else:
            data = problem.test
            root, truth, y = data.weight.sqrt(), data.truth, data.y
            x = self.scaled(data.x)
            value, vectors = self.pairs(
                prepared["state"], x, self.kernel(prepared["state"], x), root
            )
            fitted = self.predict(prepared, params, self.probe(prepared, data.x))

        def in_basis(values: Tensor) -> Tensor:
            return vectors.mT @ (_columnwise(root, values) * values)

        coefficients, size = in_basis(truth), _columnwise(root, truth) * truth
        outside = (size.square().sum() - coefficients.square().sum()).clamp_min(0)
        return Spectrum(
            value, coefficients, in_basis(fitted), in_basis(y), outside, resolution(value)
        )

    def basis(self, prepared: Prepared, params: Tensor) -> Tensor:
        vectors: Tensor = prepared["vectors"]
        return vectors

    def gram(self, prepared: Prepared, params: Tensor, x: Tensor, kernel: str) -> Tensor:
        return self.kernel(prepared["state"], self.scaled(x))


def eigenpairs(gram: Tensor, root: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues s ≥ 0, largest first, (n,), and eigenvectors as columns of W^{1/2} K W^{1/2}."""
    value, vectors = torch.linalg.eigh(root[:, None] * gram * root)
    return value.clamp_min(0).flip(0), vectors.flip(1)


def _fitted_rows(values: Tensor, prepared: Prepared) -> Tensor:
    rows = prepared["rows"]
    return values if rows is None else values[rows]


def _columnwise(root: Tensor, values: Tensor) -> Tensor:
    """The root (n,) in a shape that multiplies values (n,) or (n, outputs)."""
    return root if values.ndim == 1 else root[:, None]
