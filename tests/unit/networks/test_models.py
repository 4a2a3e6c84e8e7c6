"""Networks as models: against autograd, against each other, and against their infinite width."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from attrs import evolve

from testbed.contract.cells import STATUS
from testbed.contract.components import Variable
from testbed.contract.facts import ModelFacts
from testbed.contract.losses import loss
from testbed.contract.seeds import Streams
from testbed.errors import ScenarioError, UnsuitableError
from testbed.numerics.jacobians import jacobian_kernel
from testbed.numerics.spectra import eigenpairs
from testbed.numerics.trees import as_tensors, bounded, index, stack
from testbed.planning.files import read_scenario
from testbed.running.execute import draw_problem, execute_cell
from testbed.runs import checked_plan
from testbed.testing import NumericFlow, Points, Sequence, Smooth, check_component
from testbed_basics.metrics.risks import ExcessRisk
from testbed_basics.metrics.spectra import Eigenvalues, Eigenvectors, TopProjection
from testbed_basics.optimizers.gradient_descent import GradientDescent
from testbed_basics.optimizers.gradient_flow import GradientFlow
from testbed_networks.models.deep import Mlp
from testbed_networks.models.deep_linear import DeepLinear
from testbed_networks.models.fixed import Linearised
from testbed_networks.models.two_layer import TwoLayerNetwork
from tests.helpers.cells import make_cell, run_cell

DESCENT = GradientDescent(learning_rate=0.05)
KINKS = """
format = 1
name = "kinks"
replicates = 1
[design]
use = "sphere"
dim = 3
n = 8
[target]
use = "single-index"
coefficients = [0.0, 1.0]
[[estimator]]
name = "one"
model = MODEL
optimizer = { use = "gradient-flow", times = [1.0] }
[[metric]]
use = "excess-risk"
"""
POINTS = Points(n=9, dim=3)
MODELS = [
    TwoLayerNetwork(width=6, activation="tanh", bias=True),
    TwoLayerNetwork(width=6, parameterization="mean-field", symmetric=True),
    TwoLayerNetwork(width=5, activation="erf", train="first", parameterization="mean-field"),
    TwoLayerNetwork(width=5, activation="gelu", train="second"),
    Mlp(width=5, depth=1, activation="tanh", bias=True),
    Mlp(width=6, depth=3, bias=True, symmetric=True, parameterization="mup"),
    Mlp(width=4, depth=2, activation="tanh", parameterization="mean-field", weight_variance=2.0),
    DeepLinear(depth=1, scale=0.3, readout=0.5),
    DeepLinear(depth=3, scale=0.3, readout=0.5),
]


def states(model, replicates=2, design=POINTS):
    """The initial parameters of a few replicates, stacked, and their problems."""
    cell = make_cell(design, Smooth(), model, DESCENT, (0.0,), ())
    problems = [draw_problem(cell, replicate) for replicate in range(replicates)]
    drawn = [
        as_tensors(model.draw(Streams(7, row), problems[row]), torch.float64, "cpu")
        for row in range(replicates)
    ]
    return stack(drawn), stack(problems)


def step_factor(model):
    """m^{2κ−1}, as the docstrings have it."""
    scaled = getattr(model, "parameterization", "ntk") in ("mean-field", "mup")
    return float(model.width) if scaled else 1.0


@pytest.mark.parametrize("model", MODELS, ids=lambda model: repr(model)[:60])
def test_it_keeps_the_laws(model):
    check_component(model, optimizer=DESCENT)


@pytest.mark.parametrize(
    "model",
    [
        TwoLayerNetwork(width=4, activation="tanh", parameterization="mean-field"),
        Mlp(width=4, activation="tanh"),
    ],
)
def test_smooth_networks_keep_the_laws_under_a_numeric_flow(model):
    check_component(model, optimizer=NumericFlow())


@pytest.mark.parametrize("model", MODELS, ids=lambda model: repr(model)[:60])
@pytest.mark.parametrize("rows", [None, [[0, 3, 3], [8, 1, 2]]])
def test_gradients_are_those_of_autograd_times_the_factor_of_the_clock(model, rows):
    params, problem = states(model)
    batch = None if rows is None else torch.tensor(rows)
    result = model.gradient(None, params, problem, batch)
    for row in range(2):
        actual, data = index(params, row), index(problem, row).train
        if rows is not None:
            position = batch[row]
            data = data._replace(
                x=data.x[position], y=data.y[position], weight=data.weight[position] * 9 / 3
            )

        def height(leaves, data=data):
            batched = {name: leaf[None] for name, leaf in leaves.items()}
            return loss(data, model.function(batched, data.x[None])[0])

        expected = torch.func.grad(height)(actual)
        for leaf, slope in expected.items():
            trained = getattr(model, "train", "both")
            frozen = trained == ("first" if leaf == "second" else "second")
            slope = torch.zeros_like(slope) if frozen else step_factor(model) * slope
            torch.testing.assert_close(result[leaf][row], slope, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: repr(model)[:60])
def test_tangent_kernels_are_products_of_jacobians(model):
    params, problem = states(model, replicates=1)
    actual, x = index(params, 0), problem.train.x[0]
    trained = getattr(model, "train", "both")
    moved = [
        leaf for leaf in actual if trained in ("both", "second" if leaf == "second" else "first")
    ]

    def predict(params, points):
        batched = {name: leaf[None] for name, leaf in {**actual, **params}.items()}
        return model.function(batched, points[None])[0]

    expected = step_factor(model) * jacobian_kernel(
        predict, {leaf: actual[leaf] for leaf in moved}, x
    )
    result = model.gram(None, params, problem.train.x, "tangent")[0]
    torch.testing.assert_close(result, expected, rtol=1e-9, atol=1e-12)
    second = model.cross(params, problem.test.x, problem.train.x, "tangent")[0]
    both = torch.cat([problem.test.x, problem.train.x], 1)
    original = model.gram(None, params, both, "tangent")[0]
    torch.testing.assert_close(second, original[: second.shape[0], second.shape[0] :])


def by_hand(model, params, x):
    """The multi-layer network of one replicate, neuron by neuron, as its docstring reads."""
    value = x
    layers = [params["first"], *params.get("hidden", ())]
    for number, weight in enumerate(layers):
        scale = 1.0 if number == 0 else math.sqrt(model.weight_variance / model.width)
        bias = params["bias"][number] if model.bias else torch.zeros(model.width)
        columns = [scale * (value * item).sum(-1) + bias[k] for k, item in enumerate(weight)]
        value = torch.tanh(torch.stack(columns, -1))
    kappa = 0.5 if model.parameterization == "ntk" else 1.0
    return (value * params["second"]).sum(-1) / model.width**kappa


@pytest.mark.parametrize("parameterization", ["ntk", "mup", "mean-field"])
def test_a_deep_network_is_the_formula_of_its_docstring(parameterization):
    model = Mlp(
        width=4, depth=3, activation="tanh", bias=True, parameterization=parameterization,
        weight_variance=1.5,
    )  # fmt: skip
    params, problem = states(model)
    result = model.predict(None, params, problem.test.x)
    for row in range(2):
        expected = by_hand(model, index(params, row), problem.test.x[row])
        torch.testing.assert_close(result[row], expected)


@pytest.mark.parametrize("parameterization", ["ntk", "mean-field"])
def test_one_hidden_layer_is_the_two_layer_network(parameterization):
    options = {"width": 6, "bias": True, "symmetric": True, "parameterization": parameterization}
    times = (0.0, 0.5, 2.0)
    risks = [
        run_cell(POINTS, Smooth(), model, DESCENT, times, [ExcessRisk()])["excess_risk"]
        for model in (TwoLayerNetwork(**options), Mlp(depth=1, **options))
    ]
    np.testing.assert_allclose(risks[0], risks[1], rtol=1e-10)


def test_maximal_update_of_one_hidden_layer_is_mean_field():
    params, problem = states(Mlp(width=6, depth=1, parameterization="mup"))
    field = TwoLayerNetwork(width=6, parameterization="mean-field")
    slopes = Mlp(width=6, depth=1, parameterization="mup").gradient(None, params, problem)
    for leaf, slope in field.gradient(None, params, problem).items():
        torch.testing.assert_close(slopes[leaf], slope)


def relu_tangent(x, depth):
    """Θ^L of standard Gaussian weights without biases (arXiv:1806.07572), by its recursion."""
    sigma = x @ x.T
    theta = sigma.copy()
    for _ in range(depth):
        root = np.sqrt(np.diag(sigma))
        u = np.clip(sigma / np.outer(root, root), -1, 1)
        angle = np.pi - np.arccos(u)
        half = np.outer(root, root) / (2 * np.pi)
        sigma = half * (u * angle + np.sqrt(1 - u**2))
        theta = sigma + theta * angle / (2 * np.pi)
    return theta


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_wide_networks_start_at_the_analytic_tangent_kernel(depth):
    model = Mlp(width=200, depth=depth)
    params, problem = states(model, replicates=64, design=Points(n=4, dim=3))
    x = problem.train.x[:1].expand(64, -1, -1)
    result = model.gram(None, params, x, "tangent").numpy()
    expected = relu_tangent(x[0].numpy(), depth)
    error = result.std(0, ddof=1) / 8
    assert (error < 0.06 * expected.max()).all()
    assert (np.abs(result.mean(0) - expected) < 4.5 * error).all()


def test_symmetric_starts_are_zero_and_wider_ones_extend_narrower():
    for model in (
        TwoLayerNetwork(width=8, bias=True, symmetric=True),
        Mlp(width=8, depth=3, bias=True, symmetric=True),
    ):
        params, problem = states(model)
        assert model.predict(None, params, problem.test.x).abs().max() < 1e-14
        assert params["second"].abs().max() > 0.1
    narrow, _ = states(TwoLayerNetwork(width=4, bias=True))
    wide, _ = states(TwoLayerNetwork(width=16, bias=True))
    for leaf, value in narrow.items():
        assert torch.equal(value, wide[leaf][:, :4])


def layer_moves(parameterization, width):
    """Root mean square change of the last hidden layer's values by time 1."""
    model = Mlp(
        width=width, depth=2, activation="tanh", parameterization=parameterization, symmetric=True
    )
    params, problem = states(model, design=Points(n=20, dim=3))
    before = model.gram(None, params, problem.train.x, "features")
    after = params
    for _ in range(40):
        slope = model.gradient(None, after, problem)
        after = {leaf: value - 0.05 * slope[leaf] for leaf, value in after.items()}
    moved = model.gram(None, after, problem.train.x, "features") - before
    return float(moved.norm() / before.norm())


