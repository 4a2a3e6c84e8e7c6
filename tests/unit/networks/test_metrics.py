"""Metrics of networks against dense formulas, and the laws of width."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from attrs import evolve, frozen

from testbed.contract.components import Estimator, Model
from testbed.contract.facts import ModelFacts
from testbed.contract.losses import loss_gradient
from testbed.contract.seeds import Streams
from testbed.numerics.trees import as_tensors
from testbed.running.execute import draw_problem
from testbed.testing import Points, Smooth, check_component
from testbed_basics.metrics.spectra import Eigenvalues
from testbed_basics.optimizers.adam import Adam
from testbed_basics.optimizers.gradient_descent import GradientDescent
from testbed_basics.optimizers.gradient_flow import GradientFlow
from testbed_networks.metrics import networks as metrics
from testbed_networks.models.deep import Mlp
from testbed_networks.models.fixed import Linearised
from testbed_networks.models.two_layer import TwoLayerNetwork
from tests.helpers.cells import make_cell, run_cell

POINTS = Points(n=10, dim=4)
NET = TwoLayerNetwork(width=16, symmetric=True, activation="tanh")
RELU = evolve(NET, activation="relu")
DESCENT = GradientDescent(learning_rate=0.05)


@frozen(kw_only=True)
class Ridge(Smooth):
    """Σ of two directions, which it names."""

    name = "tests.ridge"
    directions: int = 2

    def values(self, drawn, x):
        return x @ np.array([2.0, 0, 0, 0]) + np.tanh(x @ np.array([1.0, 1.0, 0, 0]))

    def expansion(self, drawn, sample):
        return {"directions": np.array([[2.0, 0, 0, 0], [1.0, 1.0, 0, 0]])}


SCALES = {"in": 5.0, "out": 0.1}  # the layers of `Scaled`, and the factors of their steps


@frozen(kw_only=True)
class Scaled(Model):
    """A network of somebody else's, whose layers take steps of their own length."""

    name = "tests.scaled"

    def draw(self, rng, problem):
        generator = rng("model")
        return {
            "in": generator.standard_normal((5, problem.train.x.shape[-1])),
            "out": generator.standard_normal(5),
        }

    def start(self, drawn, prepared, problem):
        return drawn

    def predict(self, prepared, params, probe):
        return torch.tanh(probe @ params["in"].mT) @ params["out"]

    def gradient(self, prepared, params, problem, rows=None):
        slope = loss_gradient(self, prepared, params, problem, rows)
        return {leaf: scale * slope[leaf] for leaf, scale in SCALES.items()}


@frozen(kw_only=True)
class Named(Model):
    """Another one, whose first layer is called as everywhere else."""

    name = "tests.named"

    batching: str = "vmap"  # either will do

    def draw(self, rng, problem):
        generator = rng("model")
        return {
            "first": generator.standard_normal((5, problem.train.x.shape[-1])),
            "last": generator.standard_normal((1, 5)),
        }

    def start(self, drawn, prepared, problem):
        return drawn

    def predict(self, prepared, params, probe):
        return (torch.relu(probe @ params["first"].mT) @ params["last"].mT).squeeze(-1)


@pytest.mark.parametrize(
    "metric",
    [
        metrics.KernelDrift(),
        metrics.KernelDrift(kernel="features", points="test"),
        metrics.FeatureAlignment(coordinates_used=1),
        metrics.Sharpness(),
        metrics.Sharpness(matrix="gauss-newton"),
        metrics.WeightNorm(),
        metrics.FlowGap(),
        metrics.LazyGap(),
    ],
)
@pytest.mark.parametrize("network", [RELU, Mlp(width=4, activation="tanh")])
def test_they_keep_the_laws(metric, network):
    if metric.name == "networks.sharpness" and network is not RELU:
        network = TwoLayerNetwork(width=4, activation="tanh", train="second")
    check_component(metric, model=network, optimizer=DESCENT)


def test_alignment_reads_the_targets_own_directions():
    check_component(metrics.FeatureAlignment(), model=RELU, optimizer=DESCENT, target=Ridge(),
                    design=POINTS)  # fmt: skip
    times = (0.0, 2.0)
    actual, first = (
        run_cell(POINTS, Ridge(), RELU, DESCENT, times, [metric])["feature_alignment"]
        for metric in (metrics.FeatureAlignment(), metrics.FeatureAlignment(coordinates_used=2))
    )
    np.testing.assert_allclose(actual, first, rtol=1e-12)  # the two span the same plane
    cell = make_cell(POINTS, Smooth(), RELU, DESCENT, times, ())
    assert "has no directions" in metrics.FeatureAlignment().applies(cell)
    for rival, words in ((Linearised(of=RELU), "no first layer"), (Scaled(), 'with "first"')):
        cell = make_cell(POINTS, Ridge(), rival, DESCENT, times, ())
        assert words in metrics.FeatureAlignment().applies(cell)


