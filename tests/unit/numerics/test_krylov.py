"""Krylov paths against the eigendecomposition, and that they do not pretend to have converged."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from testbed.numerics.filters import spectral_filter
from testbed.numerics.krylov import krylov_path

TIMES = np.geomspace(0.1, 1e4, 40).tolist()
OPTIONS = {
    "flow": {},
    "ridge": {},
    "iterated-ridge": {"qualification": 2.0},
    "descent": {"learning_rate": 0.1},
    "heavy-ball": {"learning_rate": 0.1, "momentum": 0.9},
}


def symmetric(eigenvalues: np.ndarray, seed: int = 0) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    vectors = np.linalg.qr(rng.standard_normal((len(eigenvalues),) * 2))[0]
    return torch.from_numpy(vectors * eigenvalues @ vectors.T)


def normal(*shape: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(1).standard_normal(shape))


def by_eigenvalues(matrix: torch.Tensor, b: torch.Tensor, filters) -> torch.Tensor:
    value, vectors = torch.linalg.eigh(matrix)
    weighted = filters(value.clamp_min(0))[:, :, None] * (vectors.T @ b.reshape(len(b), -1))
    return (vectors @ weighted).reshape(len(weighted), *b.shape)


def energy(matrix: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """‖v‖_A of each time, the largest over outputs."""
    columns = values.reshape(*values.shape[:2], -1)
    return (columns * (matrix @ columns)).sum(1).clamp_min(0).sqrt().amax(-1)


@pytest.mark.parametrize("name", list(OPTIONS))
@pytest.mark.parametrize("shape", [(300,), (300, 3)])
def test_every_smooth_filter_and_time_agrees_with_the_eigendecomposition(name, shape):
    matrix, b = symmetric(np.arange(1, 301.0) ** -2.0), normal(*shape)

    def filters(s):
        return spectral_filter(
            name, s, TIMES[10:] if name == "heavy-ball" else TIMES, **OPTIONS[name]
        )

    result = krylov_path(lambda v: matrix @ v, b, filters)
    assert result is not None and result.values.shape[1:] == shape
    exact = by_eigenvalues(matrix, b, filters)
    share = energy(matrix, result.values - exact) / energy(matrix, exact).clamp_min(1e-300)
    assert float(share.max()) <= 1e-9
    assert float(share.max()) <= result.estimate + TIMES[-1] * 1e-15  # and rounding


def test_a_finite_number_of_eigenvalues_ends_the_space_exactly():
    matrix, b = symmetric(np.repeat([1.0, 0.5, 0.1], 20)), normal(60)

    def filters(s):
        return spectral_filter("ridge", s, TIMES)

    result = krylov_path(lambda v: matrix @ v, b, filters)
    assert result is not None and result.steps <= 5
    np.testing.assert_allclose(result.values, by_eigenvalues(matrix, b, filters), rtol=1e-10)


def test_columns_of_different_reach_do_not_disturb_each_other():
    matrix = symmetric(np.arange(1, 61.0) ** -1.0)
    vectors = torch.linalg.eigh(matrix)[1]
    b = torch.stack([normal(60), vectors[:, 5], torch.zeros(60, dtype=torch.float64)], 1)

    def filters(s):
        return spectral_filter("flow", s, TIMES)

    result = krylov_path(lambda v: matrix @ v, b, filters)
    assert result is not None
    np.testing.assert_allclose(result.values, by_eigenvalues(matrix, b, filters), atol=1e-7)
    assert bool((result.values[:, :, 2] == 0).all())


@pytest.mark.parametrize("decay", [2.0, 4.0])
def test_what_does_not_converge_is_not_returned(decay):
    matrix, b = symmetric(np.arange(1, 401.0) ** -decay), normal(400)

    def filters(s):
        return spectral_filter("ridge", s, [1e12])

    assert krylov_path(lambda v: matrix @ v, b, filters, steps=60) is None


def test_the_estimate_covers_the_error_on_hard_spectra():
    for decay in (1.0, 1.5, 3.0):
        matrix, b = symmetric(np.arange(1, 401.0) ** -decay), normal(400)

        def filters(s):
            return spectral_filter("flow", s, [10.0, 1e3, 1e5])

        for tolerance in (1e-2, 1e-4, 1e-6):
            result = krylov_path(lambda v, params=matrix: params @ v, b, filters, tolerance)
            assert result is not None
            exact = by_eigenvalues(matrix, b, filters)
            error = float((energy(matrix, result.values - exact) / energy(matrix, exact)).max())
            assert error <= 3 * tolerance


def test_float32_stops_at_its_own_rounding():
    matrix, b = symmetric(np.arange(1, 201.0) ** -2.0).float(), normal(200).float()

    def filters(s):
        return spectral_filter("ridge", s, [1.0, 100.0])

    result = krylov_path(lambda v: matrix @ v, b, filters)
    assert result is not None and result.values.dtype == torch.float32
    exact = by_eigenvalues(matrix.double(), b.double(), filters)
    np.testing.assert_allclose(result.values, exact, atol=2e-3)
