"""Bias and variance of spectral algorithms, given the inputs: exact, for every filter and time.

With A = K/n = U diag(s) Uᵀ, residual ψ_t and φ_t = (1 − ψ_t)/s, the mean of f_t over the noise is
k(·, X) U φ_t(s) Uᵀ f*(X)/n and its variance at x is σ² Σ_k (k(x, X) U_k/n)² φ_t(s_k)². A random
start f₀ ~ GP(0, Σ) adds the variance of f₀(x) − k(x, X) U φ_t(s) Uᵀ f₀(X)/n (arXiv:1902.06720,
equation 16), and at the training points that of U ψ_t(s) Uᵀ f₀(X).

The residuals are written here from their closed forms, apart from those that the simulation runs
on; kernel values alone come from the model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, NamedTuple

import numpy as np
from attrs import frozen

from testbed import (
    Cell,
    Data,
    DoesNotApply,
    Example,
    HasGram,
    HasKernelMatrix,
    HasRandomStart,
    Model,
    Problem,
    Theory,
    TheoryFacts,
    Variable,
    declared,
    has,
)
from testbed_ntk.theories.subject import algorithm

Residual = Callable[[np.ndarray, float], np.ndarray]
NEGLIGIBLE = 1e-9  # for smaller ts, 1 − ψ has lost its digits, and φ is its limit at 0 to as many


class Start(NamedTuple):
    """Covariance Σ of one output of f₀, in the same eigenvectors."""

    train: np.ndarray  # (n, n) UᵀΣ(X, X)U
    cross: np.ndarray  # (m, n) Σ(x, X)U
    test: np.ndarray  # (m,) Σ(x, x)


class Parts(NamedTuple):
    """One replicate, in the eigenvectors of its K/n."""

    eigenvalue: np.ndarray  # (n,)
    truth: np.ndarray  # (n, outputs) Uᵀ f*(X)
    function: np.ndarray  # (m, n) k(x, X) U/n at the test points
    test_truth: np.ndarray  # (m, outputs)
    weight: np.ndarray  # (m,)
    noise: float  # σ²
    start: Start | None  # of a random f₀


def residual(cell: Cell) -> Residual:
    """ψ_t(s) of the cell's optimizer; DoesNotApply if it is not a spectral algorithm."""
    kind = algorithm(cell)
    name, rate, momentum = kind.name, kind.learning_rate, kind.momentum
    if name == "flow":
        return lambda s, t: np.exp(-t * s)
    if name == "ridge":
        return lambda s, t: 1 / (1 + t * s)
    if name == "cutoff":
        return lambda s, t: (t * s < 1).astype(float)
    if name == "iterated-ridge":
        return lambda s, t: (1 + t * s / kind.qualification) ** -kind.qualification
    if rate is None:
        raise DoesNotApply("the learning rate differs from replicate to replicate")
    return lambda s, t: _heavy_ball(s, rate, momentum, t)


def _heavy_ball(s: np.ndarray, rate: float, momentum: float, time: float) -> np.ndarray:
    """p_m of p₀ = 1, p₁ = 1 − ηs, p_{m+1} = (1 + μ − ηs) p_m − μ p_{m−1}, by the roots of
    r² − (1 + μ − ηs) r + μ = 0; with μ = 0 it is (1 − ηs)^m."""
    steps = round(time * (1 - momentum) / rate)
    trace = 1 + momentum - rate * s
    spread = np.sqrt((trace**2 - 4 * momentum).astype(complex))
    first_root, second_root = (trace + spread) / 2, (trace - spread) / 2
    divisor = np.where(np.abs(spread) < 1e-12, 1.0, spread)
    share = (1 - rate * s - second_root) / divisor
    return np.real(share * first_root**steps + (1 - share) * second_root**steps)


