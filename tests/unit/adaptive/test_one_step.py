"""One gradient step on the first layer, then ridge: against autograd, and against NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import xarray as xr
from scipy.integrate import quad

from testbed.analysis import paired_difference
from testbed.contract.seeds import Streams
from testbed.errors import UnsuitableError
from testbed.testing import NumericFlow, check_component
from testbed_adaptive.models.one_step import OneStep, first_step
from testbed_adaptive.numerics.centred_activations import CENTRED
from testbed_basics.designs.points import Sphere
from testbed_basics.metrics.risks import ExcessRisk
from testbed_basics.metrics.spectra import Eigenvalues
from testbed_basics.optimizers.spectral_filter import SpectralFilter
from testbed_basics.targets.hermite import SingleIndex
from tests.helpers.cells import run_cell
from tests.helpers.regression import path_of, problem_of

N, DIM, WIDTH = 14, 4, 6


def generator(seed: int = 1) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(seed))


def points(n: int = N, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = generator(seed)
    x = rng.standard_normal((n, DIM))
    return x, x[:, 0] * x[:, 1] + 0.3 * rng.standard_normal(n)


def drawn(model: OneStep, x: np.ndarray, y: np.ndarray) -> dict[str, torch.Tensor]:
    result = model.draw(Streams(7, 0), problem_of(x, y))
    return {leaf: torch.from_numpy(value) for leaf, value in result.items()}


# --- activations ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(CENTRED))
def test_activations_have_mean_zero_under_the_normal_law(name):
    def integrand(z: float) -> float:
        value = float(CENTRED[name].value(torch.tensor(z, dtype=torch.float64)))
        return value * math.exp(-z * z / 2) / math.sqrt(2 * math.pi)

    mean = quad(integrand, -12, 0)[0] + quad(integrand, 0, 12)[0]
    assert mean == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("name", sorted(CENTRED))
def test_derivatives_are_those_of_autograd(name):
    h = torch.linspace(-3, 3, 25, dtype=torch.float64, requires_grad=True)  # 0 included
    (slope,) = torch.autograd.grad(CENTRED[name].value(h).sum(), h)
    torch.testing.assert_close(CENTRED[name].derivative(h.detach()), slope, rtol=1e-12, atol=1e-14)


# --- the step -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(CENTRED))
def test_the_step_descends_the_halved_mean_square(name):
    """G₀ = −∂/∂W (1/2n) Σ(y − f₀)² by autograd through the network as it is written down."""
    x, y = map(torch.from_numpy, points())
    rng = generator(2)
    first = torch.from_numpy(rng.standard_normal((WIDTH, DIM))).requires_grad_()
    second = torch.from_numpy(rng.standard_normal(WIDTH))
    values = CENTRED[name].value(x @ first.T)
    loss = (y - values @ second / math.sqrt(WIDTH)).square().sum() / (2 * N)
    (slope,) = torch.autograd.grad(loss, first)
    result = first_step(CENTRED[name], first.detach(), second, x, y)
    torch.testing.assert_close(result, -slope, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("scale", "eta"), [("constant", 0.7), ("sqrt-width", 0.7 * WIDTH**0.5)])
def test_the_first_layer_moves_by_eta_root_m_on_the_first_half(scale, eta):
    x, y = points()
    model = OneStep(width=WIDTH, step_size=0.7, step_scale=scale, activation="tanh")
    start = drawn(model, x, y)
    moved = model.prepare(start, problem_of(x, y))["state"]["first"] - start["first"]
    first = start["first"].clone().requires_grad_()
    half = torch.from_numpy(x[: N // 2]), torch.from_numpy(y[: N // 2])
    f0 = torch.tanh(half[0] @ first.T) @ start["second"] / math.sqrt(WIDTH)
    loss = (half[1] - f0).square().mean() / 2
    (slope,) = torch.autograd.grad(loss, first)
    torch.testing.assert_close(moved, -eta * math.sqrt(WIDTH) * slope, rtol=1e-10, atol=1e-12)


def test_weights_have_the_variances_of_the_theory():
    """w ~ N(0, I/d), a ~ N(0, 1/m): sums of squares within 5 standard deviations, a false alarm in
    a million seeds."""
    width = 4000
    model = OneStep(width=width)
    result = model.draw(Streams(3, 0), problem_of(*points()))
    for name, expected in (("first", 1 / DIM), ("second", 1 / width)):
        count = result[name].size
        deviation = expected * math.sqrt(2 / count)
        assert np.mean(result[name] ** 2) == pytest.approx(expected, abs=5 * deviation)


def test_more_features_extend_fewer():
    smaller, larger = (OneStep(width=w).draw(Streams(3, 0), problem_of(*points())) for w in (4, 9))
    np.testing.assert_array_equal(larger["first"][:4], smaller["first"])
    np.testing.assert_allclose(larger["second"][:4] * 3, smaller["second"] * 2)


# --- the readout ----------------------------------------------------------------------------------


def features(model: OneStep, start: dict[str, torch.Tensor], x: np.ndarray, y: np.ndarray,
             index: np.ndarray) -> np.ndarray:  # fmt: skip
    first = model.prepare(start, problem_of(x, y))["state"]["first"].numpy()
    raw = np.maximum(index @ first.T, 0) - 1 / math.sqrt(2 * math.pi)
    return raw / math.sqrt(WIDTH)


@pytest.mark.parametrize("n", [10, 14, 15])  # fewer fitted points than features, and more
def test_the_path_is_ridge_regression_of_the_readout_on_the_other_half(n):
    """At time t, a minimises (1/2n₂) Σ(y − Φa)² + ‖a‖²/(2t): NumPy in the space of a, ours in
    that of the points."""
    x, y = points(n)
    test_x = generator(5).standard_normal((9, DIM))
    model = OneStep(width=WIDTH)
    start, times = drawn(model, x, y), [0.0, 0.3, 10.0, 1e4]
    result = path_of(model, problem_of(x, y, test_x), times, start)
    fresh = slice(n // 2, n)
    phi, index = (features(model, start, x, y, z) for z in (x[fresh], test_x))
    assert not result[0].any()
    for row, time in zip(result[1:], times[1:], strict=True):
        normal = phi.T @ phi / len(phi) + np.eye(WIDTH) / time
        readout = np.linalg.solve(normal, phi.T @ y[fresh] / len(phi))
        np.testing.assert_allclose(row, index @ readout, rtol=1e-9, atol=1e-11)


def test_without_a_step_the_first_half_is_not_seen_at_all():
    x, y = points()
    model, changed = OneStep(width=WIDTH, step_size=0.0), y.copy()
    changed[: N // 2] += 3
    start = drawn(model, x, y)
    before, after = (path_of(model, problem_of(x, value), [5.0], start) for value in (y, changed))
    np.testing.assert_array_equal(before, after)
    stepped = OneStep(width=WIDTH)
    before, after = (path_of(stepped, problem_of(x, value), [5.0], start) for value in (y, changed))
    assert np.abs(before - after).max() > 1e-3


def test_the_square_root_of_the_dimension_scales_points_of_the_sphere():
    x, y = points()
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    model, by_hand = OneStep(width=WIDTH, input_scale="sqrt-dim"), OneStep(width=WIDTH)
    start = drawn(model, x, y)
    scaled = problem_of(math.sqrt(DIM) * x, y)
    np.testing.assert_allclose(
        path_of(model, problem_of(x, y), [5.0], start), path_of(by_hand, scaled, [5.0], start)
    )


def test_the_spectrum_is_that_of_the_fitted_half():
    """Eigenvalues of σ(W₁x)ᵀσ(W₁x')/(m n₂), the kernel from its eigenpairs, and Parseval's sum."""
    x, y = points()
    model = OneStep(width=WIDTH)
    start, problem = drawn(model, x, y), problem_of(x, y)
    prepared = model.prepare(start, problem)
    spectrum = model.spectrum(prepared, 0 * prepared["root"], problem, "features", "train")
    phi = features(model, start, x, y, x[N // 2 :])
    expected = np.linalg.svd(phi / math.sqrt(len(phi)), compute_uv=False) ** 2
    np.testing.assert_allclose(spectrum.eigenvalue, expected, rtol=1e-9)
    energy = float(spectrum.truth.square().sum() + spectrum.outside)
    assert energy == pytest.approx(np.mean(y[N // 2 :] ** 2), rel=1e-12)
    assert float(spectrum.outside) > 1e-3  # six features cannot reach seven points
    basis = model.basis(prepared, spectrum.truth)
    np.testing.assert_allclose(basis.T @ basis, np.eye(WIDTH), atol=1e-12)
    gram = basis @ torch.diag(spectrum.eigenvalue) @ basis.T
    np.testing.assert_allclose(gram, phi @ phi.T / len(phi), atol=1e-12)


def test_a_large_step_beats_random_features_on_a_single_index_target():
    """η = √m against η = 0 on the same draws, best time each: the upper limit of the paired
    difference over 8 replicates lies below −0.05 (it is near −0.15)."""
    design = Sphere(dim=20, n=440, n_test=500, noise=0.2)
    target = SingleIndex(coefficients=(0.0, 0.6, 0.6, 0.53), direction="drawn")
    times = np.geomspace(1, 1e5, 11)
    risks = []
    for step in (1.0, 0.0):
        model = OneStep(width=512, step_size=step, input_scale="sqrt-dim")
        ridge = SpectralFilter(filter="ridge")
        risk = run_cell(design, target, model, ridge, times, [ExcessRisk()], replicates=8)
        mean = risk["excess_risk"].mean(0)
        risks.append(risk["excess_risk"][:, mean.argmin()])
    gain = paired_difference(*(xr.DataArray(risk, dims="replicate") for risk in risks))
    assert float(gain.upper) < -0.05


# --- what core relies on, and what is refused -----------------------------------------------------


@pytest.mark.parametrize("optimizer", [None, SpectralFilter(filter="ridge"), NumericFlow()])
def test_laws(optimizer):
    check_component(OneStep(width=5), **({"optimizer": optimizer} if optimizer else {}))


def test_feature_metrics_apply():
    result = run_cell(
        Sphere(dim=3, n=12), SingleIndex(), OneStep(width=5), SpectralFilter(filter="ridge"),
        [1.0], [Eigenvalues(points="train")],
    )  # fmt: skip
    assert (np.diff(result["eigenvalue"][..., :5]) <= 0).all()


def test_what_cannot_work_is_refused():
    with pytest.raises(ValueError, match="input_scale: found 'root'; expected a number"):
        OneStep(width=3, input_scale="root")
    x, y = points()
    model = OneStep(width=WIDTH)
    with pytest.raises(UnsuitableError, match="at least two points"):
        model.prepare(drawn(model, x, y), problem_of(x[:1], y[:1]))
    with pytest.raises(UnsuitableError, match="expected vectors"):
        model.draw(Streams(1, 0), problem_of(x[:, 0], y))
    y[3] = np.nan
    with pytest.raises(UnsuitableError, match="NaN or infinite"):
        model.prepare(drawn(model, x, y), problem_of(x, y))
