"""Eigendecompositions against NumPy's, their factors against their product, and what is refused."""

from __future__ import annotations

import weakref

import numpy as np
import pytest
import torch

from testbed.errors import UnsuitableError
from testbed.numerics import eigendecomposition
from testbed.numerics.eigendecomposition import BLOCK, Eigendecomposition

EVERY = pytest.mark.parametrize("count", [1, 2, 3, 4, 50, BLOCK + 1, BLOCK + 2, 2 * BLOCK + 9])


def symmetric(count: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    rows = np.random.default_rng(count).standard_normal((count, count))
    return torch.from_numpy(rows + rows.T).to(dtype)


@EVERY
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_is_the_matrix_taken_apart(count, dtype):
    matrix = symmetric(count, dtype)
    result, unit = Eigendecomposition(matrix.clone), torch.eye(count, dtype=dtype)
    actual, exact = result.vectors(), np.linalg.eigvalsh(matrix.double().numpy())
    rounding = 20 * torch.finfo(dtype).eps * count**0.5
    assert result.value.dtype == actual.dtype == dtype
    np.testing.assert_allclose(result.value, exact, atol=rounding * np.abs(exact).max())
    torch.testing.assert_close(actual.mT @ actual, unit, rtol=0, atol=rounding)
    rebuilt = (actual * result.value) @ actual.mT
    torch.testing.assert_close(rebuilt, matrix, rtol=0, atol=rounding * float(matrix.abs().max()))


@EVERY
@pytest.mark.parametrize("shape", [(), (1,), (3,)])
def test_products_are_those_with_the_vectors_that_it_forms(count, shape):
    result = Eigendecomposition(symmetric(count).clone)
    y = torch.linspace(-1, 2, count * (shape or (1,))[0], dtype=torch.float64)
    y = y.reshape(count, *shape)
    before = result.coordinates(y), result.combine(y)
    actual = result.vectors()
    torch.testing.assert_close(before[0], actual.mT @ y, rtol=0, atol=1e-12)
    torch.testing.assert_close(before[1], actual @ y, rtol=0, atol=1e-12)
    # the vectors being there changes no bit of a product
    assert torch.equal(result.coordinates(y), before[0]) and torch.equal(
        result.combine(y), before[1]
    )
    assert result.vectors() is actual


@pytest.mark.parametrize("rank", [0, 1, 5])
def test_multiple_eigenvalues_keep_orthonormal_vectors(rank):
    factor = torch.from_numpy(np.random.default_rng(1).standard_normal((90, rank)))
    matrix = factor @ factor.mT
    result = Eigendecomposition((0.5 * (matrix + matrix.mT)).clone)
    actual = result.vectors()
    torch.testing.assert_close(actual.mT @ actual, torch.eye(90).double(), rtol=0, atol=1e-13)
    assert int((result.value.abs() > 1e-10).sum()) == rank


def test_the_matrix_is_let_go_before_the_second_half(monkeypatch):
    held = []

    def give() -> torch.Tensor:
        matrix = symmetric(40)
        held.append(weakref.ref(matrix))
        return matrix

    solve = eigendecomposition.linalg.eigh_tridiagonal

    def watched(*arrays, **options):
        assert held[0]() is None
        return solve(*arrays, **options)

    monkeypatch.setattr(eigendecomposition.linalg, "eigh_tridiagonal", watched)
    assert Eigendecomposition(give).vectors().shape == (40, 40)


@EVERY
@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("formed", [False, True])
def test_ridge_regression_needs_no_eigenvectors(count, outputs, formed):
    rows = symmetric(count)
    matrix = rows @ rows / count
    result = Eigendecomposition((0.5 * (matrix + matrix.mT)).clone)
    if formed:
        result.vectors()
    y = torch.linspace(-1, 2, count * outputs, dtype=torch.float64).reshape(count, outputs)
    times = [0.0, 0.3, 7.0, 1e4]
    actual = result.ridge(y, times)
    if count < 3:
        assert actual is None  # nothing to be gained
        return
    assert actual.shape == (count, 4, outputs) and bool((actual[:, 0] == 0).all())
    for index, time in enumerate(times[1:], 1):
        exact = torch.linalg.solve(matrix + torch.eye(count).double() / time, y)
        torch.testing.assert_close(actual[:, index], exact, rtol=1e-9, atol=1e-9 * time)


def test_ridges_that_are_rounding_are_left_to_the_eigenvalues():
    factor = torch.from_numpy(np.random.default_rng(1).standard_normal((90, 5)))
    matrix = factor @ factor.mT
    result = Eigendecomposition((0.5 * (matrix + matrix.mT)).clone)
    y = torch.ones(90, 1, dtype=torch.float64)
    assert result.ridge(y, [1.0, 1e9]) is not None
    assert result.ridge(y, [1.0, 1e14]) is None


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_are_refused(number):
    matrix = symmetric(10)
    matrix[4, 2] = matrix[2, 4] = number
    with pytest.raises(UnsuitableError, match="expected finite numbers of moderate size"):
        Eigendecomposition(lambda: matrix)
