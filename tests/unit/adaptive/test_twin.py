"""The sequence twin sees z alone; on a sample with an orthonormal basis it is the kernel itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from attrs import evolve, frozen

from testbed.analysis import slope
from testbed.contract.capabilities import HasExactSpectrum, HasPredictions, has, lack
from testbed.contract.components import Estimator
from testbed.contract.spaces import Space
from testbed.numerics.trees import stack
from testbed.planning.fitting import theory_objection
from testbed.running.batching import Batched
from testbed.running.execute import draw_problem
from testbed.testing import check_component
from testbed_adaptive.metrics.path_gap import PathGap
from testbed_adaptive.models.diagonal import DiagonalKernel
from testbed_adaptive.models.rfm import RecursiveFeatureMachine
from testbed_adaptive.models.twin import SequenceTwin
from testbed_adaptive.theories.rates import Rates
from testbed_basics.designs.points import RandomPoints, Torus
from testbed_basics.metrics.risks import ExcessRisk
from testbed_basics.metrics.spectra import Eigenvalues
from testbed_basics.optimizers.gradient_flow import GradientFlow
from testbed_basics.targets.trigonometric import Trigonometric
from testbed_networks.models.two_layer import TwoLayerNetwork
from testbed_sequence.models.diagonal import Diagonal
from testbed_sequence.models.fixed import Fixed
from testbed_sequence.models.orthogonal import Orthogonal
from testbed_sequence.numerics.diagonal_flow import diagonal_flow
from tests.helpers.cells import make_cell, run_cell

DESIGN = Torus(dim=2, n=60, noise=0.3, n_test=50)
TARGET = Trigonometric(frequencies=((1.5,), (0.0, 2.0)), sine=(1.0, 0.5))
TIMES = (0.0, 1.0, 8.0, 50.0)
TIGHT = GradientFlow(rtol=1e-9, atol=1e-12)
SAME = {"basis": "torus", "modes": 21}
SEQUENCE = {True: Fixed(), False: Diagonal(gamma=2.0)}  # gamma, depth, b0 are replaced


@frozen(kw_only=True)
class Lattice(RandomPoints):
    """Equispaced points of [−1, 1): low frequencies are orthonormal on them."""

    name = "torus"

    def space(self):
        return Space("torus", self.dim, "uniform")

    def points(self, generator, count):
        return (-1 + 2 * np.arange(count) / count)[:, None]


def pair(depth=None, **fields):
    """An adaptive kernel and its twin; the fixed pair without a depth."""
    if depth is None:
        actual = DiagonalKernel(gamma=1.0, learn="none", **{**SAME, **fields})
        return actual, SequenceTwin(of=Fixed(gamma=1.0), **{**SAME, **fields})
    actual = DiagonalKernel(gamma=1.0, depth=depth, **{**SAME, **fields})
    return actual, SequenceTwin(of=Diagonal(gamma=1.0, depth=depth), **{**SAME, **fields})


def gap(model, design=DESIGN, target=TARGET, optimizer=TIGHT, times=TIMES, **arguments):
    metrics = [PathGap(sequence=SEQUENCE[model.fixed]), ExcessRisk()]
    return run_cell(design, target, model, optimizer, times, metrics, **arguments)


def problem_of(design=DESIGN, count=2):
    cell = make_cell(design, TARGET, pair(1)[1], TIGHT, TIMES, [])
    return stack([draw_problem(cell, replicate) for replicate in range(count)])


def test_it_sees_z_its_noise_and_the_truth():
    problem, twin = problem_of(), pair(1)[1]
    sequence = twin.prepare(None, problem)["sequence"]
    x, y = problem.train.x.numpy(), problem.train.y.numpy()
    np.testing.assert_allclose(sequence.train.y[:, 0], y.mean(1))  # the constant
    wave = np.sqrt(2) * np.sin(np.pi * x[..., 0])  # the third: 1, cos, sin of (1, 0)
    np.testing.assert_allclose(sequence.train.y[:, 2], (wave * y).mean(1))
    np.testing.assert_allclose(sequence.noise, (y**2).mean(1) / 60)
    np.testing.assert_array_equal(sequence.train.x[0, :6], [1, 2, 2, 2, 2, 3])
    np.testing.assert_array_equal(sequence.train.weight, 1)


def test_its_noise_is_that_of_the_coefficients():
    """Var z_j against ε² = (σ² + ‖f*‖²)/n over 400 replicates: the mean over 20 coefficients
    without truth agrees within 10% (standard error 1.6%), and with the mean estimate within 12%."""
    design = Torus(dim=2, n=40, noise=0.3, n_test=5)
    target = Trigonometric(frequencies=((5.0, 5.0),))  # its own coefficients have other spreads
    cell = make_cell(design, target, pair(1)[1], TIGHT, TIMES, [])
    problem = stack([draw_problem(cell, replicate) for replicate in range(400)])
    sequence = pair(1)[1].prepare(None, problem)["sequence"]
    expected = (0.3**2 + 0.5) / 40
    assert float(sequence.train.y.var(0).mean()) == pytest.approx(expected, rel=0.1)
    assert float(sequence.noise.mean()) == pytest.approx(expected, rel=0.12)


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_it_is_the_exact_flow_on_z(depth):
    problem, twin = problem_of(), pair(depth)[1]
    prepared = Batched(twin).prepare(None, problem)
    z, level = prepared["sequence"].train.y, prepared["sequence"].train.x
    b0 = (problem.train.y.square().mean(1) / 60) ** (0.5 / (depth + 2))
    expected = diagonal_flow(z, 1 / level, b0[:, None], depth, TIMES)
    result = run_cell(DESIGN, TARGET, twin, GradientFlow(), TIMES, [Eigenvalues()], replicates=2)
    feature = (expected.a * expected.b**depth) ** 2
    np.testing.assert_allclose(result["eigenvalue"], feature.numpy(), rtol=1e-9)


def test_its_predictions_and_its_spectrum_are_one_function():
    """Risks at 20000 test points and by coefficients, within 5%."""
    design = evolve(DESIGN, n_test=20_000)
    twin = pair(1)[1]
    exact = run_cell(design, TARGET, twin, GradientFlow(), TIMES, [ExcessRisk()])
    by_points = evolve(twin, truth="sample")
    sample = run_cell(design, TARGET, by_points, GradientFlow(), TIMES, [ExcessRisk()])
    np.testing.assert_allclose(exact["excess_risk"], sample["excess_risk"], rtol=0.05)


@pytest.mark.parametrize("depth", [None, 0, 1, 2])
def test_on_a_lattice_both_are_the_same(depth):
    """EᵀE/n = I there: the coupled flow falls apart into the sequence's."""
    design = Lattice(dim=1, n=50, noise=0.4, n_test=5)
    actual = pair(depth)[0]
    result = gap(actual, design, Trigonometric(frequencies=((3.0,),)))
    assert float(result["excess_risk"][:, 1:].std()) > 1e-3  # it moves
    assert result["path_gap"].max() < 1e-7 and result["spectrum_gap"].max() < 1e-7
    np.testing.assert_array_equal(result["largest_path_gap"], result["path_gap"].max(1))


