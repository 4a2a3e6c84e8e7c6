"""The weighted Gram matrix of the training points, as a matrix or as its eigendecomposition.

A = W^{1/2} K W^{1/2}, W the diagonal of the loss weights (1/n for regression: A = K/n). What is
asked for is made then, and kept: the matrix for products and Krylov spaces, the decomposition for
filters and spectra. Which of the two was made first never changes a number.
"""

from __future__ import annotations

import torch
from torch import Tensor

from testbed.errors import UnsuitableError
from testbed.numerics.eigendecomposition import Eigendecomposition
from testbed_ntk.numerics.gram import gram_matrix
from testbed_ntk.numerics.kernels import Kernel


class WeightedGram:
    """A = W^{1/2} K W^{1/2} of one kernel on one set of points."""

    def __init__(self, name: str, kernel: Kernel, x: Tensor, root: Tensor):
        self.name, self.kernel, self.x, self.root = name, kernel, x, root
        self._matrix: Tensor | None = None
        self._decomposition: Eigendecomposition | None = None

    def matrix(self) -> Tensor:
        """A, (n, n)."""
        if self._matrix is None:
            self._matrix = gram_matrix(self.kernel, self.x, self.root)
        return self._matrix

    def decomposition(self) -> Eigendecomposition:
        """A = U diag(s) Uᵀ, s ≥ 0."""
        if self._decomposition is None:
            decomposition = Eigendecomposition(self._given_away)
            decomposition.value = nonnegative(decomposition.value, self.name)
            self._decomposition = decomposition
        return self._decomposition

    def _given_away(self) -> Tensor:
        """A for others to overwrite; whoever asks for it later has it made again."""
        matrix, self._matrix = self.matrix(), None
        return matrix

    def pairs(self) -> tuple[Tensor, Tensor]:
        """Eigenvalues s ≥ 0, ascending, (n,), and orthonormal eigenvectors as columns, (n, n)."""
        decomposition = self.decomposition()
        return decomposition.value, decomposition.vectors()

    def product(self, dual: Tensor) -> Tensor:
        """W^{1/2} K dual, for dual coefficients (n,) or (n, outputs)."""
        return self.matrix() @ (dual / columnwise(self.root, dual))

    def values(self, dual: Tensor) -> Tensor:
        """K dual: the function of these dual coefficients at the training points."""
        return self.product(dual) / columnwise(self.root, dual)


def columnwise(root: Tensor, values: Tensor) -> Tensor:
    """(n,) made to multiply (n,) or (n, outputs)."""
    return root if values.ndim == 1 else root[:, None]


def nonnegative(value: Tensor, name: str) -> Tensor:
    """Eigenvalues with rounding's negative ones set to 0; UnsuitableError for larger violations.

    Rounding of a matrix of n rows moves eigenvalues by at most about n·eps times the largest.
    """
    least, most = float(value.min()), float(value.max())
    allowed = 8 * len(value) * torch.finfo(value.dtype).eps * max(most, 0.0)
    if least < -allowed or not most >= 0:
        raise UnsuitableError(
            f"{name}: found a Gram matrix of {len(value)} points with the eigenvalue {least:.3g} "
            f"beside the largest, {most:.3g}, expected none below −{allowed:.1g}, which is "
            "rounding; the kernel is not positive semidefinite on these data: change its "
            "parameters"
        )
    return value.clamp_min(0)
