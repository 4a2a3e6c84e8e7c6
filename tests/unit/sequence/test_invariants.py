"""The drift of conserved quantities: rounding on exact flows, the step's error under descent."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from testbed_basics.optimizers.gradient_descent import GradientDescent
from testbed_basics.optimizers.gradient_flow import GradientFlow
from testbed_sequence.designs.gaussian import GaussianSequence
from testbed_sequence.metrics.invariants import InvariantDrift
from testbed_sequence.models.diagonal import Diagonal
from testbed_sequence.models.fixed import Fixed
from testbed_sequence.models.orthogonal import Orthogonal
from testbed_sequence.targets.signals import SparsePower
from tests.helpers.cells import make_cell, run_cell

DESIGN, TARGET = GaussianSequence(n=200, modes=30), SparsePower(p=1.0, q=2.0)
TIMES = (0.0, 2.0, 20.0)
MOVING = [
    *(Diagonal(gamma=1.5, depth=depth) for depth in (0, 1, 3)),
    Orthogonal(),
    Orthogonal(form="matrix"),
]


def drift(model, optimizer=None):
    optimizer = optimizer or GradientFlow()
    return run_cell(DESIGN, TARGET, model, optimizer, TIMES, [InvariantDrift()])["invariant_drift"]


@pytest.mark.parametrize("model", [*MOVING, Orthogonal(train=("basis",))], ids=str)
def test_flows_conserve(model):
    assert drift(model).max() < 1e-9


@pytest.mark.parametrize("model", MOVING, ids=str)
def test_steps_drift_in_proportion_to_their_size(model):
    wide, narrow = (drift(model, GradientDescent(learning_rate=rate)) for rate in (0.04, 0.02))
    assert (narrow[:, 1:] > 1e-6).all() and (narrow[:, 0] == 0).all()
    ratio = wide[:, 1:] / narrow[:, 1:]
    assert (ratio > 1.5).all() and (ratio < 2.6).all()


def test_the_drift_is_the_largest_relative_change():
    metric = InvariantDrift()
    start = {"a": [1.0, 0.5], "b": [0.2, 0.2], "beta": [0.0, 0.0]}
    state = {"a": [2.0, 0.5], "b": [2.5, 0.2], "beta": [1.7, 0.0]}
    as_tensors = [
        {name: torch.tensor(values, dtype=torch.float64) for name, values in value.items()}
        for value in (state, start)
    ]
    (result,) = metric.measure(None, *as_tensors).values()  # type: ignore[arg-type]
    depth = round((2.5**2 - 0.2**2) / 1.7**2)  # 2
    actual = abs((2.0**2 - 1.7**2) - 1.0) / 2.0**2
    second = abs((2.5**2 - depth * 1.7**2) - 0.2**2) / 2.5**2
    assert depth == 2 and float(result) == pytest.approx(max(actual, second))


def test_models_that_conserve_nothing_say_so():
    for model, reason in (
        (Fixed(gamma=1.0), "has no invariants"),
        (Orthogonal(constraint="free", form="matrix"), "a free basis"),
    ):
        cell = make_cell(DESIGN, TARGET, model, GradientFlow(), TIMES, [])
        assert reason in (InvariantDrift().applies(cell) or "")
    np.testing.assert_equal(drift(Diagonal(gamma=1.0))[:, 0], 0.0)
