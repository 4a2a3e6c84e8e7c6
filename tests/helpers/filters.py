"""A kernel regression by spectral filters, and what each metric sees of it."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from attrs import frozen

from testbed.contract.components import Metric, Variable
from testbed.running.execute import draw_problem
from testbed_basics.designs.points import Sphere
from testbed_basics.optimizers.spectral_filter import SpectralFilter
from testbed_basics.targets.linear import Linear
from testbed_ntk.models import ReluTangent
from testbed_ntk.numerics.gram import cross_matrix, gram_matrix
from tests.helpers.cells import make_cell, run_cell

DESIGN = Sphere(dim=4, n=40, n_test=25, noise=0.4)
MODEL = ReluTangent(depth=2, bias_variance=0.1)
TIMES = (0.5, 4.0, 60.0, 1000.0)


@frozen(kw_only=True)
class Seen(Metric):
    """What metrics are handed."""

    name = "tests.seen"
    needs = ("predictions", "train_predictions", "leverage")
    variables: ClassVar = {
        "predictions": Variable("f at the test points", dims=("test_point",)),
        "fitted": Variable("f at the training points", dims=("train_point",)),
        "leverage": Variable("diagonal of the smoother", dims=("train_point",)),
    }

    def coordinates(self, sizes):
        return {f"{which}_point": np.arange(sizes[which]) for which in ("train", "test")}

    def measure(self, problem, predictions, train_predictions, leverage):
        return {"predictions": predictions, "fitted": train_predictions, "leverage": leverage}


def train(optimizer, model=MODEL, times=TIMES, **options):
    """Predictions, fitted values and leverages, (replicates, times, points)."""
    return run_cell(DESIGN, Linear(), model, optimizer, times, [Seen()], replicates=2, **options)


def kernel_matrices(model=MODEL, replicate=0):
    """K(X, X), K(Z, X) and y of one replicate, by the public kernel."""
    cell = make_cell(DESIGN, Linear(), model, SpectralFilter(), TIMES, [], replicates=2)
    problem = draw_problem(cell, replicate)
    kernel = model.kernel(DESIGN.dim)
    x, z = problem.train.x, problem.test.x
    return (
        gram_matrix(kernel, x).numpy(),
        cross_matrix(kernel, z, x).numpy(),
        problem.train.y.numpy(),
    )