def test_features_move_at_any_width_under_maximal_update_and_freeze_under_ntk():
    lazy, rich = ([layer_moves(word, width) for width in (32, 512)] for word in ("ntk", "mup"))
    assert lazy[1] < 0.4 * lazy[0]
    assert 0.6 < rich[1] / rich[0] < 1.7
    assert rich[1] > 5 * lazy[1]


# --- spectra ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kernel", ["features", "tangent"])
@pytest.mark.parametrize("points", ["train", "test"])
def test_spectra_are_those_of_the_gram_matrix(kernel, points):
    model = TwoLayerNetwork(width=40, activation="tanh", bias=True)
    params, problem = states(model)
    result = model.spectrum(None, params, problem, kernel, points)
    for row in range(2):
        data = getattr(index(problem, row), points)
        fitted = model.predict(None, params, getattr(problem, points).x)[row]
        gram = model.gram(None, params, getattr(problem, points).x, kernel)[row].numpy()
        value, vectors = np.linalg.eigh(gram / len(gram))
        order = np.argsort(-value)
        np.testing.assert_allclose(result.eigenvalue[row].numpy(), value[order], atol=1e-12)
        for part, values in (("truth", data.truth), ("estimate", fitted), ("observed", data.y)):
            observed = vectors[:, order].T @ values.numpy() / np.sqrt(len(gram))
            actual = getattr(result, part)[row].abs().numpy()
            np.testing.assert_allclose(actual, np.abs(observed), atol=1e-9)
        energy = (data.weight * data.truth.square()).sum()
        assert float(result.truth[row].square().sum()) == pytest.approx(float(energy))


