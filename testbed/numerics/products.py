"""Products by the BLAS that NumPy and SciPy bring, where torch has none or a slower one.

torch has no symmetric products, of which BLAS reads or makes one triangle; and on processors of
some makers its BLAS leaves half of the vector units idle, so that all products take twice as long.
These functions need numbers in the CPU's memory, and take torch's own products on other devices.
They cannot be mapped by torch.func: for components in batching "loop" or "batch".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy import linalg

if TYPE_CHECKING:
    from torch import Tensor


def symmetric_product(matrix: Tensor, v: Tensor) -> Tensor:
    """A v for symmetric A (n, n) and v (n,) or (n, outputs).

    A product with one vector takes as long as reading the matrix, and on the CPU one triangle is
    read (symv): half the time of what torch has.

    >>> symmetric_product(torch.tensor([[2.0, 1.0], [1.0, 3.0]]), torch.tensor([1.0, 0.0]))
    tensor([2., 1.])
    """
    if matrix.device.type != "cpu" or v.numel() != len(v):
        return matrix @ v
    (symv,) = linalg.get_blas_funcs(("symv",), (matrix.numpy(),))
    return torch.from_numpy(symv(1.0, matrix.numpy().T, v.flatten().numpy())).reshape(v.shape)


def lower_row_products(rows: Tensor) -> Tensor:
    """The lower triangle of A Aᵀ for A (…, n, m), (…, n, n); above the diagonal are other numbers.

    >>> lower_row_products(torch.tensor([[1.0, 2.0], [3.0, 4.0]])).tril()
    tensor([[ 5.,  0.],
            [11., 25.]])
    """
    if rows.device.type != "cpu":
        return rows @ rows.mT
    (syrk,) = linalg.get_blas_funcs(("syrk",), (rows.numpy(),))
    triangles = [
        torch.from_numpy(syrk(1.0, matrix.numpy().T, trans=1).T)
        for matrix in rows.reshape(-1, *rows.shape[-2:])
    ]
    stacked = torch.stack(triangles) if len(triangles) > 1 else triangles[0]
    return stacked.reshape(*rows.shape[:-1], rows.shape[-2])


def batched_product(left: Tensor, right: Tensor, out: Tensor) -> Tensor:
    """left @ right of (R, a, b) and (R, b, c), written into `out` (R, a, c), one after the other.

    >>> batched_product(torch.ones(2, 1, 3), torch.ones(2, 3, 1), torch.empty(2, 1, 1)).flatten()
    tensor([3., 3.])
    """
    if out.device.type != "cpu":
        return torch.bmm(left, right, out=out)
    with np.errstate(all="ignore"):  # what diverges is NaN, as elsewhere, and found afterwards
        np.matmul(left.numpy(), right.numpy(), out=out.numpy())
    return out
