"""Scenarios that keep all points for training: what needs test points is left out."""

from __future__ import annotations

import numpy as np
import pytest

from testbed.errors import ScenarioError
from testbed.planning.files import read_scenario
from testbed.planning.plan import make_plan
from testbed.running.execute import execute_cell
from testbed.runs import run

EDGE = """
format = 1
name = "edge"
seed = 1
times = [300.0]
[design]
use = "dataset"
data = "file"
path = "PATH"
n = 20
n_test = 0
standardise = false
[target]
use = "labels"
[[estimator]]
name = "net"
optimizer = { use = "gradient-descent", learning_rate = 0.2 }
[estimator.model]
use = "networks.mlp"
width = 50
depth = 2
activation = "tanh"
bias = true
parameterization = "mup"
[[metric]]
use = "training-loss"
[[metric]]
use = "networks.sharpness"
"""


def test_sharpness_settles_at_the_edge_of_stability(tmp_path):
    """arXiv:2103.00065: descent on a Chebyshev polynomial of degree 5 at 20 points rises to 2/η and
    stays there."""
    x = np.linspace(-1, 1, 20)
    np.savez(tmp_path / "chebyshev.npz", x=x[:, None], y=np.cos(5 * np.arccos(x)))
    text = EDGE.replace("PATH", str(tmp_path / "chebyshev.npz"))
    tree = run(read_scenario(text), folder=tmp_path / "run")
    assert float(tree["net"]["sharpness"].squeeze()) == pytest.approx(2 / 0.2, rel=0.03)
    assert float(tree["net"]["training_loss"].squeeze()) < 0.03


@pytest.mark.parametrize("design", ['use = "sphere"\ndim = 3', 'use = "torus"\ndim = 1'])
def test_what_needs_test_points_is_refused_with_a_reason(design):
    untested = f"""
format = 1
name = "all-trained"
times = [1.0]
[design]
{design}
n = 12
n_test = 0
noise = 0.1
[target]
use = "linear"
[[estimator]]
name = "ridge"
model = {{ use = "ntk.laplace" }}
optimizer = {{ use = "spectral-filter" }}
[[metric]]
use = "training-loss"
[[metric]]
use = "span-dimension"
"""
    larger = """
[[metric]]
use = "excess-risk"
[[metric]]
use = "span-profile"
points = "test"
[[theory]]
use = "ntk.bias-variance"
"""
    with pytest.raises(ScenarioError) as refused:
        make_plan(read_scenario(untested + larger))
    assert str(refused.value).count("the design has no test points (n_test = 0)") == 2
    assert "it predicts at test points, and the design has none" in str(refused.value)
    (cell,) = make_plan(read_scenario(untested)).cells
    assert [planned.metric.name for planned in cell.metrics] == ["training-loss", "span-dimension"]
    assert np.isfinite(execute_cell(cell).variables["span_dimension"]).all()
