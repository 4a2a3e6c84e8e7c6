"""Small components that serve as partners of a component under test; they are not registered."""

from __future__ import annotations

from collections.abc import Sequence as Many
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from attrs import frozen

from testbed.contract.capabilities import (
    HasBasis,
    HasEigensystem,
    HasExactSpectrum,
    HasFilterPath,
    HasFlow,
    HasGradient,
    HasGram,
    HasLeverage,
    HasSpectrum,
)
from testbed.contract.components import Advance, Design, Eigensystem, Model, Optimizer, Rng, Target
from testbed.contract.facts import ModelFacts, OptimizerFacts
from testbed.contract.losses import batch_of
from testbed.contract.parameters import parameter
from testbed.contract.spaces import Space
from testbed.contract.values import Fit, Problem, Sample, Spectrum
from testbed.layers.fit_predict import FitPredict, HasFit
from testbed.numerics.integrate import begin, eighth_order, integrate
from testbed.numerics.spans import resolution
from testbed.numerics.spectral import by_eigensystem, smoother_diagonal
from testbed.numerics.trees import flatten, tree_map, unflatten

if TYPE_CHECKING:
    from torch import Tensor

# --- data -----------------------------------------------------------------------------------------


@frozen(kw_only=True)
class Points(Design):
    """Regression on Gaussian points, weights 1/n."""

    name = "testing.points"

    n: int = parameter(12, help="training points", ge=1, role="sample_size")
    n_test: int = parameter(9, help="test points", ge=1)
    dim: int = parameter(2, help="coordinates of a point", ge=1)
    noise: float = parameter(0.1, help="noise level", ge=0, role="noise")

    def draw(self, rng: Rng) -> Sample:
        x = rng("inputs").standard_normal((self.n, self.dim))
        test_x = rng("test").standard_normal((self.n_test, self.dim))
        return Sample(
            x=x,
            weight=np.full(self.n, 1 / self.n),
            noise=self.noise * rng("noise").standard_normal(self.n),
            variance=self.noise**2 / self.n,
            test_x=test_x,
            test_weight=np.full(self.n_test, 1 / self.n_test),
            test_noise=np.zeros(self.n_test),
        )

    def sizes(self) -> dict[str, int]:
        return {"train": self.n, "test": self.n_test}


@frozen(kw_only=True)
class Sphere(Points):
    """Regression on points of the unit sphere, weights 1/n."""

    name = "testing.sphere"

    dim: int = parameter(3, help="coordinates of a point", ge=2)

    def draw(self, rng: Rng) -> Sample:
        sample = Points.draw(self, rng)
        x, test_x = (
            points / np.linalg.norm(points, axis=1, keepdims=True)
            for points in (sample.x, sample.test_x)
        )
        return sample._replace(x=x, test_x=test_x)

    def space(self) -> Space:
        return Space("sphere", self.dim, "uniform")


@frozen(kw_only=True)
class Sequence(Design):
    """A Gaussian sequence, z_j = θ*_j + ξ_j, weights 1."""

    name = "testing.sequence"

    n: int = parameter(
        100, help="sample size: the noise of a coefficient is 1/n", ge=1, role="sample_size"
    )
    modes: int = parameter(12, help="coefficients", ge=1)
    noise: float = parameter(1.0, help="noise level", ge=0, role="noise")

    def draw(self, rng: Rng) -> Sample:
        index, ones = np.arange(1.0, self.modes + 1), np.ones(self.modes)
        noise = self.noise / np.sqrt(self.n) * rng("noise").standard_normal(self.modes)
        zeros = np.zeros(self.modes)
        return Sample(index, ones, noise, self.noise**2 / self.n, index, ones, zeros)

    def sizes(self) -> dict[str, int]:
        return {"train": self.modes, "test": self.modes}


@frozen(kw_only=True)
class Smooth(Target):
    """1/j on indices, a plane and a wave on points."""

    name = "testing.smooth"

    def values(self, drawn: object, x: np.ndarray) -> np.ndarray:
        if x.ndim == 1:
            return 1 / x
        return x[:, 0] - 0.5 * x[:, -1] + np.sin(x[:, 0])


# --- models ---------------------------------------------------------------------------------------


