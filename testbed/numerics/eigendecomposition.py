"""Eigendecompositions whose eigenvectors are formed only where somebody looks at them.

A = U diag(s) Uᵀ with U = QS: Q takes A to a tridiagonal matrix by Householder's reflections, S
holds the eigenvectors of that. Filters need products of U and Uᵀ with a few vectors, and Q serves
these as the reflections that it is made of: multiplying Q by S would be a third of the whole time.
Golub and Van Loan, Matrix Computations (2013), 8.3 and 8.4; reflections in blocks as in Schreiber
and Van Loan, SIAM J. Sci. Stat. Comput. 10 (1989).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from scipy import linalg
from torch import Tensor

from testbed.errors import UnsuitableError

BLOCK = 64  # reflections that are applied together


class _Block(NamedTuple):
    """B = I − Vᵀ T V on coordinates `first` and on: the product of some reflections in turn."""

    first: int
    rows: Tensor  # V (b, n − first), a reflection's vector in each row
    triangle: Tensor  # T (b, b), upper triangular


class Eigendecomposition:
    """A = U diag(s) Uᵀ of a symmetric matrix.

    On the CPU as described above, by LAPACK's reduction to tridiagonal form and its divide and
    conquer method, at a peak of two and a half matrices, the one given included; elsewhere by the
    device's own solver.

    Args:
        give: returns A (n, n), symmetric to the last bit, and keeps no hold of it: A is overwritten
            and its memory freed while the second half of the work goes on.

    Raises:
        UnsuitableError: of numbers that are not finite, or so large that they overflow.

    >>> matrix = torch.tensor([[2.0, 1.0, 0.0], [1.0, 2.0, 0.0], [0.0, 0.0, 7.0]])
    >>> Eigendecomposition(matrix.clone).value.round()
    tensor([1., 3., 7.])
    """

    value: Tensor  # (n,) s, ascending

    def __init__(self, give: Callable[[], Tensor]):
        self._vectors: Tensor | None = None
        try:
            self.value, self._inner, self._blocks = _decomposed(give)
        except (linalg.LinAlgError, ValueError) as error:
            raise UnsuitableError(
                f"found a symmetric matrix whose eigenvalues do not converge ({error}), expected "
                "finite numbers of moderate size; scale the inputs"
            ) from None

    def coordinates(self, y: Tensor) -> Tensor:
        """Uᵀ y for y (n,) or (n, k)."""
        found = y.reshape(len(y), -1).clone()
        for block in self._blocks:
            part = found[block.first :]
            part -= block.rows.mT @ (block.triangle.mT @ (block.rows @ part))
        return (self._inner.mT @ found).reshape(y.shape)

    def combine(self, c: Tensor) -> Tensor:
        """U c for coordinates c (n,) or (n, k)."""
        return self._outer(self._inner @ c.reshape(len(c), -1)).reshape(c.shape)

    def vectors(self) -> Tensor:
        """U, (n, n), eigenvectors as columns; formed once and kept."""
        if not self._blocks:
            return self._inner
        if self._vectors is None:
            self._vectors = self._outer(self._inner.clone())
        return self._vectors

    def _outer(self, inner: Tensor) -> Tensor:
        """Q times a matrix (n, k), which is overwritten."""
        for block in reversed(self._blocks):
            part = inner[block.first :]
            part.addmm_(block.rows.mT, block.triangle @ (block.rows @ part), alpha=-1)
        return inner


def _decomposed(give: Callable[[], Tensor]) -> tuple[Tensor, Tensor, list[_Block]]:
    """s, S and Q."""
    matrix = give()
    if matrix.device.type != "cpu" or len(matrix) < 3:
        return *torch.linalg.eigh(matrix), []
    diagonal, beside, blocks = _tridiagonal(matrix)
    del matrix
    value, inner = linalg.eigh_tridiagonal(diagonal.numpy(), beside.numpy())
    return torch.from_numpy(value), torch.from_numpy(inner), blocks


def _tridiagonal(matrix: Tensor) -> tuple[Tensor, Tensor, list[_Block]]:
    """Diagonal, second diagonal and Q of QᵀAQ; A is overwritten.

    LAPACK leaves reflection i behind the second diagonal of column i, which is row i of the tensor
    (the two count memory in opposite orders), its first number, 1, left out.
    """
    array = matrix.numpy().T
    sytrd, query = linalg.get_lapack_funcs(("sytrd", "sytrd_lwork"), (array,))
    work, _ = query(len(array), lower=1)
    reduced, *found, _ = sytrd(array, lower=1, lwork=int(work), overwrite_a=1)
    diagonal, beside, scale = (torch.from_numpy(own) for own in found)
    rows, blocks = torch.from_numpy(reduced.T), []
    for start in range(0, len(scale), BLOCK):
        own = slice(start, min(start + BLOCK, len(scale)))
        vectors = rows[own, start + 1 :].triu(1)
        vectors.diagonal().fill_(1)
        blocks.append(_Block(start + 1, vectors, _triangle(vectors, scale[own])))
    return diagonal, beside, blocks


def _triangle(vectors: Tensor, scale: Tensor) -> Tensor:
    """T with Π(I − τ_i v_i v_iᵀ) = I − Vᵀ T V: T = D(I + striu(V Vᵀ)D)^{−1}, D = diag(τ)."""
    system = (vectors @ vectors.mT).triu(1) * scale
    system.diagonal().fill_(1)
    return torch.linalg.solve_triangular(system.mT, torch.diag(scale), upper=False).mT
