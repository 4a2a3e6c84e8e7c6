"""The random function that a wide network starts as: f₀ ~ GP(0, Σ), Σ its NNGP kernel.

Drawn jointly at training and test points, f₀ = √q ⊙ Lz with q = Σ(x, x), LLᵀ the correlations of Σ
plus JITTER, and z standard normal. In this order, training points first, a training point's f₀
depends only on the points before it: the first 100 are the same for n = 100 and n = 1000.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np
import torch

from testbed import Problem, UnsuitableError
from testbed_ntk.numerics.gram import gram_matrix
from testbed_ntk.numerics.kernels import Kernel

if TYPE_CHECKING:
    from torch import Tensor

OUTPUTS = 100  # outputs with drawn normals: models that read only inputs do not know their number
JITTER = 1e-10
"""Share of the variance of f₀ added to the diagonal. Cholesky needs some n·eps, which
is 2e−12 for 10⁴ points; a number that depended on n would make the first samples depend on it."""


def standard_normals(generator: np.random.Generator, train: int, test: int) -> np.ndarray:
    """(points, 2, OUTPUTS): row i for the training point i and the test point i, so that the
    number of points of one kind does not change the normals of the other.

    >>> generator = [np.random.Generator(np.random.Philox(1)) for _ in range(2)]
    >>> short, long = standard_normals(generator[0], 2, 1), standard_normals(generator[1], 1, 9)
    >>> bool((short == long[:2]).all())
    True
    """
    return generator.standard_normal((max(train, test), 2, OUTPUTS))


class RandomStart:
    """f₀ at the training and test points of one replicate."""

    def __init__(self, name: str, process: Kernel, normals: Tensor, problem: Problem):
        self.name, self._process, self._normals = name, process, normals
        self._train, self._test = problem.train.x, problem.test.x

    @functools.cached_property
    def _factor(self) -> Tensor:
        """√q ⊙ L, (n + m, n + m)."""
        matrix = gram_matrix(self._process, torch.cat([self._train, self._test]).double())
        root = matrix.diagonal().sqrt()
        scale = torch.where(root == 0, 1.0, root)
        matrix /= scale[:, None]
        matrix /= scale
        matrix.diagonal().fill_(1 + JITTER)
        factor, failed = torch.linalg.cholesky_ex(matrix)
        if int(failed):
            raise UnsuitableError(
                f"{self.name}: found a covariance of the random start on {len(matrix)} points that "
                "is not positive definite up to rounding, expected one; take fewer points, or "
                'initial = "zero"'
            )
        return factor.mul_(root[:, None])

    @functools.cached_property
    def _values(self) -> Tensor:
        """f₀, (n + m, OUTPUTS)."""
        train, test = self._normals.unbind(1)
        normals = torch.cat([train[: len(self._train)], test[: len(self._test)]])
        return self._factor @ normals.double()

    def added(self, values: Tensor, train: bool) -> Tensor:
        """f₀ plus values at the training or test points, (n,) or (n, outputs)."""
        outputs = 1 if values.ndim == 1 else values.shape[1]
        if outputs > OUTPUTS:
            raise UnsuitableError(
                f"{self.name}: found {outputs} outputs, expected at most {OUTPUTS} for a random "
                'start; take initial = "zero"'
            )
        count = len(self._train)
        start = self._values[:count] if train else self._values[count:]
        return values + start[:, :outputs].reshape(values.shape).to(values.dtype)

    def expect_test(self, x: Tensor) -> None:
        """UnsuitableError unless these are the test points."""
        if x.shape != self._test.shape or not torch.equal(x, self._test):
            raise UnsuitableError(
                f"{self.name}: found {len(x)} points that are neither the training nor the test "
                "points, where alone the random start is known; expected one of these, or "
                'initial = "zero"'
            )