@frozen(kw_only=True)
class Kernel(Model, HasEigensystem, HasSpectrum, HasBasis, HasGram):
    """Regression with the Gaussian kernel, in dual coefficients: f = K(·, X) α, α̇ = W(y − Kα)."""

    name = "testing.kernel"

    def facts(self) -> ModelFacts:
        return ModelFacts(reads="inputs", coordinates="function")

    def prepare(self, drawn: object, problem: Problem) -> dict[str, Tensor]:
        data = problem.train
        root = data.weight.sqrt()
        gram = _gaussian(data.x, data.x)
        value, vectors = torch.linalg.eigh(root[:, None] * gram * root)
        return {
            "x": data.x,
            "gram": gram,
            "root": root,
            "value": value.clamp_min(0),
            "vectors": vectors,
        }

    def start(self, drawn: object, prepared: dict[str, Tensor], problem: Problem) -> Tensor:
        return torch.zeros_like(prepared["root"])

    def probe(self, prepared: dict[str, Tensor], x: Tensor) -> Tensor:
        return _gaussian(x, prepared["x"])

    def predict(self, prepared: dict[str, Tensor], params: Tensor, probe: Tensor) -> Tensor:
        return probe @ params

    def gradient(
        self,
        prepared: dict[str, Tensor],
        params: Tensor,
        problem: Problem,
        rows: Tensor | None = None,
    ) -> Tensor:
        positions = torch.arange(len(params)) if rows is None else rows
        data = batch_of(problem.train, rows)
        residual = data.weight * (prepared["gram"][positions] @ params - data.y)
        return torch.zeros_like(params).index_add(0, positions, residual)

    def eigensystem(self, prepared: dict[str, Tensor]) -> Eigensystem:
        return Eigensystem(prepared["value"], prepared["vectors"], 0 * prepared["root"])

    def spectrum(
        self,
        prepared: dict[str, Tensor],
        params: Tensor,
        problem: Problem,
        kernel: str,
        points: str,
    ) -> Spectrum:
        def coefficients(values: Tensor) -> Tensor:
            return prepared["vectors"].mT @ (prepared["root"] * values)

        data, fitted = problem.train, prepared["gram"] @ params
        outside = torch.zeros_like(problem.noise)
        parts = (
            prepared["value"],
            coefficients(data.truth),
            coefficients(fitted),
            coefficients(data.y),
            outside,
        )
        return Spectrum(*parts, resolution(prepared["value"]))

    def basis(self, prepared: dict[str, Tensor], params: Tensor) -> Tensor:
        return prepared["vectors"]

    def gram(self, prepared: dict[str, Tensor], params: Tensor, x: Tensor, kernel: str) -> Tensor:
        return _gaussian(x, x)


def _gaussian(x: Tensor, z: Tensor) -> Tensor:
    """exp(−‖x − z‖²/2), (n, k)."""
    return torch.exp(-0.5 * (x[:, None, :] - z[None, :, :]).square().sum(-1))


@frozen(kw_only=True)
class SequenceModel(Model, HasFlow, HasExactSpectrum, HasBasis):
    """Fixed features on a sequence, eigenvalues 1/j: θ_j(t) = (1 − e^{−t/j}) z_j."""

    name = "testing.sequence-model"

    def facts(self) -> ModelFacts:
        return ModelFacts(coordinates="function")

    def start(self, drawn: object, prepared: object, problem: Problem) -> Tensor:
        return torch.zeros_like(problem.train.x)

    def predict(self, prepared: object, params: Tensor, probe: Tensor) -> Tensor:
        return params

    def gradient(
        self, prepared: object, params: Tensor, problem: Problem, rows: Tensor | None = None
    ) -> Tensor:
        return (params - problem.train.y) / problem.train.x

    def flow(self, fit: Fit, last: Tensor, since: float, times: Many[float]) -> Tensor:
        rate, y = 1 / fit.problem.train.x, fit.problem.train.y
        return torch.stack([-torch.expm1(-rate * t) * y for t in times])

    def spectrum(
        self, prepared: object, params: Tensor, problem: Problem, kernel: str, points: str
    ) -> Spectrum:
        data, outside = problem.train, torch.zeros_like(problem.noise)
        return Spectrum(1 / data.x, data.truth, params, data.y, outside)

    def basis(self, prepared: object, params: Tensor) -> Tensor:
        return torch.eye(len(params), dtype=params.dtype)


@frozen(kw_only=True)
class Plane(Model):
    """f(x) = ⟨w, x⟩ in w itself, by autograd, from the first coordinate alone."""

    name = "testing.plane"

    def start(self, drawn: object, prepared: object, problem: Problem) -> Tensor:
        first = torch.zeros_like(problem.train.x[0])
        return torch.cat([first[:1] + 1, first[1:]])

    def predict(self, prepared: object, params: Tensor, probe: Tensor) -> Tensor:
        return probe @ params


@frozen(kw_only=True)
class Mean(FitPredict):
    """The mean of the observations, fitted at once."""

    name = "testing.mean"

    def fit(self, x: np.ndarray, y: np.ndarray, weight: np.ndarray, seed: int) -> np.ndarray:
        return np.asarray(y.mean(0))

    def evaluate(self, fitted: Any, x: np.ndarray) -> np.ndarray:
        return np.broadcast_to(fitted, (len(x), *fitted.shape))