def test_networks_of_other_plugins_have_alignment_and_norms():
    times, measured = (0.0, 2.0), [metrics.FeatureAlignment(), metrics.WeightNorm()]
    for model in (Named(), Named(batching="batch")):
        cell = make_cell(POINTS, Ridge(), model, DESCENT, times, ())
        assert all(metric.applies(cell) is None for metric in measured)
        result = run_cell(POINTS, Ridge(), model, DESCENT, times, measured)
        start = as_tensors(model.draw(Streams(7, 1), draw_problem(cell, 1)), torch.float64, "cpu")
        share = start["first"][:, :2].square().sum() / start["first"].square().sum()
        assert result["feature_alignment"][1, 0] == pytest.approx(float(share), rel=1e-12)
        norm = sum(float(leaf.square().sum()) for leaf in start.values()) ** 0.5
        assert result["weight_norm"][1, 0] == pytest.approx(norm, rel=1e-12)
        assert (result["weight_change"][:, 1] > 0).all()


def test_norms_of_coefficients_are_refused_and_changes_from_zero_are_nan():
    cell = make_cell(POINTS, Smooth(), Linearised(of=NET), DESCENT, (0.0,), ())
    assert "parameters are coefficients" in metrics.WeightNorm().applies(cell)

    class Moving(Named):
        name = "tests.moving"

        def facts(self):
            return ModelFacts(coordinates="function")

    cell = make_cell(POINTS, Smooth(), Moving(), DESCENT, (0.0,), ())
    assert "not what is trained" in metrics.WeightNorm().applies(cell)
    zero, first = torch.zeros(3).double(), torch.ones(3).double()
    result = metrics.WeightNorm().measure(None, first, zero)
    assert torch.isnan(result["weight_change"])
    assert float(result["weight_norm"]) == pytest.approx(3**0.5)


def test_alignment_starts_at_chance_and_rises_when_features_move():
    wide = TwoLayerNetwork(width=1024, symmetric=True, parameterization="mean-field")
    design = Points(n=60, dim=4)
    shares = {
        word: run_cell(
            design, Ridge(), evolve(wide, parameterization=word),
            GradientDescent(learning_rate=0.2), (0.0, 20.0), [metrics.FeatureAlignment()],
        )["feature_alignment"]
        for word in ("ntk", "mean-field")
    }  # fmt: skip
    for share in shares.values():
        assert np.abs(share[:, 0] - 0.5).max() < 0.05
    assert (shares["mean-field"][:, 1] > shares["mean-field"][:, 0] + 0.1).all()
    assert np.abs(shares["ntk"][:, 1] - shares["ntk"][:, 0]).max() < 0.02


def trained(model, steps, rate):
    """One replicate by plain steps: its problem with a replicate axis, parameters before and
    after."""
    cell = make_cell(POINTS, Smooth(), model, DESCENT, (0.0,), ())
    problem = draw_problem(cell, 0)
    start = as_tensors(model.draw(Streams(7, 0), problem), torch.float64, "cpu")
    data = problem.train
    batched = {leaf: value[None] for leaf, value in start.items()}
    batch = problem._replace(
        train=data._replace(x=data.x[None], y=data.y[None], weight=data.weight[None])
    )
    for _ in range(steps):
        slope = model.gradient(None, batched, batch)
        batched = {leaf: value - rate * slope[leaf] for leaf, value in batched.items()}
    return problem, start, {leaf: value[0] for leaf, value in batched.items()}


def test_drift_norm_and_change_are_their_formulas():
    measured = [metrics.KernelDrift(), metrics.WeightNorm()]
    result = run_cell(POINTS, Smooth(), RELU, DESCENT, (0.0, 2.0), measured)
    problem, start, after = trained(RELU, 40, 0.05)
    x = problem.train.x[None]
    before, now = (
        RELU.gram(None, {leaf: value[None] for leaf, value in params.items()}, x, "tangent")[
            0
        ].numpy()
        for params in (start, after)
    )
    drift = np.linalg.norm(now - before) / np.linalg.norm(before)
    assert result["kernel_drift"][0] == pytest.approx([0, drift], rel=1e-9)
    flat, begin = (np.concatenate([v.numpy().ravel() for v in p.values()]) for p in (after, start))
    norm, change = np.linalg.norm(flat), np.linalg.norm(flat - begin) / np.linalg.norm(begin)
    assert result["weight_norm"][0, 1] == pytest.approx(norm, rel=1e-12)
    assert result["weight_change"][0] == pytest.approx([0, change], rel=1e-9)