def test_a_matrix_that_is_not_finite_leaves_the_others_alone():
    params, problem = states(TwoLayerNetwork(width=6), replicates=3)
    gram = TwoLayerNetwork(width=6).gram(None, params, problem.train.x, "tangent")
    root = problem.train.weight.sqrt()
    original = eigenpairs(gram, root)
    gram[1, 2, 3] = torch.inf
    value, vectors = eigenpairs(gram, root)
    assert torch.isnan(value[1]).all() and torch.isnan(vectors[1]).all()
    for row in (0, 2):
        assert torch.equal(value[row], original[0][row])
        assert torch.equal(vectors[row], original[1][row])


@pytest.mark.parametrize("metric", [TopProjection(), Eigenvalues(), Eigenvectors()])
def test_feature_metrics_read_networks(metric):
    model = TwoLayerNetwork(width=16, symmetric=True)
    design = Points(n=12, dim=3)
    values = run_cell(design, Smooth(), model, DESCENT, (0.0, 2.0), [metric])
    assert all(np.isfinite(values[name]).all() for name in metric.declared())


# --- what cannot work -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"width": 0}, "width: found 0; expected a number at least 1"),
        ({"width": 7, "symmetric": True}, "width: found 7; expected an even number"),
        ({"width": 4, "activation": "relo"}, "activation: found 'relo'; expected one of 'erf'"),
        ({"width": 4, "parameterization": "mfp"}, "parameterization: found 'mfp'"),
        ({"width": 4, "train": "none"}, "train: found 'none'"),
    ],
)
def test_parameters_that_cannot_work_are_refused(fields, words):
    with pytest.raises(ValueError, match=words):
        TwoLayerNetwork(**fields)
    if "train" not in fields:
        with pytest.raises(ValueError, match=words):
            Mlp(**fields)