@pytest.mark.parametrize("depth", [None, 0, 1])
def test_gap_falls_with_the_sample(depth):
    """21 functions, n from 200 to 3200: EᵀE/n − I is of size n^{−1/2}, and so is the gap where the
    start does not move with n (the default b₀ does) and the fast part of training is over: a slope
    within 0.1 of −1/2 (standard error about 0.04 from eight replicates)."""
    import xarray as xr

    actual = evolve(pair(depth)[0], b0=1.0)
    sizes = [200, 800, 3200]
    rows = [
        gap(actual, evolve(DESIGN, n=n), optimizer=GradientFlow(rtol=1e-5), times=(16.0,),
            replicates=8)["path_gap"][:, 0]
        for n in sizes
    ]  # fmt: skip
    values = xr.DataArray(np.stack(rows), {"n": sizes}, ("n", "replicate"))
    assert float(slope(values, "n").estimate) == pytest.approx(-0.5, abs=0.1)


def test_gap_by_test_points_and_by_coefficients_agree():
    """In a basis with unknown truths the gap reads predictions: 20000 points, within 4%."""
    design = evolve(DESIGN, n_test=20_000)
    by_coefficients = gap(pair(1)[0], design, times=(5.0,))["path_gap"]
    by_points = gap(pair(1, truth="sample")[0], design, times=(5.0,))["path_gap"]
    np.testing.assert_allclose(by_points, by_coefficients, rtol=0.04)


