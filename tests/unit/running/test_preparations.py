"""Preparations are made once for a group of cells: counted calls of a kernel."""

from __future__ import annotations

from collections import Counter
from typing import ClassVar

import torch
from attrs import frozen

from testbed import KernelModel
from testbed.contract.values import Data, Problem
from testbed.running.execute import PreparationCache, execute_cell
from testbed_basics.designs.points import Gaussian
from testbed_basics.metrics.risks import ExcessRisk, TrainingLoss
from testbed_basics.metrics.spectra import Eigenvalues
from testbed_basics.optimizers.gradient_descent import GradientDescent
from testbed_basics.optimizers.gradient_flow import GradientFlow
from testbed_basics.optimizers.spectral_filter import SpectralFilter
from testbed_basics.targets.linear import Linear
from tests.helpers.cells import make_cell

TRAIN, TEST = 12, 7
TIMES = [1.0, 10.0, 100.0]


@frozen(kw_only=True)
class CountingKernel(KernelModel):
    """The kernel exp(−|x − z|), which counts its calls by the numbers of its points."""

    name = "tests.counting-kernel"
    calls: ClassVar[Counter[tuple[int, int]]] = Counter()

    def kernel(self, x, z):
        self.calls[len(x), len(z)] += 1
        return torch.exp(-torch.cdist(x, z))


def calls(metrics, optimizers, **parameters):
    """How often the kernel is called by cells of one group, by the numbers of points."""
    CountingKernel.calls.clear()
    cache = PreparationCache()
    for optimizer in optimizers:
        design = Gaussian(n=TRAIN, dim=3, n_test=TEST, noise=0.1)
        cell = make_cell(
            design, Linear(), CountingKernel(**parameters), optimizer, TIMES, metrics, replicates=1
        )
        result = execute_cell(cell, cache)
        assert not result.failure, result.failure
    return dict(CountingKernel.calls)


FLOW, RIDGE = GradientFlow(), SpectralFilter(filter="ridge")
STEPPED = GradientDescent(learning_rate=0.1, method="stepped")


def test_the_kernel_of_training_and_test_points_is_computed_once_for_a_group():
    assert calls([ExcessRisk()], [FLOW, RIDGE]) == {(TRAIN, TRAIN): 1, (TEST, TRAIN): 1}
    # the factorisation works in the place of the matrix, which steps of descent compute once more
    assert calls([ExcessRisk()], [FLOW, RIDGE, STEPPED])[TRAIN, TRAIN] == 2
    by_krylov = calls([ExcessRisk(), TrainingLoss()], [FLOW, RIDGE, STEPPED], route="krylov")
    assert by_krylov == {(TRAIN, TRAIN): 1, (TEST, TRAIN): 1}


def test_the_spectrum_of_test_points_shares_the_matrices_of_the_group():
    metrics = [ExcessRisk(), Eigenvalues(points="test")]
    assert calls(metrics, [FLOW, RIDGE, SpectralFilter(filter="cutoff")]) == {
        (TRAIN, TRAIN): 1, (TEST, TRAIN): 1, (TEST, TEST): 1,
    }  # fmt: skip


def test_other_points_have_matrices_of_their_own():
    torch.manual_seed(0)
    train, first, second = (torch.randn(size, 3) for size in (TRAIN, TEST, TEST))
    model = CountingKernel()
    weight = torch.full((TRAIN,), 1 / TRAIN)
    prepared = model.prepare(None, Problem(Data(train, None, None, weight), None, None, {}))
    CountingKernel.calls.clear()
    for points in (first, first.clone(), second, first):
        torch.testing.assert_close(
            model.probe(prepared, points), torch.exp(-torch.cdist(points, train)), rtol=0, atol=0
        )
    assert CountingKernel.calls[TEST, TRAIN] == 3
