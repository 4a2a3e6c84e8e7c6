"""Products with symmetric matrices, of which BLAS reads or makes one triangle.

torch has no symmetric products, and on some processors its BLAS takes twice as long as the one that
SciPy brings. Both need numbers in the CPU's memory: not those of other devices, nor those that
torch.func maps over replicates, which is why components in batching "loop" or "batch" use them.
"""

from __future__ import annotations

import torch
from scipy import linalg
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
    each = [
        torch.from_numpy(syrk(1.0, own.numpy().T, trans=1).T)
        for own in rows.reshape(-1, *rows.shape[-2:])
    ]
    found = torch.stack(each) if len(each) > 1 else each[0]
    return found.reshape(*rows.shape[:-1], rows.shape[-2])