def test_sequences_are_no_inputs_of_a_network():
    problem = index(states(TwoLayerNetwork(width=2))[1], 0)
    flat = problem._replace(train=problem.train._replace(x=problem.train.x[:, 0]))
    with pytest.raises(UnsuitableError, match="expected vectors"):
        TwoLayerNetwork(width=2).draw(Streams(1, 0), flat)
    cell = make_cell(Sequence(), Smooth(), TwoLayerNetwork(width=2), DESCENT, (0.0,), ())
    assert "expected vectors" in execute_cell(cell).error


def test_a_diverging_step_is_a_status_with_the_count_of_steps_in_bounds():
    model = TwoLayerNetwork(width=16, activation="quadratic", symmetric=True)
    wild = GradientDescent(learning_rate=2.0)
    cell = make_cell(
        POINTS, Smooth(), model, wild, (0.0, 4.0, 400.0), [ExcessRisk(), Eigenvalues()]
    )
    result = execute_cell(cell)
    assert not result.error
    assert (result.status == STATUS["diverged"]).all()
    assert (result.diverged_at == 400.0).all()
    steps = result.variables["finite_steps"]
    assert (steps[:, 1] == 2).all() and (steps[:, 2] < 200).all() and (steps[:, 2] >= 2).all()
    assert isinstance(wild.variables["finite_steps"], Variable)
    params, problem = states(model, replicates=3)
    count = np.zeros(3)
    while True:
        slope = model.gradient(None, params, problem)
        params = {leaf: value - 2.0 * slope[leaf] for leaf, value in params.items()}
        alive = torch.stack([bounded(value).flatten(1).all(1) for value in params.values()]).all(0)
        if not alive.any():
            break
        count += alive.numpy()
    np.testing.assert_array_equal(steps[:, 2], count)


# --- flows ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["auto", "numeric"])
@pytest.mark.parametrize("of", [TwoLayerNetwork, Mlp])
def test_a_network_with_kinks_is_not_integrated(of, method):
    flow = GradientFlow(method=method)
    assert "activation" in (flow.accepts(of(width=4)) or "")
    assert flow.accepts(of(width=4, activation="gelu")) is None
    assert flow.accepts(DeepLinear()) is None
    # dual coefficients of the same kinks move smoothly, and in closed form
    assert flow.accepts(Linearised(of=of(width=4))) is None


def test_its_flow_is_refused_when_the_scenario_is_read():
    network = '{ use = "networks.two-layer", width = 4 }'
    with pytest.raises(ScenarioError, match=r"gradient of networks\.two-layer jumps.*gradient-de"):
        checked_plan(read_scenario(KINKS.replace("MODEL", network)))
    smooth = network.replace(" }", ', activation = "tanh" }')
    assert checked_plan(read_scenario(KINKS.replace("MODEL", smooth)))


def test_models_that_say_nothing_are_smooth_and_a_plugin_may_say_no():
    class Jumping(TwoLayerNetwork):
        name = "tests.jumping"

        def facts(self):
            return evolve(super().facts(), smooth=False)

    assert ModelFacts().smooth
    assert "tests.jumping jumps" in (GradientFlow().accepts(Jumping(width=4)) or "")
