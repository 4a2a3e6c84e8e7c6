"""Eigendecompositions whose eigenvectors are formed only when they are needed.

A = QTQᵀ with T tridiagonal, by Householder's reflections, and T = S diag(s) Sᵀ, so that U = QS.
Filters need products of U and Uᵀ with a few vectors, and Q serves these as the reflections that it
is made of: multiplying Q by S would be a third of the whole time. Ridge regression needs no S
either, since T + λ is solved in O(n) at every λ: that is another third.
Golub and Van Loan, Matrix Computations (2013), 4.3, 8.3 and 8.4; reflections in blocks as in
Schreiber and Van Loan, SIAM J. Sci. Stat. Comput. 10 (1989).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from scipy import linalg

from testbed.errors import UnsuitableError

if TYPE_CHECKING:
    from torch import Tensor

BLOCK = 64  # reflections that are applied together


class _Block(NamedTuple):
    """B = I − Vᵀ T V on coordinates `first` and on: the product of some reflections in turn."""

    first: int
    rows: Tensor  # V (b, n − first), a reflection's vector in each row
    triangle: Tensor  # T (b, b), upper triangular


class _Tridiagonal(NamedTuple):
    """T = QᵀAQ by its two diagonals, and Q by its reflections."""

    diagonal: np.ndarray  # (n,)
    beside: np.ndarray  # (n − 1,)
    blocks: list[_Block]


class Eigendecomposition:
    """A = U diag(s) Uᵀ of a symmetric matrix.

    On the CPU as described above, by LAPACK's reduction to tridiagonal form and its divide and
    conquer method, at a peak of two and a half matrices, the one given included; elsewhere by the
    device's own solver. The order of calls changes no number.

    Args:
        give: returns A (n, n), symmetric to the last bit, and keeps no hold of it: A is overwritten
            and its memory freed before eigenvectors are made.

    Raises:
        UnsuitableError: of numbers that are not finite, or so large that they overflow.

    >>> matrix = torch.tensor([[2.0, 1.0, 0.0], [1.0, 2.0, 0.0], [0.0, 0.0, 7.0]])
    >>> Eigendecomposition(matrix.clone).value.round()
    tensor([1., 3., 7.])
    """

    value: Tensor  # (n,) s, ascending

    def __init__(self, give: Callable[[], Tensor]):
        self._form: _Tridiagonal | None = None
        self._inner: Tensor | None = None  # S, or U where there is no Q
        self._vectors: Tensor | None = None
        matrix = give()
        if matrix.device.type != "cpu" or len(matrix) < 3:
            self.value, self._inner = torch.linalg.eigh(matrix)
            return
        self._form = _tridiagonal(matrix)
        del matrix  # its memory is for the eigenvectors
        self.value = torch.from_numpy(_solved(self._form, eigvals_only=True))

    def coordinates(self, y: Tensor) -> Tensor:
        """Uᵀ y for y (n,) or (n, k)."""
        return (self._inner_vectors().mT @ self._turned(y.reshape(len(y), -1))).reshape(y.shape)

    def combine(self, c: Tensor) -> Tensor:
        """U c for coordinates c (n,) or (n, k)."""
        return self._turned_back(self._inner_vectors() @ c.reshape(len(c), -1)).reshape(c.shape)

    def ridge(self, y: Tensor, times: Sequence[float]) -> Tensor | None:
        """(A + 1/t)^{−1} y at every time t ≥ 0 for A ≥ 0 and y (n, k), (n, T, k), without
        eigenvectors; None where there is no tridiagonal form, and for ridges that are rounding,
        below n·eps·s_max, where the eigenvalues have to say what is 0.
        """
        rounding = len(y) * torch.finfo(y.dtype).eps * float(self.value[-1])
        if self._form is None or max(times) * rounding >= 1:
            return None
        diagonal, beside, _ = self._form
        (solve,) = linalg.get_lapack_funcs(("ptsv",), (diagonal,))
        turned = self._turned(y).numpy()
        solutions = [solve(1 + t * diagonal, t * beside, t * turned)[2] for t in times]
        return self._turned_back(torch.from_numpy(np.stack(solutions, 1)).flatten(1)).reshape(
            len(y), len(times), -1
        )

    def vectors(self) -> Tensor:
        """U, (n, n), eigenvectors as columns; formed once and kept."""
        if self._form is None:
            return self._inner_vectors()
        if self._vectors is None:
            self._vectors = self._turned_back(self._inner_vectors().clone())
        return self._vectors

    def _inner_vectors(self) -> Tensor:
        """The eigenvectors of T, S; those of A itself, U, where A was not made tridiagonal."""
        if self._inner is None:
            assert self._form is not None
            self._inner = torch.from_numpy(_solved(self._form, eigvals_only=False)[1])
        return self._inner

    def _turned(self, y: Tensor) -> Tensor:
        """Qᵀ y for y (n, k)."""
        y = y.clone()
        for block in self._form.blocks if self._form else ():
            part = y[block.first :]
            part -= block.rows.mT @ (block.triangle.mT @ (block.rows @ part))
        return y

    def _turned_back(self, y: Tensor) -> Tensor:
        """Q y for y (n, k), which is overwritten."""
        for block in reversed(self._form.blocks if self._form else ()):
            part = y[block.first :]
            part.addmm_(block.rows.mT, block.triangle @ (block.rows @ part), alpha=-1)
        return y


def _solved(form: _Tridiagonal, eigvals_only: bool) -> np.ndarray:
    """Eigenvalues of T, or eigenvalues and eigenvectors."""
    try:
        return linalg.eigh_tridiagonal(form.diagonal, form.beside, eigvals_only=eigvals_only)
    except (linalg.LinAlgError, ValueError) as error:
        raise UnsuitableError(
            f"found a symmetric matrix whose eigenvalues do not converge ({error}), expected "
            "finite numbers of moderate size; scale the inputs"
        ) from None


def _tridiagonal(matrix: Tensor) -> _Tridiagonal:
    """A to tridiagonal form; A is overwritten.

    LAPACK leaves reflection i behind the second diagonal of column i, which is row i of the tensor
    (the two count memory in opposite orders), its first number, 1, left out.
    """
    array = matrix.numpy().T
    sytrd, query = linalg.get_lapack_funcs(("sytrd", "sytrd_lwork"), (array,))
    work, _ = query(len(array), lower=1)
    reduced, diagonal, beside, scale, _ = sytrd(array, lower=1, lwork=int(work), overwrite_a=1)
    rows, factors, blocks = torch.from_numpy(reduced.T), torch.from_numpy(scale), []
    for start in range(0, len(factors), BLOCK):
        reflections = slice(start, min(start + BLOCK, len(factors)))
        vectors = rows[reflections, start + 1 :].triu(1)
        vectors.diagonal().fill_(1)
        blocks.append(_Block(start + 1, vectors, _triangle(vectors, factors[reflections])))
    return _Tridiagonal(diagonal, beside, blocks)


def _triangle(vectors: Tensor, scale: Tensor) -> Tensor:
    """T with Π(I − τ_i v_i v_iᵀ) = I − Vᵀ T V: T = D(I + striu(V Vᵀ)D)^{−1}, D = diag(τ)."""
    system = (vectors @ vectors.mT).triu(1) * scale
    system.diagonal().fill_(1)
    return torch.linalg.solve_triangular(system.mT, torch.diag(scale), upper=False).mT
