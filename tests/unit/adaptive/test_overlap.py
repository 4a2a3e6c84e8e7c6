"""Overlaps, and the time at which they first reach a threshold."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.linalg import subspace_angles

from testbed.contract.values import Problem
from testbed.running.execute import execute_cell
from testbed_adaptive.metrics.overlap import Overlap, first_crossing
from testbed_adaptive.models.directional import Directional
from testbed_basics.designs.points import Gaussian
from testbed_basics.optimizers.gradient_descent import GradientDescent
from testbed_basics.optimizers.gradient_flow import GradientFlow
from testbed_basics.targets.hermite import SingleIndex
from testbed_networks.models.two_layer import TwoLayerNetwork
from tests.helpers.cells import make_cell, run_cell

TARGET = SingleIndex(coefficients=(0.0, 1.0), direction="drawn")
DESIGN = Gaussian(dim=9, n=300)
MODEL = Directional(eigenvalues=(1.0, 1.0))


@pytest.mark.parametrize(("model", "true"), [(1, 1), (2, 2), (1, 3), (3, 2)])
def test_overlap_is_the_cosine_of_the_largest_angle(model, true):
    """Against scipy's subspace angles; the length and basis of what is trained do not matter."""
    rng = np.random.default_rng(model + 10 * true)
    trained = rng.standard_normal((6, model))
    directions = np.linalg.qr(rng.standard_normal((6, true)))[0]
    problem = Problem(None, None, None, {"directions": torch.from_numpy(directions.T)})
    result = Overlap().measure(problem, {"frame": torch.from_numpy(trained)})["overlap"]
    expected = np.cos(subspace_angles(trained, directions).max())
    np.testing.assert_allclose(result, expected, rtol=1e-12)


def test_first_crossing_by_hand():
    times = np.array([0.0, 1.0, 3.0, 4.0])
    values = np.array(
        [
            [0.1, 0.2, 0.6, 0.4],  # between 1 and 3: 1 + 2·(0.3/0.4)
            [0.1, 0.2, 0.3, 0.4],  # never
            [0.7, 0.2, 0.3, 0.9],  # at the start
            [0.1, np.nan, 0.9, 0.9],  # not recorded at 1: between 0 and 3
            [np.nan, np.nan, np.nan, np.nan],
        ]
    )
    expected = [2.5, np.nan, 0.0, 1.5, np.nan]
    np.testing.assert_allclose(first_crossing(times, values, 0.5), expected, rtol=1e-12)


def test_escape_time_of_each_replicate_stands_in_the_result():
    times = np.linspace(0.0, 6.0, 61)
    result = run_cell(DESIGN, TARGET, MODEL, GradientFlow(), times, [Overlap()])
    assert result["overlap"].shape == (3, 61)
    assert result["escape_time"].shape == (3,)
    assert len(set(result["escape_time"])) == 3
    for path, escape in zip(result["overlap"], result["escape_time"], strict=True):
        assert abs(np.interp(escape, times, path) - 0.5) < 1e-12
        assert (path[times < escape] < 0.5).all()


def test_escape_time_uses_the_times_that_training_reached():
    """Steps of 0.4 stop at 0, 0.4, 1.2, 2.8 where 0, 0.5, 1.3, 2.9 are asked."""
    cell = make_cell(
        DESIGN, TARGET, MODEL, GradientDescent(learning_rate=0.4), [0.0, 0.5, 1.3, 2.9],
        [Overlap(threshold=0.6)],
    )  # fmt: skip
    assert cell.reached == (0.0, 0.4, pytest.approx(1.2), pytest.approx(2.8))
    result = execute_cell(cell)
    assert not result.error
    overlap = result.variables["overlap"]
    np.testing.assert_allclose(
        result.variables["escape_time"], first_crossing(np.array(cell.reached), overlap, 0.6)
    )
    assert np.isfinite(result.variables["escape_time"]).all()


def test_never_escaping_is_not_a_number():
    result = run_cell(DESIGN, TARGET, MODEL, GradientFlow(), [0.0, 0.01], [Overlap()])
    assert np.isnan(result["escape_time"]).all()


def test_applies_to_models_with_a_frame():
    cell = make_cell(DESIGN, TARGET, TwoLayerNetwork(width=4), GradientFlow(), [0.0], [])
    assert Overlap().applies(cell) == (
        "networks.two-layer has no Hermite features of a trained frame"
    )
    assert Overlap().applies(make_cell(DESIGN, TARGET, MODEL, GradientFlow(), [0.0], [])) is None
