"""Expectations over the noise against many draws of it, refits by linear algebra, and the paths
themselves."""

from __future__ import annotations

import numpy as np
import pytest
from attrs import evolve

from testbed.contract.cells import PlannedTheory
from testbed.planning.files import read_scenario
from testbed.planning.fitting import theory_objection
from testbed.planning.plan import make_plan
from testbed.running.execute import draw_problem, execute_cell
from testbed_basics.designs.points import Sphere
from testbed_basics.metrics.labels import TestError
from testbed_basics.metrics.risks import ExcessRisk, TrainingLoss
from testbed_basics.optimizers.gradient_descent import GradientDescent
from testbed_basics.optimizers.gradient_flow import GradientFlow
from testbed_basics.optimizers.sgd import Sgd
from testbed_basics.optimizers.spectral_filter import SpectralFilter
from testbed_basics.targets.linear import Linear
from testbed_ntk.models import ReluTangent
from testbed_ntk.theories.bias_variance import BiasVariance
from tests.helpers.cells import make_cell, run_cell

MODEL = ReluTangent(depth=2, bias_variance=0.1)
DESIGN = Sphere(dim=4, n=30, n_test=20, noise=0.5)
TIMES = (0.5, 5.0, 50.0, 1000.0)
OPTIMIZERS = [
    *(
        SpectralFilter(filter=name, qualification=3, learning_rate=0.25, momentum=0.5)
        for name in ("flow", "ridge", "descent", "iterated-ridge", "cutoff", "heavy-ball")
    ),
    GradientFlow(),
    GradientDescent(learning_rate=0.25),
    GradientDescent(learning_rate=0.25, momentum=0.5),
]


def predicted(optimizer, design=DESIGN):
    cell = make_cell(design, Linear(), MODEL, optimizer, TIMES, [])
    return BiasVariance().predict(cell, cell.reached, draw_problem(cell, 0))


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=range(9))
def test_without_noise_it_is_the_path_itself(optimizer):
    """Bias alone: every filter's closed form against the simulation's."""
    quiet = evolve(DESIGN, noise=0.0)
    theory = predicted(optimizer, quiet)
    metrics = [ExcessRisk(), TrainingLoss()]
    result = run_cell(quiet, Linear(), MODEL, optimizer, TIMES, metrics, replicates=1)
    np.testing.assert_allclose(
        theory["excess_risk"], result["excess_risk"][0], rtol=1e-7, atol=1e-14
    )
    np.testing.assert_allclose(
        theory["training_loss"], result["training_loss"][0], rtol=1e-7, atol=1e-14
    )
    np.testing.assert_array_equal(theory["variance"], 0)


@pytest.mark.parametrize("name", ["flow", "ridge", "cutoff"])
def test_it_is_the_mean_over_draws_of_the_noise(name):
    """20000 draws on the same inputs: all |z| < 4.5, by chance wrong once in 10⁴ runs."""
    optimizer = SpectralFilter(filter=name)
    theory = predicted(optimizer)
    cell = make_cell(DESIGN, Linear(), MODEL, optimizer, TIMES, [])
    problem = draw_problem(cell, 0)
    x, z, truth = problem.train.x, problem.test.x, problem.train.truth.numpy()
    prepared = MODEL.prepare(None, problem)
    gram, cross = MODEL.gram(prepared, None, x, "features"), MODEL.probe(prepared, z).numpy()
    value, vectors = np.linalg.eigh(gram.numpy() / 30)
    rng = np.random.Generator(np.random.Philox(11))
    y = truth[:, None] + 0.5 * rng.standard_normal((30, 20_000))
    for index, time in enumerate(TIMES):
        phi = {
            "flow": -np.expm1(-time * value) / value,
            "ridge": 1 / (value + 1 / time),
            "cutoff": (value >= 1 / time) / value,
        }[name]
        dual = vectors @ (phi[:, None] * (vectors.T @ y)) / 30
        risks = ((cross @ dual - problem.test.truth.numpy()[:, None]) ** 2).mean(0)
        losses = 0.5 * ((gram.numpy() @ dual - y) ** 2).mean(0)
        for variable, values in (("excess_risk", risks), ("training_loss", losses)):
            error = values.std(ddof=1) / np.sqrt(len(values))
            assert abs(values.mean() - theory[variable][index]) < 4.5 * error + 1e-12
    np.testing.assert_allclose(theory["bias"] + theory["variance"], theory["excess_risk"])
    np.testing.assert_allclose(theory["test_error"] - theory["excess_risk"], 0.25)


def test_it_stands_beside_each_replicate():
    names = {name: f"{name}__bias_variance" for name in BiasVariance.variables}
    cell = make_cell(
        DESIGN, Linear(), MODEL, SpectralFilter(), TIMES, [ExcessRisk(), TestError()],
        replicates=3, theories=(PlannedTheory(BiasVariance(), names),),
    )  # fmt: skip
    result = execute_cell(cell)
    assert not result.error, result.error
    theory = result.variables["excess_risk__bias_variance"]
    assert theory.shape == (3, 4)
    np.testing.assert_allclose(theory[0], predicted(SpectralFilter())["excess_risk"], rtol=1e-10)
    assert np.ptp(theory, axis=0).min() > 0  # every replicate has its own inputs


def test_it_says_where_it_does_not_apply():
    def reason(optimizer):
        return theory_objection(
            BiasVariance(), make_cell(DESIGN, Linear(), MODEL, optimizer, TIMES, [])
        )

    assert all(reason(optimizer) is None for optimizer in OPTIMIZERS)
    assert "sgd has no spectral algorithm" in reason(Sgd(learning_rate=0.1, batch_size=5))
    assert "differs from replicate" in reason(GradientDescent(learning_rate={"edge": 0.9}))


def test_nothing_is_expected_beside_a_replicate_that_has_diverged():
    """Descent with too large a step: the expectation grows without bound, and ends with what it is
    the expectation of."""
    text = """
format = 1
name = "diverging"
times = [100.0, 1000.0, 50000.0]
design = { use = "sphere", dim = 3, n = 12, n_test = 5, noise = 0.1 }
target = { use = "linear" }
metric = [{ use = "excess-risk" }]
theory = [{ use = "ntk.bias-variance" }]
[[estimator]]
name = "descent"
model = { use = "ntk.laplace" }
optimizer = { use = "gradient-descent", learning_rate = 50.0 }
"""
    (cell,) = (cell for cell in make_plan(read_scenario(text)).cells if cell.replicates)
    result = execute_cell(cell)
    names = [name for name in result.variables if "bias_variance" in name or "bias" in name]
    assert names
    gone = np.array(cell.times) >= result.diverged_at[0]
    assert gone.tolist() == [False, False, True]
    for name in names:
        assert np.isnan(result.variables[name][0]).tolist() == gone.tolist()