@pytest.mark.parametrize("parameterization", ["ntk", "mean-field"])
def test_sharpness_is_the_largest_eigenvalue_of_the_dense_hessian(parameterization):
    model = evolve(NET, width=6, parameterization=parameterization)
    result = run_cell(
        POINTS, Smooth(), model, DESCENT, (0.0, 1.0), [metrics.Sharpness()], replicates=1
    )["sharpness"]
    factor = 6.0 if parameterization == "mean-field" else 1.0
    for index, steps in enumerate((0, 20)):
        problem, _, params = trained(model, steps, 0.05)
        sizes = [value.numel() for value in params.values()]

        def height(flat, params=params, sizes=sizes, problem=problem):
            parts = flat.split(sizes)
            values = {
                leaf: part.reshape(params[leaf].shape)[None]
                for leaf, part in zip(params, parts, strict=True)
            }
            residual = problem.train.y - model.function(values, problem.train.x[None])[0]
            return 0.5 * (problem.train.weight * residual.square()).sum()

        flat = torch.cat([value.flatten() for value in params.values()])
        dense = torch.func.hessian(height)(flat)
        largest = factor * float(torch.linalg.eigvalsh(dense)[-1])
        assert result[0, index] == pytest.approx(largest, rel=1e-6)


@pytest.mark.parametrize(
    "model",
    [
        RELU,
        evolve(RELU, bias=True, parameterization="mean-field"),
        evolve(NET, train="first", parameterization="mean-field"),
        evolve(RELU, train="second"),
        Mlp(width=6, depth=3, activation="gelu", parameterization="mup", bias=True),
        Mlp(width=6, depth=2, parameterization="ntk"),
        Linearised(of=NET),
    ],
    ids=lambda model: repr(model)[:60],
)
def test_gauss_newton_sharpness_is_that_of_the_weighted_tangent_kernel(model):
    """S JᵀWJ, m^{2κ−1} included, and W^½ Θ W^½ have the same eigenvalues but for zeros."""
    measured = [metrics.Sharpness(matrix="gauss-newton"), Eigenvalues(kernel="tangent")]
    result = run_cell(POINTS, Smooth(), model, DESCENT, (0.0, 1.0), measured)
    largest = result["eigenvalue"].max(-1)
    np.testing.assert_allclose(result["sharpness"], largest, rtol=1e-6)


def test_gauss_newton_sharpness_keeps_the_factors_of_any_models_steps():
    """S JᵀWJ by dense Jacobians, with a factor of its own for each layer."""
    model, metric = Scaled(), metrics.Sharpness(matrix="gauss-newton")
    result = run_cell(POINTS, Smooth(), model, DESCENT, (0.0,), [metric], replicates=1)["sharpness"]
    problem = draw_problem(make_cell(POINTS, Smooth(), model, DESCENT, (0.0,), ()), 0)
    start = as_tensors(model.draw(Streams(7, 0), problem), torch.float64, "cpu")
    scale = torch.cat([torch.full_like(start[leaf], s).flatten() for leaf, s in SCALES.items()])
    blocks = torch.func.jacrev(lambda params: model.predict(None, params, problem.train.x))(start)
    jacobian = torch.cat([blocks[leaf].flatten(1) for leaf in SCALES], 1)  # (n, size)
    root = (problem.train.weight[:, None] * scale).sqrt() * jacobian
    expected = torch.linalg.svdvals(root)[0].square()
    assert result[0, 0] == pytest.approx(float(expected), rel=1e-6)


# --- gaps -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("network", [NET, RELU, Mlp(width=8, activation="tanh")])
def test_the_gap_to_the_flow_is_of_first_order_in_the_step(network):
    gaps = [
        run_cell(
            POINTS, Smooth(), network, GradientDescent(learning_rate=rate), (0.0, 1.6),
            [metrics.FlowGap(refine=40)], replicates=2,
        )["flow_gap"]
        for rate in (0.04, 0.02)
    ]  # fmt: skip
    assert (gaps[0][:, 0] == 0).all() and (gaps[0][:, 1] > 0).all()
    np.testing.assert_allclose(gaps[0][:, 1] / gaps[1][:, 1], 2, rtol=0.1)


def test_both_routes_to_the_flow_agree():
    """Adaptive integration of a smooth network against fine steps of the same one."""
    flow = metrics.FlowGap().companion(Estimator("own", NET, DESCENT), {}).optimizer
    values = run_cell(POINTS, Smooth(), NET, flow, (0.0, 1.6), [metrics.WeightNorm()])
    fine = GradientDescent(learning_rate=0.05 / 400)
    expected = run_cell(POINTS, Smooth(), NET, fine, (0.0, 1.6), [metrics.WeightNorm()])
    for name, array in values.items():
        np.testing.assert_allclose(array, expected[name], rtol=1e-4, atol=1e-12)


