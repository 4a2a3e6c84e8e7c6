"""Symmetric products by BLAS against torch's products of whole matrices."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from testbed.numerics.products import lower_row_products, symmetric_product

DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])


def draw(*shape: int, dtype: torch.dtype) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(3).standard_normal(shape)).to(dtype)


@DTYPES
@pytest.mark.parametrize("shape", [(60,), (60, 1), (60, 3)])
def test_products_with_vectors_are_those_of_the_whole_matrix(dtype, shape):
    rows = draw(60, 60, dtype=dtype)
    matrix = rows + rows.mT
    v = torch.linspace(1, 2, math.prod(shape), dtype=dtype).reshape(shape)
    found = symmetric_product(matrix, v)
    assert found.shape == shape and found.dtype == dtype
    torch.testing.assert_close(found, matrix @ v)


@DTYPES
@pytest.mark.parametrize("shape", [(1, 4), (60, 7), (7, 60), (3, 20, 5), (2, 3, 20, 5)])
def test_row_products_are_right_on_and_below_the_diagonal(dtype, shape):
    rows = draw(*shape, dtype=dtype)
    for own in (rows, rows.mT.contiguous().mT):  # rows that lie in memory, and ones that do not
        found = lower_row_products(own)
        assert found.dtype == dtype
        torch.testing.assert_close(found.tril(), (rows @ rows.mT).tril())
