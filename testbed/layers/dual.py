"""Kernel regression in dual coefficients: everything that follows from the Gram matrices.

A subclass says what the Gram matrix of the training points is, and the kernel between these and
others; training, filters and spectra follow. Authors write a `KernelModel`; kernels that need more
than their values (tiles, random starts, population spectra) derive from `DualModel` itself.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import torch
from attrs import frozen

from testbed.contract.capabilities import (
    HasBasis,
    HasEigensystem,
    HasFilterPath,
    HasFlow,
    HasGram,
    HasSpectrum,
)
from testbed.contract.components import Design, Model
from testbed.contract.facts import ModelFacts
from testbed.contract.parameters import parameter
from testbed.contract.spaces import POINTS
from testbed.contract.subjects import HasKernelMatrix
from testbed.contract.values import Drawn, Eigensystem, Fit, Parameters, Problem, Spectrum
from testbed.errors import UnsuitableError
from testbed.numerics.spans import resolution
from testbed.numerics.weighted_gram import WeightedGram, columnwise

if TYPE_CHECKING:
    from torch import Tensor

LARGEST_BY_PAIRS = 2048  # points up to which an eigendecomposition takes about a second

Prepared = Mapping[str, Any]
"""`root`: W^{1/2}; `gram`: the WeightedGram of the training points, which computes when it is
asked; `initial`: the random f₀, or None; `elsewhere`: kernel matrices at other points, of the
class `Elsewhere`; and what subclasses add."""


class Elsewhere:
    """Kernel matrices at other points than the training points, such as the test points: made when
    they are first asked for, and kept for the last points. Cells of a group share them."""

    def __init__(self) -> None:
        self._cross: tuple[Tensor, Tensor] | None = None
        self._gram: tuple[Tensor, Tensor, WeightedGram] | None = None

    def cross(self, x: Tensor, make: Callable[[], Tensor]) -> Tensor:
        """k(x, X), (m, n), X the training points."""
        if self._cross is None or not _equal(self._cross[0], x):
            self._cross = (x, make())
        return self._cross[1]

    def gram(self, x: Tensor, weight: Tensor, make: Callable[[], WeightedGram]) -> WeightedGram:
        """The weighted Gram matrix of the points x with these weights."""
        kept = self._gram
        if kept is None or not (_equal(kept[0], x) and _equal(kept[1], weight)):
            kept = self._gram = (x, weight, make())
        return kept[2]


def _equal(first: Tensor, second: Tensor) -> bool:
    return first.shape == second.shape and torch.equal(first, second)


class InitialFunction(Protocol):
    """A random f₀ at the training and test points of one replicate."""

    def expect_test(self, x: Tensor) -> None:
        """UnsuitableError unless x are the test points."""

    def added(self, values: Tensor, train: bool) -> Tensor:
        """values + f₀ at the training or the test points."""


@frozen(kw_only=True)
class DualModel(
    Model,
    HasFlow,
    HasEigensystem,
    HasFilterPath,
    HasSpectrum,
    HasBasis,
    HasGram,
    HasKernelMatrix,
):
    """f_t = f₀ + k(·, X) α_t: α̇ = W(y − f₀ − Kα), W the loss weights, 1/n for regression.

    With A = W^{1/2} K W^{1/2} = U diag(s) Uᵀ (A = K/n for regression) every filter is
    α_t = W^{1/2} U φ_t(s) Uᵀ W^{1/2} (y − f₀). f₀ = 0 unless a subclass prepares an `initial`.
    """

    route: str = parameter(
        "auto",
        help='"eigen" factorises, "krylov" builds one Krylov space for each observation and '
        'factorises where it does not converge; "auto" factorises up to 2048 points',
        choices=("auto", "eigen", "krylov"),
        role="route",
    )

    def facts(self) -> ModelFacts:
        return ModelFacts(batching="loop", threads="all", reads="inputs", coordinates="function")

    defined_on = POINTS

    # --- what a subclass says ---------------------------------------------------------------------

    @abstractmethod
    def weighted_gram(self, x: Tensor, root: Tensor) -> WeightedGram:
        """A on the points x (n, …); `root` is W^{1/2}, (n,)."""

    @abstractmethod
    def cross(self, prepared: Prepared, x: Tensor) -> Tensor:
        """k(x, X), (m, n), X the training points."""

    def kernel_matrix(self, prepared: Prepared, x: Tensor) -> Tensor:
        return self.cross(prepared, x)

    # --- training ---------------------------------------------------------------------------------

    def prepare(self, drawn: Drawn, problem: Problem) -> Prepared:
        data = problem.train
        self.expect_finite(data.x, "training inputs")
        root = data.weight.sqrt()
        gram = self.weighted_gram(data.x, root)
        return {"root": root, "gram": gram, "initial": None, "elsewhere": Elsewhere()}

    def expect_finite(self, values: Tensor, what: str) -> None:
        """UnsuitableError if some numbers are NaN or infinite; `what` says which they are."""
        count = int((~torch.isfinite(values)).sum())
        if count:
            raise UnsuitableError(
                f"{self.name}: found {count} numbers among the {what} that are NaN or infinite, "
                "expected finite ones; correct or leave out these points"
            )

    def start(self, drawn: Drawn, prepared: Prepared, problem: Problem) -> Tensor:
        self.expect_finite(problem.train.y, "observations")
        return torch.zeros_like(problem.train.y)

    def probe(self, prepared: Prepared, x: Tensor) -> Tensor | WeightedGram:
        gram: WeightedGram = prepared["gram"]
        if _equal(x, gram.x):
            return gram  # the training points: their exact, symmetric matrix, held once
        if prepared["initial"] is not None:
            prepared["initial"].expect_test(x)
        self.expect_finite(x, "test inputs")
        elsewhere: Elsewhere = prepared["elsewhere"]
        return elsewhere.cross(x, lambda: self.cross(prepared, x))

    def predict(self, prepared: Prepared, params: Tensor, probe: Tensor | WeightedGram) -> Tensor:
        values = probe.values(params) if isinstance(probe, WeightedGram) else probe @ params
        initial: InitialFunction | None = prepared["initial"]
        return values if initial is None else initial.added(values, isinstance(probe, WeightedGram))

    def gradient(
        self, prepared: Prepared, params: Tensor, problem: Problem, rows: Tensor | None = None
    ) -> Tensor:
        """W(f₀ + Kα − y): minus the velocity of the dual coefficients, not the gradient in them."""
        data = problem.train
        residual = self.predict(prepared, params, prepared["gram"]) - data.y
        slope = columnwise(data.weight, residual) * residual
        if rows is None:
            return slope
        share = len(data.weight) / len(rows)
        return torch.zeros_like(slope).index_add(0, rows, share * slope[rows])

    def flow(self, fit: Fit, last: Parameters, since: float, times: Sequence[float]) -> Tensor:
        return self.path(fit, "flow", times)

    def path(self, fit: Fit, name: str, times: Sequence[float], **options: float) -> Tensor:
        """Dual coefficients of one replicate along a filter's path, (times, n) or (times, n,
        outputs), with this model's solver."""
        gram: WeightedGram = fit.prepared["gram"]
        residual = fit.problem.train.y
        if fit.prepared["initial"] is not None:
            residual = residual - fit.prepared["initial"].added(torch.zeros_like(residual), True)
        return gram.filter_path(residual, name, times, self.by_krylov(len(residual)), **options)

    def by_krylov(self, count: int) -> bool:
        """Whether to try a Krylov space first for paths on this many points."""
        return self.route == "krylov" or (self.route == "auto" and count > LARGEST_BY_PAIRS)

    # --- spectra ----------------------------------------------------------------------------------

    def eigensystem(self, prepared: Prepared) -> Eigensystem:
        """The start is f₀ of one output; filters of several outputs take `path`."""
        value, vectors = prepared["gram"].pairs()
        start = torch.zeros_like(value)
        if prepared["initial"] is not None:
            start = prepared["initial"].added(start, True)
        return Eigensystem(value, vectors, start)

    def spectrum(
        self, prepared: Prepared, params: Tensor, problem: Problem, kernel: str, points: str
    ) -> Spectrum:
        """Eigenpairs of the kernel under the empirical law of the points, largest first.

        Eigenfunctions are normalised to the weights, Σ w e_j² = 1: at the points e_j = U_j/√w, and
        a coefficient is Σ w e_j g. There are as many as points, so that `outside` is 0.
        """
        data = problem.train if points == "train" else problem.test
        if points == "train":
            gram = prepared["gram"]
            fitted = self.predict(prepared, params, gram)
        else:
            elsewhere: Elsewhere = prepared["elsewhere"]
            gram = elsewhere.gram(
                data.x, data.weight, lambda: self.weighted_gram(data.x, data.weight.sqrt())
            )
            fitted = self.predict(prepared, params, self.probe(prepared, data.x))
        root, (value, vectors) = gram.root, gram.pairs()

        def coefficients(values: Tensor) -> Tensor:
            return (vectors.mT @ (columnwise(root, values) * values)).flip(0)

        outside = torch.zeros_like(root[0])
        parts = (
            value.flip(0),
            coefficients(data.truth),
            coefficients(fitted),
            coefficients(data.y),
            outside,
        )
        return Spectrum(*parts, resolution(value))

    def spectrum_length(self, design: Design, points: str) -> int:
        return design.sizes()[points]

    def basis(self, prepared: Prepared, params: Tensor) -> Tensor:
        vectors: Tensor = prepared["gram"].pairs()[1]
        return vectors.flip(1)
