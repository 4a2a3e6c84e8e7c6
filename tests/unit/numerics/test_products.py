"""Symmetric products by BLAS against torch's products of whole matrices."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from testbed.numerics.products import batched_product, lower_row_products, symmetric_product

DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])


def draw(*shape: int, dtype: torch.dtype) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(3).standard_normal(shape)).to(dtype)


@DTYPES
@pytest.mark.parametrize("shape", [(60,), (60, 1), (60, 3)])
def test_products_with_vectors_are_those_of_the_whole_matrix(dtype, shape):
    rows = draw(60, 60, dtype=dtype)
    matrix = rows + rows.mT
    v = torch.linspace(1, 2, math.prod(shape), dtype=dtype).reshape(shape)
    result = symmetric_product(matrix, v)
    assert result.shape == shape and result.dtype == dtype
    torch.testing.assert_close(result, matrix @ v)


@DTYPES
@pytest.mark.parametrize("shape", [(1, 4), (60, 7), (7, 60), (3, 20, 5), (2, 3, 20, 5)])
def test_row_products_are_right_on_and_below_the_diagonal(dtype, shape):
    rows = draw(*shape, dtype=dtype)
    for value in (rows, rows.mT.contiguous().mT):  # rows that lie in memory, and ones that do not
        result = lower_row_products(value)
        assert result.dtype == dtype
        torch.testing.assert_close(result.tril(), (rows @ rows.mT).tril())


@DTYPES
def test_batched_products_are_torchs_whatever_the_layout(dtype):
    left, right = draw(3, 5, 8, dtype=dtype), draw(3, 8, 4, dtype=dtype)
    wide = torch.full((3, 9, 4), 7.0, dtype=dtype)
    for value in (left, left.mT.contiguous().mT):
        result = batched_product(value, right, out=wide[:, 2:7])
        torch.testing.assert_close(result, left @ right)
    assert bool((wide[:, :2] == 7).all()) and bool((wide[:, 7:] == 7).all())
    huge = torch.full((1, 1, 1), torch.finfo(dtype).max, dtype=dtype)
    assert not bool(batched_product(huge, huge, out=torch.empty_like(huge)).isfinite().any())
