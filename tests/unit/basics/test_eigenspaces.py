"""What is measured on eigenvectors depends neither on the order of the points nor on the solver's
choice among eigenvectors of one eigenvalue, the null space among them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from testbed.contract.grids import Grid
from testbed.contract.seeds import Streams
from testbed.contract.values import Spectrum
from testbed.numerics.spans import eigenspace, resolution as spans_resolution
from testbed.numerics.trees import as_tensors, tree_map
from testbed.running.batching import Batched
from testbed.running.execute import draw_problem
from testbed_adaptive.models.one_step import OneStep
from testbed_basics.designs.points import Gaussian, Sphere
from testbed_basics.metrics import spans, spectra
from testbed_basics.metrics.alignment import SourceCondition, TargetAlignment
from testbed_basics.optimizers.spectral_filter import SpectralFilter
from testbed_basics.targets.polynomial import Polynomial as PolynomialTarget
from testbed_networks.models.fixed import RandomFeatures
from testbed_ntk.models import Laplace, Polynomial
from tests.helpers.cells import make_cell

TARGET = PolynomialTarget(exponents=((1, 1), (2, 0, 1)), coefficients=(1.0, 0.7))
RANKS = Grid([1, 2, 5, 17, 19])
METRICS = [
    spans.SpanDimension(),
    spans.SpanDimension(tau=0.005),
    spans.SpanProfile(),
    spans.FeatureError(),
    spans.OracleProjectionRisk(),
    spans.ProjectionError(),
    spans.ProjectionError(k=RANKS),
    spectra.TopProjection(k=RANKS),
    spectra.Eigenvalues(),
    TargetAlignment(),
    SourceCondition(last=16),
]
CASES = {
    "random features of rank 20": (Gaussian(dim=5, n=60, noise=0.3), RandomFeatures(width=20)),
    "a kernel of rank 6": (Gaussian(dim=5, n=60, noise=0.3), Polynomial(degree=1)),
    "a kernel of full rank": (Sphere(dim=4, n=60, noise=0.3), Laplace()),
    "one gradient step": (Gaussian(dim=5, n=60, noise=0.3), OneStep(width=20)),
}


def state(design, model, order=None):
    """Spectrum, basis and problem of one replicate at the start, its points in this order."""
    cell = make_cell(design, TARGET, model, SpectralFilter(), (1.0,), [])
    problem = draw_problem(cell, 0)
    if order is not None:
        problem = problem._replace(train=tree_map(lambda leaf: leaf[order], problem.train))
    view = Batched(model)
    batched = tree_map(lambda leaf: leaf.unsqueeze(0), problem)
    drawn = as_tensors(model.draw(Streams(7, 0), problem), torch.float64, "cpu")
    drawn = tree_map(lambda leaf: leaf.unsqueeze(0), drawn)
    prepared = view.prepare(drawn, batched)
    params = view.start(drawn, prepared, batched)
    result = view.spectrum(prepared, params, batched, "features", "train")
    return (
        tree_map(lambda leaf: leaf[0], result), view.basis(prepared, params)[0], problem,
    )  # fmt: skip


def measured(metric: Any, problem: Any, spectrum: Spectrum) -> dict[str, np.ndarray]:
    larger = {"parameters": 0} if isinstance(metric, SourceCondition) else {}
    result = metric.measure(problem, spectrum=spectrum, **larger)
    return {name: value.numpy() for name, value in result.items()}


def halves_permuted(rng):
    """An order of 60 points; one step takes one half of them, its readout the other."""
    return np.concatenate([rng.permutation(30), 30 + rng.permutation(30)])


@pytest.mark.parametrize("case", CASES)
def test_nothing_depends_on_the_order_of_the_points(case):
    design, model = CASES[case]
    spectrum, basis, problem = state(design, model)
    again = [halves_permuted(np.random.default_rng(seed)) for seed in range(4)]
    remaining = [state(design, model, torch.from_numpy(order)) for order in again]
    for metric in METRICS:
        expected = measured(metric, problem, spectrum)
        for rival, _, turned in remaining:
            for name, value in measured(metric, turned, rival).items():
                np.testing.assert_allclose(value, expected[name], rtol=1e-5, atol=1e-8)
    ranks = spectra.Eigenvectors(k=Grid([1, 2, 5, 9]))
    actual = ranks.measure(problem, basis, spectrum, basis, spectrum)["eigenvector_overlap"]
    for order, (rival, turned, _) in zip(again, remaining, strict=True):
        back = torch.empty_like(turned)
        rows = order if len(turned) == 60 else order[30:] - 30
        back[torch.from_numpy(rows)] = turned
        observed = ranks.measure(problem, back, rival, basis, spectrum)["eigenvector_overlap"]
        np.testing.assert_allclose(observed, actual, atol=1e-8)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_nothing_depends_on_rotations_within_eigenspaces(metric):
    """Eigenspaces of 5, 1, 20 and a null space of 34: any orthonormal basis of each."""
    rng = np.random.default_rng(3)
    value = np.repeat([5.0, 2.0, 0.9, 0.0], [5, 1, 20, 34])
    _, _, problem = state(*CASES["a kernel of full rank"])
    vectors = [torch.from_numpy(rng.standard_normal(60)) for _ in range(3)]

    def turned() -> Spectrum:
        blocks = [np.linalg.qr(rng.standard_normal((k, k)))[0] for k in (5, 1, 20, 34)]
        rotation = torch.block_diag(*map(torch.from_numpy, blocks))
        noisy = torch.from_numpy(value + 1e-16 * rng.standard_normal(60)).clamp_min(0)
        parts = [rotation @ vector for vector in vectors]
        return Spectrum(noisy, *parts, torch.zeros(()).double(), torch.tensor(1e-13).double())

    first = measured(metric, problem, turned())
    for _ in range(3):
        for name, value_again in measured(metric, problem, turned()).items():
            np.testing.assert_allclose(value_again, first[name], rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("size", [20, 200])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_the_resolution_is_what_rounding_moves_equal_eigenvalues_by(size, dtype):
    """Two eigenvalues, each of half of the coordinates, in any basis: the solver's stay within the
    resolution, so that there are two eigenspaces."""
    value = torch.tensor([1.0, 0.3], dtype=torch.float64).repeat_interleave(size // 2)
    rng = np.random.default_rng(1)
    basis = torch.from_numpy(np.linalg.qr(rng.standard_normal((size, size)))[0])
    matrix = ((basis * value) @ basis.mT).to(dtype)
    result = torch.linalg.eigvalsh(0.5 * (matrix + matrix.mT)).flip(0)
    zero = torch.zeros_like(result)
    spectrum = Spectrum(result, zero, zero, zero, zero[0], spans_resolution(result))
    assert eigenspace(spectrum).unique(return_counts=True)[1].tolist() == [size // 2] * 2