@frozen(kw_only=True)
class BiasVariance(Theory):
    """Expectations over the noise, and over a random start, given each replicate's inputs and
    truth, of excess risk, test error and training loss, and the excess risk's parts bias² and
    variance.

    Exact for flow, descent with and without momentum, ridge, iterated ridge and cut-off. At t = ∞
    the algorithm is the pseudo-inverse of K/n, with eigenvalues below n·eps·s_max set to 0.
    """

    name = "ntk.bias-variance"
    references = ("doi:10.1007/s10208-006-0196-8", "arXiv:2412.18756", "arXiv:1902.06720")
    variables: ClassVar[Mapping[str, Variable]] = {
        "excess_risk": Variable("excess risk expected given the inputs", predicts="excess_risk"),
        "test_error": Variable("test error expected given the inputs", predicts="test_error"),
        "training_loss": Variable(
            "training loss expected given the inputs", predicts="training_loss"
        ),
        "bias": Variable("squared bias of the fitted function"),
        "variance": Variable("variance of the fitted function"),
    }

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(
                {},
                {
                    "design": {"use": "sphere"},
                    "target": {"use": "source"},
                    "model": {"use": "ntk.relu"},
                    "optimizer": {"use": "spectral-filter"},
                },
            ),
        )

    def facts(self) -> TheoryFacts:
        return TheoryFacts(conditional=True)

    def predict(
        self, cell: Cell, times: Sequence[float], problem: Problem | None = None
    ) -> dict[str, np.ndarray]:
        declared(cell.model, HasKernelMatrix)
        if not cell.design.sizes()["test"]:
            raise DoesNotApply("it predicts at test points, and the design has none")
        if not cell.target.facts().truth_known:
            raise DoesNotApply(f"the target {cell.target.name} has no known true function")
        psi = residual(cell)
        if problem is None:  # planning calls it without a problem
            return {}
        parts = _parts(cell.model, problem)
        with np.errstate(over="ignore", invalid="ignore"):  # too large a step leaves the numbers
            rows = [_at_time(cell, psi, parts, time) for time in times]
        return {name: np.array([row[name] for row in rows]) for name in self.variables}


def _at_time(cell: Cell, residual: Residual, parts: Parts, time: float) -> dict[str, float]:
    """The theory's variables at one time."""
    if np.isinf(time):
        return _expectations(parts, *_limit(parts.eigenvalue))
    left = residual(parts.eigenvalue, time)
    limit = 0.0 if algorithm(cell).name == "cutoff" else time
    return _expectations(parts, left, _filter(parts.eigenvalue, left, time, limit))


def _parts(model: Model, problem: Problem) -> Parts:
    train, test = problem.train, problem.test
    kernel = declared(model, HasKernelMatrix)
    prepared = model.prepare(None, Problem(Data(train.x, None, None, train.weight), test, None, {}))
    count = len(train.weight)
    gram = (
        model.gram(prepared, None, train.x, "features")
        if has(model, HasGram)
        else kernel.kernel_matrix(prepared, train.x)
    )
    value, vectors = np.linalg.eigh(gram.cpu().double().numpy() / count)
    cross = kernel.kernel_matrix(prepared, test.x).cpu().double().numpy()
    return Parts(
        np.maximum(value, 0.0),
        vectors.T @ train.truth.cpu().double().numpy().reshape(count, -1),
        cross @ vectors / count,
        test.truth.cpu().double().numpy().reshape(len(cross), -1),
        test.weight.cpu().double().numpy(),
        float(problem.noise) * count,
        _start(model, problem, vectors),
    )


def _start(model: object, problem: Problem, vectors: np.ndarray) -> Start | None:
    if not has(model, HasRandomStart):
        return None
    covariance = model.initial_covariance(problem)
    count = len(vectors)
    train, cross = covariance[:count, :count], covariance[count:, :count]
    return Start(vectors.T @ train @ vectors, cross @ vectors, np.diag(covariance)[count:])


def _filter(value: np.ndarray, left: np.ndarray, time: float, limit: float) -> np.ndarray:
    """φ = (1 − ψ)/s, (n,)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(time * value > NEGLIGIBLE, (1 - left) / value, limit)


def _limit(value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """ψ and φ at t = ∞, (n,) each: the projection on the numerical null space, and the
    pseudo-inverse."""
    left = (value <= len(value) * np.finfo(value.dtype).eps * value.max()).astype(float)
    return left, np.divide(1.0, value, out=np.zeros_like(value), where=left == 0)


def _expectations(parts: Parts, left: np.ndarray, kept: np.ndarray) -> dict[str, float]:
    """The theory's variables from ψ and φ at one time."""
    outputs, noise = parts.truth.shape[1], parts.noise
    mean = parts.function @ (kept[:, None] * parts.truth)
    bias = float(parts.weight @ ((mean - parts.test_truth) ** 2).sum(1))
    variance = noise * outputs * float(parts.weight @ (parts.function**2 @ kept**2))
    train_error = float((left**2 @ (parts.truth**2 + noise)).sum()) / len(left)
    if parts.start is not None:
        operator = parts.function * kept  # (m, n) k(x, X) U φ/n
        spread = parts.start.test - 2 * (operator * parts.start.cross).sum(1)
        spread += (operator @ parts.start.train * operator).sum(1)
        variance += outputs * float(parts.weight @ spread)
        train_error += outputs * float(left**2 @ np.diag(parts.start.train)) / len(left)
    return {
        "excess_risk": bias + variance,
        "test_error": bias + variance + noise * outputs * float(parts.weight.sum()),
        "training_loss": train_error / 2,
        "bias": bias,
        "variance": variance,
    }
