"""The weighted Gram matrix of a sample, as a matrix or as its eigendecomposition.

A = W^{1/2} K W^{1/2}, W the diagonal of the loss weights (1/n for regression: A = K/n). Each form
is computed on its first use, and kept: the matrix for products and Krylov spaces, the
decomposition for filters and spectra. The order of calls changes no number.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch

from testbed.errors import UnsuitableError
from testbed.numerics.eigendecomposition import Eigendecomposition
from testbed.numerics.filters import spectral_filter
from testbed.numerics.krylov import krylov_path
from testbed.numerics.products import symmetric_product

if TYPE_CHECKING:
    from torch import Tensor

NOT_KRYLOV = ("cutoff",)  # jumps between eigenvalues, which no small space resolves


class WeightedGram:
    """A = W^{1/2} K W^{1/2} of one kernel on one set of points.

    Args:
        name: the model that the kernel belongs to, for errors.
        x: the points, (n, …).
        root: W^{1/2}, (n,).
        make: returns A (n, n), symmetric to the last bit, and keeps no hold of it.

    >>> x, root = torch.tensor([[0.0], [1.0]]), torch.tensor([1.0, 2.0])
    >>> WeightedGram("linear", x, root, lambda: torch.diag(torch.tensor([0.0, 4.0]))).pairs()[0]
    tensor([0., 4.])
    """

    def __init__(self, name: str, x: Tensor, root: Tensor, make: Callable[[], Tensor]):
        self.name, self.x, self.root, self._make = name, x, root, make
        self._matrix: Tensor | None = None
        self._decomposition: Eigendecomposition | None = None

    def matrix(self) -> Tensor:
        """The matrix A, (n, n)."""
        if self._matrix is None:
            self._matrix = self._make()
        return self._matrix

    def decomposition(self) -> Eigendecomposition:
        """A = U diag(s) Uᵀ, s ≥ 0."""
        if self._decomposition is None:
            decomposition = Eigendecomposition(self._given_away)
            decomposition.value = nonnegative(decomposition.value, self.name)
            self._decomposition = decomposition
        return self._decomposition

    def _given_away(self) -> Tensor:
        """A, which the caller may overwrite; a later call of `matrix` computes it again."""
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
        """K dual: the function of these dual coefficients at the points."""
        return self.product(dual) / columnwise(self.root, dual)

    def filter_path(
        self, residual: Tensor, name: str, times: Sequence[float], krylov: bool, **options: float
    ) -> Tensor:
        """Dual coefficients α_t = W^{1/2} φ_t(A) W^{1/2} residual along a spectral filter's path,
        (times, n) or (times, n, outputs).

        `krylov` tries one Krylov space first, which holds where it converges and the filter is
        smooth. `name` and `options` as in `testbed.numerics.filters`.
        """
        y = columnwise(self.root, residual) * residual

        def phi(eigenvalue: Tensor) -> Tensor:
            return spectral_filter(name, eigenvalue, times, **options)

        finite = math.isfinite(times[-1])
        if krylov and name not in NOT_KRYLOV and finite:
            path = krylov_path(functools.partial(symmetric_product, self.matrix()), y, phi)
            if path is not None:
                return columnwise(self.root, y) * path.values
        ridges = times if name == "ridge" and finite else None
        values = _by_decomposition(self.decomposition(), phi, y, ridges)
        return columnwise(self.root, y) * values


def _by_decomposition(
    decomposition: Eigendecomposition,
    phi: Callable[[Tensor], Tensor],
    y: Tensor,
    ridges: Sequence[float] | None,
) -> Tensor:
    """U φ_t(s) Uᵀ y at every time, (T, n) or (T, n, outputs); `ridges` are the times of ridge
    regression, which needs no U."""
    columns = y.reshape(len(y), -1)  # (n, outputs)
    values = None if ridges is None else decomposition.ridge(columns, ridges)  # (n, T, outputs)
    if values is None:
        coordinates = decomposition.coordinates(columns)
        weighted = phi(decomposition.value).mT[:, :, None] * coordinates[:, None]
        values = decomposition.combine(weighted.flatten(1)).reshape(weighted.shape)
    return values.transpose(0, 1).reshape(-1, *y.shape)


def columnwise(root: Tensor, values: Tensor) -> Tensor:
    """(n,) made to multiply (n,) or (n, outputs)."""
    return root if values.ndim == 1 else root[:, None]


def nonnegative(value: Tensor, name: str) -> Tensor:
    """Eigenvalues, those negative by rounding set to 0; UnsuitableError for larger violations.

    Rounding of a matrix of n rows moves eigenvalues by at most about n·eps times the largest.
    """
    least, most = float(value.min()), float(value.max())
    allowed = 8 * len(value) * torch.finfo(value.dtype).eps * max(most, 0.0)
    if least < -allowed or not most >= 0:
        raise UnsuitableError(
            f"{name}: found a Gram matrix of {len(value)} points with the eigenvalue {least:.3g} "
            f"and a largest one of {most:.3g}, expected none below −{allowed:.1g}, which is "
            "rounding; the kernel is not positive semidefinite on these data: change its "
            "parameters"
        )
    return value.clamp_min(0)
