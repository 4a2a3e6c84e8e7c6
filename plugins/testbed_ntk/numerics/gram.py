"""Gram matrices in tiles: memory near one matrix, symmetric to the bit, exact on the diagonal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from testbed_ntk.numerics.kernels import Kernel, flat

if TYPE_CHECKING:
    from torch import Tensor

TILE = 384  # rows and columns: a tile and its temporaries stay in cache


def gram_matrix(kernel: Kernel, x: Tensor, root: Tensor | None = None) -> Tensor:
    """K(x, x), (n, n); with `root` (n,) the weighted W^{1/2} K W^{1/2}, root = W^{1/2}.

    One triangle of tiles is computed and mirrored; the diagonal comes from the exact inner product
    of each point with itself, where a matrix product may round. Rows of points that repeat are
    equal to the bit: kernels with a kink at 0 would turn the rounding of a distance, ε, into √ε,
    which hides that the matrix is singular.

    >>> from testbed_ntk.numerics.kernels import rbf
    >>> gram_matrix(rbf(1.0), torch.tensor([[0.0], [1.0]]))
    tensor([[1.0000, 0.6065],
            [0.6065, 1.0000]])
    """
    inverse = repeats(x)
    if inverse is not None:
        first = torch.empty_like(inverse[: int(inverse.max()) + 1])
        first[inverse.flip(0)] = torch.arange(len(inverse), device=x.device).flip(0)
        gram = _gram_matrix(kernel, x[first], centre(x), None)[inverse][:, inverse]
        return gram if root is None else gram.mul_(root[:, None]).mul_(root)
    return _gram_matrix(kernel, x, centre(x), root)


def repeats(x: Tensor) -> Tensor | None:
    """Which distinct point each of x (n, …) is, (n,); None where no point repeats.

    >>> repeats(torch.tensor([[3.0], [1.0], [3.0]]))
    tensor([1, 0, 1])
    """
    if x.is_meta:  # shapes alone, which hold no numbers to compare
        return None
    rows = flat(x)
    mixed = (rows * torch.arange(1, rows.shape[1] + 1).to(rows).sin()).sum(1)
    if len(mixed.unique()) == len(rows):  # equal rows have equal sums
        return None
    distinct, inverse = torch.unique(rows, dim=0, return_inverse=True)
    return inverse if len(distinct) < len(rows) else None


def _gram_matrix(kernel: Kernel, x: Tensor, origin: Tensor, root: Tensor | None) -> Tensor:
    points = kernel.embed(x, origin)
    count = points.rows.shape[0]
    out = _empty(points.rows, count)
    for top in range(0, count, TILE):
        i = slice(top, top + TILE)
        for start in range(top, count, TILE):
            j = slice(start, start + TILE)
            tile = kernel.tile(points.block(i), points.block(j), start == top)
            if root is not None:
                tile = tile.mul_(root[i, None]).mul_(root[j])
            if start == top:
                tile = 0.5 * (tile + tile.mT)  # products are symmetric to rounding only
            out[i, j] = tile
            if start > top:
                out[j, i] = tile.mT
    return out


def _empty(like: Tensor, count: int) -> Tensor:
    """A matrix (count, count); on the CPU from NumPy, which asks for huge pages: a fifth of the
    time of each product with it."""
    if like.device.type != "cpu":
        return like.new_empty(count, count)
    dtype = {torch.float32: np.float32, torch.float64: np.float64}[like.dtype]
    return torch.from_numpy(np.empty((count, count), dtype))


def cross_matrix(kernel: Kernel, x: Tensor, second: Tensor) -> Tensor:
    """K(x, second), (m, n); `second` holds the training points, with `gram_matrix`'s centre.

    >>> from testbed_ntk.numerics.kernels import laplace
    >>> cross_matrix(laplace(1.0), torch.tensor([[1e6 + 1]]), torch.tensor([[1e6], [1e6 + 1]]))
    tensor([[0.3679, 1.0000]])
    """
    origin = centre(second)
    left, right = kernel.embed(x, origin), kernel.embed(second, origin)
    out = left.rows.new_empty(left.rows.shape[0], right.rows.shape[0])
    for top in range(0, out.shape[0], TILE):
        i = slice(top, top + TILE)
        for start in range(0, out.shape[1], TILE):
            j = slice(start, start + TILE)
            out[i, j] = kernel.tile(left.block(i), right.block(j), False)
    return out


def diagonal(kernel: Kernel, x: Tensor) -> Tensor:
    """k(x, x) at each point, (n,)."""
    points = kernel.embed(x, centre(x))
    alone = [points.block(slice(i, i + 1)) for i in range(points.rows.shape[0])]
    values = [kernel.tile(point, point, True) for point in alone]
    return torch.cat(values).flatten() if values else points.square


def centre(x: Tensor) -> Tensor:
    """From where kernels of differences measure inputs, (d,): near their mean, and 0 for inputs
    about the origin, whose digits no subtraction then touches.

    In each coordinate the mean is rounded to a power of two, two to four times the mean absolute
    deviation: for inputs far from the origin on the scale of their spread the subtraction is exact.

    >>> centre(torch.tensor([[0.0, 100.0], [1.0, 103.0]]))
    tensor([  0., 100.])
    """
    rows = flat(x)
    mean = rows.mean(0)
    spread = (rows - mean).abs().mean(0)
    unit = 2 * spread / torch.frexp(spread).mantissa  # exact: dividing leaves the power of two
    return torch.where(spread > 0, torch.round(mean / unit) * unit, mean)
