"""Sollich's approximation of the average posterior variance."""

from math import comb

import numpy as np
from attrs import frozen

from testbed import DoesNotApply, Example, Theory, Variable, space_of

TERMS = 400  # eigenvalues of different size; they fall geometrically


@frozen(kw_only=True)
class LearningCurve(Theory):
    """ε = Σ_i λ_i/(1 + nλ_i/(σ² + ε)), the posterior variance averaged over samples of size n.

    λ_i are the eigenvalues of the kernel under the inputs' law: for N(0, s²I) and the kernel
    exp(−‖x − z‖²/(2ℓ²)) in d dimensions C(k + d − 1, d − 1) of them are (2a/A)^{d/2} B^k with
    a = 1/(4s²), b = 1/(2ℓ²), c = √(a² + 2ab), A = a + b + c, B = b/A. The approximation is right
    to a tenth where σ ≥ ½; with less noise it falls below the average, by a quarter at σ = 0.3.
    """

    name = "gaussian-process.learning-curve"
    references = (
        "Sollich and Halees, Learning curves for Gaussian process regression (2002), (18)",
        "Rasmussen and Williams, Gaussian processes for machine learning (2006), (4.41)",
    )
    variables = {
        "posterior_variance": Variable(
            "average posterior variance",
            predicts="posterior_variance",
            states="limit",
            accuracy=0.12,
        )
    }

    @classmethod
    def examples(cls):
        """The partners with which it can be tried."""
        partners = {
            "model": {"use": "gaussian-process.regression", "noise": 1.0},
            "optimizer": {"use": "fit", "times": [0.0]},
        }
        return (Example({}, partners),)

    def predict(self, cell, times, problem=None):
        space, model = space_of(cell.design), cell.model
        if model.name != "gaussian-process.regression":
            raise DoesNotApply("it predicts gaussian-process.regression")
        if space is None or space.law != "gaussian" or space.variances is not None:
            raise DoesNotApply("it predicts inputs N(0, s²I)")
        if model.noise < 0.5:
            raise DoesNotApply("it predicts noise of at least half the prior's standard deviation")
        value, count = eigenvalues(space.dim, space.scale, model.length)
        variance = average_variance(value, count, cell.design.size, model.noise**2)
        return {"posterior_variance": np.full(len(times), variance)}


def eigenvalues(dim, scale, length):
    """The different eigenvalues and how often each occurs, (TERMS,) both.

    >>> value, count = eigenvalues(dim=2, scale=1.0, length=1.0)
    >>> round(float((value * count).sum()), 9)  # the trace is k(x, x)
    1.0
    """
    a, b = 1 / (4 * scale**2), 1 / (2 * length**2)
    total = a + b + np.sqrt(a**2 + 2 * a * b)
    degree = np.arange(TERMS)
    count = np.array([float(comb(k + dim - 1, dim - 1)) for k in degree])
    return (2 * a / total) ** (dim / 2) * (b / total) ** degree, count


def average_variance(value, count, size, noise):
    """The solution ε of the fixed-point equation, which lies between 0 and the trace."""
    low, high = 0.0, float((value * count).sum())
    for _ in range(100):  # the right-hand side minus ε falls in ε
        middle = (low + high) / 2
        right = (count * value / (1 + size * value / (noise + middle))).sum()
        low, high = (middle, high) if right > middle else (low, middle)
    return (low + high) / 2