@frozen(kw_only=True)
class Kinked(TwoLayerNetwork):
    """A smooth network that says it is none, so that its flow is extrapolated."""

    name = "tests.kinked"

    def facts(self):
        return evolve(super().facts(), smooth=False)


def flow_gap(network, refine, replicates=2):
    result = run_cell(
        POINTS, Smooth(), network, DESCENT, (0.0, 0.8, 1.6),
        [metrics.FlowGap(refine=refine, rtol=1e-10)], replicates=replicates,
    )["flow_gap"]  # fmt: skip
    assert (result[:, 0] == 0).all()
    return result[:, 1:]


def test_the_extrapolated_flow_of_a_smooth_network_is_the_integrated_one():
    """Of second order: a quarter of the error with half the steps, far below the 1/refine that
    descent of finer steps alone leaves."""
    kinked = Kinked(width=16, symmetric=True, activation="tanh")
    exact = flow_gap(NET, 16)
    coarse, fine = (np.abs(flow_gap(kinked, refine) / exact - 1) for refine in (4, 8))
    assert (fine < 0.001).all()
    np.testing.assert_allclose(coarse / fine, 4, rtol=0.1)


def test_the_extrapolated_flow_of_a_network_with_kinks_is_that_of_much_finer_steps():
    result, finer = (flow_gap(RELU, refine, replicates=3) for refine in (16, 128))
    error = result / finer - 1
    assert np.abs(error).max() < 1 / 32  # finer steps alone leave 1/16, all of one sign
    assert np.abs(error).mean() < 1 / 100


def test_momentum_and_steps_at_the_edge_keep_the_flows_clock():
    """A momentum of μ makes each step 1/(1 − μ) long; the gap to the flow stays small."""
    for optimizer in (
        GradientDescent(learning_rate=0.004, momentum=0.8),
        GradientDescent(learning_rate={"edge": 0.02}),
    ):
        result = run_cell(POINTS, Smooth(), NET, optimizer, (0.0, 3.0), [metrics.FlowGap()])
        assert (result["flow_gap"][:, 1] < 0.02).all() and (result["flow_gap"][:, 1] > 0).all()


def test_the_gap_of_a_linear_model_is_that_of_its_filters():
    model = Linearised(of=NET)
    result = run_cell(POINTS, Smooth(), model, DESCENT, (0.0, 2.0), [metrics.FlowGap()])["flow_gap"]
    assert (result[:, 0] == 0).all() and (result[:, 1] > 1e-6).all() and (result[:, 1] < 0.05).all()


def slope(values, widths):
    """Exponent of a power law in the width, of the mean over replicates."""
    return np.polyfit(np.log(widths), np.log(np.mean(values, 1)), 1)[0]


def test_gaps_and_drift_fall_with_the_width_under_ntk_only():
    widths = (64, 256, 1024)
    design, descent = Points(n=20, dim=4), GradientDescent(learning_rate=0.1)
    results = {
        word: [
            run_cell(
                design, Smooth(),
                TwoLayerNetwork(width=width, symmetric=True, parameterization=word), descent,
                (0.0, 5.0), [metrics.LazyGap(), metrics.KernelDrift()], replicates=12,
            )
            for width in widths
        ]
        for word in ("ntk", "mean-field")
    }  # fmt: skip
    drift, gap = (
        {word: [item[name][:, 1] for item in results[word]] for word in results}
        for name in ("kernel_drift", "lazy_gap")
    )
    assert -1.05 < slope(drift["ntk"], widths) < -0.4
    assert -1.2 < slope(gap["ntk"], widths) < -0.35
    assert abs(slope(drift["mean-field"], widths)) < 0.2
    assert abs(slope(gap["mean-field"], widths)) < 0.2
    assert np.mean(drift["mean-field"][-1]) > 0.5


@pytest.mark.parametrize(
    ("metric", "model", "optimizer", "words"),
    [
        (metrics.FlowGap(), NET, Adam(learning_rate=0.1), "time of adam is not the flow's"),
        (metrics.FlowGap(), NET, GradientFlow(), "takes no steps"),
        (metrics.LazyGap(), NET, Adam(learning_rate=0.1), "differ from the steps of its kernel"),
        (metrics.LazyGap(), Linearised(of=NET), DESCENT, "not a network that leaves"),
        (metrics.LazyGap(), NET, GradientDescent(learning_rate={"edge": 0.5}), "at the edge"),
    ],
)
def test_gaps_that_mean_nothing_are_refused(metric, model, optimizer, words):
    with pytest.raises(ValueError, match=words):
        metric.companion(Estimator("own", model, optimizer), {})