def test_other_sequence_models_can_be_twins():
    """The matrix form of the orthogonal model, which the adapter knows nothing of."""
    twin = SequenceTwin(of=Orthogonal(form="matrix"), **SAME)
    result = run_cell(DESIGN, TARGET, twin, GradientFlow(), TIMES, [ExcessRisk()])
    assert (result["excess_risk"][:, 1:] < result["excess_risk"][:, :1]).any()
    reduced = SequenceTwin(of=Orthogonal(), **SAME)
    assert "no predict" in str(lack(reduced, HasPredictions))
    assert has(reduced, HasExactSpectrum)


def test_the_twin_has_the_kernels_own_parameters():
    actual = evolve(pair(2, order="index", modes=9)[0], b0=0.3)
    twin = PathGap(sequence=SEQUENCE[False]).companion(Estimator("own", actual, TIGHT), {})
    assert twin.model == SequenceTwin(
        basis="torus", modes=9, order="index", of=Diagonal(gamma=1.0, depth=2, b0=0.3)
    )
    assert twin.optimizer == TIGHT


@pytest.mark.parametrize(
    ("model", "learns", "words"),
    [
        (pair(1)[0], True, "that is learned"),
        (pair(None)[0], False, "that is fixed"),
        (pair(1)[1], False, "has no sequence twin"),
    ],
)
def test_pairs_that_are_not_twins_are_refused(model, learns, words):
    with pytest.raises(ValueError, match=words):
        PathGap(sequence=SEQUENCE[learns]).companion(Estimator("own", model, TIGHT), {})


@pytest.mark.parametrize("of", [TwoLayerNetwork(width=4), RecursiveFeatureMachine()])
def test_models_of_points_are_no_twins(of):
    """One refuses when it draws, the other when it prepares; `run_cell` asserts on errors."""
    twin = evolve(pair(1)[1], of=of)
    with pytest.raises(AssertionError, match=f"found {of.name}, which .* expected a sequence"):
        run_cell(DESIGN, TARGET, twin, GradientFlow(), TIMES, [ExcessRisk()])


def test_twins_keep_the_laws():
    check_component(pair(1)[1], design=evolve(DESIGN, n=12), target=TARGET)


WAVE = Trigonometric()


def cell(model, target=WAVE):
    return make_cell(DESIGN, target, model, GradientFlow(), TIMES, [])


def test_rates_of_the_published_setting():
    """sin(7.5πx₁) in two dimensions is p = 1, q = 2: the sorted coefficients themselves say so."""
    fixed, learned = (DiagonalKernel(**SAME, gamma=1.5, depth=2, learn=w)
                      for w in ("none", "eigenvalues"))  # fmt: skip
    assert (
        theory_objection(Rates(), cell(fixed)) is None
        and theory_objection(Rates(), cell(learned)) is None
    )
    result = Rates().predict(cell(fixed), TIMES)
    np.testing.assert_allclose([result["risk_exponent"], result["time_exponent"]], [-1 / 3, 1.0])
    result = Rates().predict(cell(learned), TIMES)
    np.testing.assert_allclose([result["risk_exponent"], result["time_exponent"]], [-1 / 2, 3 / 4])
    wide = DiagonalKernel(basis="torus", modes=20_000, gamma=1.5)
    problem = stack([draw_problem(cell(wide), 0)])
    truth, _ = wide.truth_in_basis(wide.basis_of(problem.train.x), problem)
    place = np.flatnonzero(truth[0].abs().numpy() > 1e-9)[40:]  # where 7.5 is far
    size = truth[0].abs().numpy()[place]
    rank = np.arange(41, 41 + len(place))
    p = -2 * np.polyfit(np.log(rank), np.log(size), 1)[0] - 1
    q = np.polyfit(np.log(rank), np.log(place), 1)[0]
    assert p == pytest.approx(1.0, abs=0.15) and q == pytest.approx(2.0, abs=0.1)


def test_rates_apply_where_they_can():
    twin = pair(1, order="index")[1]
    assert "γ > 1" in str(theory_objection(Rates(), cell(twin)))
    assert "not whole numbers" in str(theory_objection(Rates(), cell(pair(None)[0], TARGET)))
    assert theory_objection(Rates(p=1.0, q=2.0), cell(pair(None)[1], TARGET)) is None
    cosine = Trigonometric(cosine=(1.0,))
    assert "fall faster" in str(theory_objection(Rates(), cell(pair(None)[0], cosine)))
    assert "sequence.fixed is a model of sequences" in str(theory_objection(Rates(), cell(Fixed())))
    assert torch.is_tensor(problem_of().noise)