# --- optimizers -----------------------------------------------------------------------------------


@frozen(kw_only=True)
class NumericFlow(Optimizer):
    """Gradient flow by adaptive integration, for every model with a gradient."""

    name = "testing.numeric-flow"
    requires = (HasGradient,)

    rtol: float = parameter(1e-9, help="relative tolerance", gt=0)
    atol: float = parameter(1e-12, help="absolute tolerance", gt=0)
    max_evaluations: int = parameter(
        4_000, help="right-hand sides after which it gives up, so that every law ends", ge=10
    )

    def facts(self) -> OptimizerFacts:
        return OptimizerFacts(batching="batch")

    def start(self, fit: Fit) -> Any:
        return begin(flatten(fit.start))

    def advance(self, fit: Fit, carry: Any, since: float, times: Many[float]) -> Advance:
        def field(flat: Tensor) -> Tensor:
            params = unflatten(fit.start, flat)
            return -flatten(fit.model.gradient(fit.prepared, params, fit.problem))

        path = integrate(
            field,
            carry,
            since,
            times,
            method=eighth_order(),
            rtol=self.rtol,
            atol=self.atol,
            max_evaluations=self.max_evaluations,
        )
        return Advance(path.state, unflatten(fit.start, path.states))


@frozen(kw_only=True)
class ExactFlow(Optimizer):
    """The model's own closed form."""

    name = "testing.exact-flow"
    requires = (HasFlow,)

    def facts(self) -> OptimizerFacts:
        return OptimizerFacts(batching="batch")

    def advance(self, fit: Fit, carry: object, since: float, times: Many[float]) -> Advance:
        assert isinstance(fit.model, HasFlow)
        params = fit.model.flow(fit, carry, since, times)
        return Advance(tree_map(lambda leaf: leaf[:, -1], params), params)


@frozen(kw_only=True)
class FilterFlow(Optimizer, HasLeverage):
    """Gradient flow as a filter on the model's eigensystem."""

    name = "testing.filter-flow"
    requires = (HasEigensystem,)

    def facts(self) -> OptimizerFacts:
        return OptimizerFacts(batching="batch")

    def advance(self, fit: Fit, carry: object, since: float, times: Many[float]) -> Advance:
        return Advance(carry, by_eigensystem(fit, "flow", times))

    def leverage(self, fit: Fit, times: Many[float]) -> Tensor:
        return smoother_diagonal(fit, "flow", times)


@frozen(kw_only=True)
class PathFlow(Optimizer):
    """Gradient flow by the model's own route to spectral filters."""

    name = "testing.path-flow"
    requires = (HasFilterPath,)

    def facts(self) -> OptimizerFacts:
        return OptimizerFacts(batching="batch")

    def advance(self, fit: Fit, carry: object, since: float, times: Many[float]) -> Advance:
        assert isinstance(fit.model, HasFilterPath)
        return Advance(carry, fit.model.path(fit, "flow", times))


@frozen(kw_only=True)
class PlainDescent(Optimizer):
    """Steps of one size along −gradient, on the clock of the flow."""

    name = "testing.descent"
    requires = (HasGradient,)

    learning_rate: float = parameter(0.05, help="step size", gt=0, role="step_size")

    def reached(self, times: Many[float]) -> tuple[float, ...]:
        return tuple(round(time / self.learning_rate) * self.learning_rate for time in times)

    def advance(self, fit: Fit, carry: Any, since: float, times: Many[float]) -> Advance:
        done, recorded = round(since / self.learning_rate), []
        for time in times:
            for _ in range(done, round(time / self.learning_rate)):
                slope = fit.model.gradient(fit.prepared, carry, fit.problem)
                carry = tree_map(lambda w, g: w - self.learning_rate * g, carry, slope)
            done = round(time / self.learning_rate)
            recorded.append(carry)
        return Advance(carry, tree_map(lambda *leaves: torch.stack(leaves), *recorded))


@frozen(kw_only=True)
class Once(Optimizer):
    """The fit of an outside library, the same at all times."""

    name = "testing.once"
    requires = (HasFit,)

    def advance(self, fit: Fit, carry: Any, since: float, times: Many[float]) -> Advance:
        return Advance(carry, tree_map(lambda leaf: torch.stack([leaf] * len(times)), carry))


FLOWS: tuple[Optimizer, ...] = (ExactFlow(), FilterFlow(), PlainDescent(), NumericFlow(), Once())
"""Optimizers in the order in which they are tried: the faster ones first."""
