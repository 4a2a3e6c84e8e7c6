"""Theories against published check values, brute force and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from attrs import frozen

from testbed.contract.cells import Compute, PlannedTheory
from testbed.contract.components import Target, Theory
from testbed.planning.fitting import theory_objection
from testbed.running.execute import execute_cell
from testbed.testing import check_component
from testbed_basics.designs.points import Sphere, Torus
from testbed_basics.metrics.risks import ExcessRisk, TrainingLoss
from testbed_basics.optimizers.adam import Adam
from testbed_basics.optimizers.gradient_descent import GradientDescent
from testbed_basics.optimizers.gradient_flow import GradientFlow
from testbed_basics.optimizers.spectral_filter import SpectralFilter
from testbed_basics.targets.kernel_function import KernelFunction
from testbed_basics.targets.source import Source
from testbed_ntk import models
from testbed_ntk.theories import learning_curves as theory, subject
from testbed_ntk.theories.deterministic_equivalent import (
    Levels,
    effective_ridge,
    resolved,
    ridge_errors,
)
from testbed_ntk.theories.exponents import (
    best_in_dimension,
    best_regularisation,
    minimax_in_dimension,
)
from tests.helpers.cells import make_cell, run_cell

POWERS = np.arange(1.0, 401)
CHECK = Levels(POWERS**-1.5, np.ones(400), POWERS**-2.0)


@frozen(kw_only=True)
class Harmonics(Target):
    """Harmonics of degrees 1 and 2 with energies 1 and `second`, and nothing else."""

    name = "tests.harmonics"
    second: float = 0.5

    def values(self, drawn, x):
        dim = x.shape[1]
        quadratic = math.sqrt(dim * (dim + 2)) * x[:, 0] * x[:, 1]
        return math.sqrt(dim) * x[:, 0] + math.sqrt(self.second) * quadratic

    def expansion(self, drawn, sample):
        return {"degree": np.array([1.0, 2.0]), "energy": np.array([1.0, self.second])}


@frozen(kw_only=True)
class Plain(Target):
    name = "tests.plain"

    def values(self, drawn, x):
        return x[:, 0]


NTK = models.ReluTangent(first_variance=1.0, bias_variance=0.2, output_bias_variance=0.2)


def source(smoothness=1.0, kernel=NTK):
    """A target in [H]^s, of the kernel that the tests are about unless another is given."""
    return Source(kernel=kernel, smoothness=smoothness)


def spectral(name="ridge", **options):
    return SpectralFilter(filter=name, **options)


def cell(design=None, target=None, model=NTK, optimizer=None, times=(1.0, 10.0), **fields):
    design = design or Sphere(dim=5, n=100, noise=0.5)
    return make_cell(
        design, target or Harmonics(), model, optimizer or spectral(), times, [], **fields
    )


# --- the deterministic equivalent -----------------------------------------------------------------


def test_the_check_value_is_met():
    result = ridge_errors(CHECK, 50, 0.1, 0.3)
    assert result.kappa == pytest.approx(0.010490549721, rel=1e-9)
    assert result.test == pytest.approx(0.18713, abs=5e-6)


@pytest.mark.parametrize("ridge", [1e-8, 0.1, 30.0])
def test_the_effective_ridge_solves_its_equation(ridge):
    kappa = effective_ridge(CHECK, 50, ridge)
    left = (CHECK.eigenvalue / (CHECK.eigenvalue + kappa)).sum() + ridge / kappa
    assert left == pytest.approx(50, rel=1e-10)


def test_multiplicities_and_a_tail_stand_for_single_modes():
    single = Levels(np.repeat([1.0, 0.1], [3, 20]), np.ones(23), np.full(23, 0.1))
    level = Levels(np.array([1.0, 0.1]), np.array([3.0, 20.0]), np.array([0.3, 2.0]))
    np.testing.assert_allclose(
        ridge_errors(level, 12, 0.3, 0.2), ridge_errors(single, 12, 0.3, 0.2)
    )
    larger = Levels(np.array([1.0, 1e-9]), np.array([3.0, 1e8]), np.array([0.3, 0.4]))
    smaller = Levels(np.array([1.0]), np.array([3.0]), np.array([0.3]), tail=0.1, outside=0.4)
    np.testing.assert_allclose(
        ridge_errors(larger, 50, 0.3, 0.2), ridge_errors(smaller, 50, 0.3, 0.2), rtol=1e-6
    )


@pytest.mark.parametrize(("decay", "worst"), [(1.2, 0.01), (2.0, 0.1), (3.5, 0.1)])
def test_what_is_not_listed_is_ridge_or_unresolved(decay, worst):
    """A hundred of 10⁵ modes against all of them: errors agree where they are said to be known, and
    are off by more at some that are not; flat tails are like ridge even there."""
    j = np.arange(1.0, 100_001)
    original = Levels(j**-decay, np.ones_like(j), j**-2.0)
    top = original._replace(
        **{name: getattr(original, name)[:100] for name in original._fields[:3]}
    )
    top = top._replace(tail=(j[100:] ** -decay).sum(), outside=(j[100:] ** -2.0).sum())
    ridges, off = np.geomspace(1e4, 1e-8, 49), {True: [0.0], False: [0.0]}
    for ridge in ridges:
        result, expected = (ridge_errors(item, 150, ridge, 0.3) for item in (top, original))
        gap = abs(result.test / expected.test - 1)
        off[resolved(top, 150, result.kappa)].append(gap)
    assert min(len(off[True]), len(off[False])) > 10
    assert max(off[True]) < 0.03 and max(off[False]) > worst


def test_it_says_nothing_below_the_known_eigenvalues():
    # 1199 modes are known on the circle: 2000 points and little ridge reach beyond them
    actual = cell(Sphere(dim=2, n=2000, noise=0.3), model=models.Laplace(), times=(10.0, math.inf))
    result = theory.DeterministicEquivalent().predict(actual, actual.times)
    for values in result.values():
        assert np.isfinite(values[0]) and np.isnan(values[1])


def test_limits_of_no_and_of_infinite_ridge():
    levels = Levels(np.ones(10), np.ones(10), np.full(10, 0.1))
    plain = ridge_errors(levels, 40, 0.0, 0.5)  # least squares on 10 features: σ² n/(n − p)
    assert plain.test == pytest.approx(0.25 * 40 / 30) and plain.kappa == 0
    assert ridge_errors(levels, 40, 1e-9, 0.5).test == pytest.approx(plain.test, rel=1e-6)
    assert ridge_errors(levels, 40, 1e-9, 0.5).train == pytest.approx(plain.train, rel=1e-6)
    nothing = ridge_errors(levels, 40, math.inf, 0.5)
    assert nothing.test == nothing.train == pytest.approx(1.25)
    assert ridge_errors(levels, 40, 1e9, 0.5).test == pytest.approx(1.25, rel=1e-5)


def test_it_agrees_with_ridge_on_gaussian_features():
    # ridge on z ~ N(0, Λ) with coefficients v: the setting of the equations, by brute force
    rng, n, ridge, noise = np.random.default_rng(8), 50, 0.1, 0.3
    root, errors = CHECK.eigenvalue**0.5, []
    for _ in range(400):
        z = rng.standard_normal((n, 400))
        y = z @ POWERS**-1.0 + noise * rng.standard_normal(n)
        gram = (z * CHECK.eigenvalue) @ z.T
        dual = np.linalg.solve(gram + ridge * np.eye(n), y)
        gap = root**2 * (z.T @ dual) - POWERS**-1.0
        errors.append((gap @ gap + noise**2, ((y - gram @ dual) ** 2).mean()))
    mean = np.mean(errors, 0)
    interval = 2 * np.std(errors, 0) / 400**0.5
    expected = ridge_errors(CHECK, n, ridge, noise)
    for index, value in enumerate((expected.test, expected.train)):
        assert abs(mean[index] - value) <= interval[index] + 0.02 * value


@pytest.mark.parametrize(
    ("n", "noise", "model"),
    [(80, 0.2, NTK), (250, 1.0, NTK), (150, 0.5, models.Laplace()), (120, 0.1, models.Rbf())],
    ids=["small", "noisy", "laplace", "rbf"],
)
def test_it_predicts_simulated_learning_curves(n, noise, model):
    design = Sphere(dim=5, n=n, noise=noise, n_test=1500)
    times, replicates = (3.0, 30.0, 300.0), 30
    result = run_cell(
        design, Harmonics(), model, spectral(), times, [ExcessRisk(), TrainingLoss()],
        replicates=replicates,
    )  # fmt: skip
    equivalent = theory.DeterministicEquivalent()
    actual = cell(design, Harmonics(), model, times=times)
    assert theory_objection(equivalent, actual) is None
    predicted = equivalent.predict(actual, times)
    for name in ("excess_risk", "training_loss"):
        mean = result[name].mean(0)
        interval = 2.5 * result[name].std(0, ddof=1) / replicates**0.5
        gap = np.abs(mean - predicted[name])
        assert (gap <= interval + 0.02 * predicted[name]).all(), (name, mean, predicted[name])
    np.testing.assert_allclose(predicted["test_error"] - predicted["excess_risk"], noise**2)


def test_it_predicts_narrow_gaussian_kernels():
    """On the circle, where 400 points are close enough for a length of 0.04 to learn. Intervals of
    2.5 standard errors, four of them: 1 seed in 20 would fail without the 2%."""
    design, model = Sphere(dim=2, n=400, noise=0.3, n_test=1000), models.Rbf(bandwidth=0.04)
    times, replicates = (30.0, 100.0), 80
    result = run_cell(
        design, Harmonics(), model, spectral(), times, [ExcessRisk(), TrainingLoss()],
        replicates=replicates,
    )  # fmt: skip
    predicted = theory.DeterministicEquivalent().predict(cell(design, model=model), times)
    for name in ("excess_risk", "training_loss"):
        interval = 2.5 * result[name].std(0, ddof=1) / replicates**0.5
        gap = np.abs(result[name].mean(0) - predicted[name])
        assert (gap <= interval + 0.02 * predicted[name]).all(), (name, gap, predicted[name])
    assert predicted["excess_risk"][1] < 0.3  # of 1.5


def test_random_energies_count_by_their_mean():
    """One draw's energies are off by half and more; the mean risk of 40 simulated ones is met
    within 2.5 standard errors of both means, which 1 of 20 such comparisons fails."""
    design, times, replicates = Sphere(dim=4, n=60, noise=0.1, n_test=500), (10.0, 300.0), 40
    target = KernelFunction(kernel=NTK, centres=3, norm=1.0)
    actual = cell(design, target)
    drawn = [
        subject.drawn_expansion(actual.target, actual.design, actual.seed, r)["energy"]
        for r in range(subject.DRAWS)
    ]
    totals = np.array([energy.sum() for energy in drawn])
    assert totals.std() > 0.2 * totals.mean()
    mean = subject.energies(actual)
    assert sum(mean.values()) == pytest.approx(totals.mean())
    result = run_cell(
        design, target, NTK, spectral(), times, [ExcessRisk()], replicates=replicates
    )["excess_risk"]
    predicted = theory.DeterministicEquivalent().predict(actual, times)["excess_risk"]
    error = 2.5 * result.std(0, ddof=1) * (1 / replicates + 1 / subject.DRAWS) ** 0.5
    assert (np.abs(result.mean(0) - predicted) <= error + 0.02 * predicted).all()


def test_kernels_with_negative_eigenvalues_have_no_equivalent():
    actual = cell(model=models.DotProduct(coefficients=(1.0, -0.5, 0.2)))
    reason = theory_objection(theory.DeterministicEquivalent(), actual)
    assert "found the eigenvalue -0.1 of degree 1 on the sphere in 5 dimensions" in reason
    planned = PlannedTheory(theory.DeterministicEquivalent(), {"excess_risk": "risk"})
    result = execute_cell(
        cell(actual.design, model=actual.model, replicates=0, theories=(planned,))
    )
    assert not result.variables and result.omitted == {"risk": reason}


def test_time_zero_has_learned_nothing():
    result = theory.DeterministicEquivalent().predict(cell(), (0.0,))
    assert result["excess_risk"][0] == pytest.approx(1.5)
    assert result["training_loss"][0] == pytest.approx(0.5 * 1.75)


def test_degrees_without_eigenvalue_are_never_learned():
    spectrum = models.Polynomial(degree=1).population_spectrum(Sphere(dim=5, n=10))
    levels = theory.levels_of(spectrum, 2.0, {1.0: 1.0, 2.0: 0.5, 900.0: 0.25})
    assert levels.outside == 0.25 and levels.tail == pytest.approx(0.0, abs=1e-12)
    assert ridge_errors(levels, 1e6, 0.1, 0.0).test == pytest.approx(0.75, rel=1e-3)


@pytest.mark.parametrize(
    ("tested", "target"),
    [
        (theory.DeterministicEquivalent(), Harmonics()),
        (theory.Rates(), source()),
        (theory.LargeDimension(), source()),
        (theory.PolynomialBarrier(), Harmonics()),
    ],
    ids=lambda params: params.name,
)
def test_it_keeps_the_laws_of_theories(tested, target):
    design = Sphere(dim=5, gamma=1.5, noise=0.5, n_test=9)
    check_component(tested, design=design, target=target, model=NTK, optimizer=spectral())


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"optimizer": GradientFlow()}, "ridge regression, not flow"),
        ({"optimizer": spectral("cutoff")}, "ridge regression, not cutoff"),
        ({"target": Plain()}, "tests.plain does not give its energy"),
        ({"design": Torus(dim=2, n=50)}, "found the design torus"),
    ],
)
def test_where_it_does_not_apply_it_says_why(changed, reason):
    assert reason in theory_objection(theory.DeterministicEquivalent(), cell(**changed))


def test_a_theory_only_cell_in_ten_thousand_dimensions_takes_no_simulation():
    design = Sphere(dim=10_000, gamma=1.5, noise=0.5)
    planned = PlannedTheory(theory.DeterministicEquivalent(), {"excess_risk": "risk"})
    actual = cell(design, times=(100.0, 1e6), replicates=0, theories=(planned,), compute=Compute())
    result = execute_cell(actual)
    assert not result.error
    # degree 1 is learned from n = d^1.5 ≫ d samples, degree 2 is not
    assert result.variables["risk"][1] == pytest.approx(0.5, rel=0.2)


# --- rates ----------------------------------------------------------------------------------------


def test_rates_are_the_best_point_of_the_error_curve():
    for s in (0.5, 1.0, 3.0):
        for decay, order in ((1.5, 1.0), (2.0, math.inf), (1.2, 2.0)):
            theta = np.linspace(0, decay, 200_001)
            curve = np.minimum(min(s, 2 * order) * theta, 1 - theta / decay)
            risk, time = best_regularisation(s, decay, order)
            assert risk == pytest.approx(-curve.max(), abs=1e-4)
            assert time == pytest.approx(theta[curve.argmax()], abs=1e-4)


def test_ridge_saturates_at_smoothness_two():
    ridge, flow = (best_regularisation(4.0, 1.5, q)[0] for q in (1.0, math.inf))
    assert ridge == -0.75 and flow == pytest.approx(-6 / 7)
    assert best_regularisation(2.0, 1.5, 1.0) == best_regularisation(2.0, 1.5, math.inf)


@pytest.mark.parametrize(
    "model",
    [
        models.ReluTangent(depth=2, bias_variance=0.1),
        models.NetworkProcess(bias_variance=0.1),
        models.Laplace(),
        models.NetworkTangent(bias_variance=0.1),
        models.Matern(nu=0.8),
        models.Matern(nu=1.5),
        models.Matern(nu=2.5),
    ],
    ids=["relu", "nngp", "laplace", "network", "matern-0.8", "matern-3/2", "matern-5/2"],
)
def test_decay_exponents_are_those_of_the_computed_spectrum(model):
    actual = cell(Sphere(dim=3, n=100, noise=0.5), model=model)
    spectrum = model.population_spectrum(actual.design)
    rank = np.cumsum(spectrum.multiplicity)
    low, high = 40, min(120, len(rank) - 1)
    slope = np.log(spectrum.eigenvalue[high] / spectrum.eigenvalue[low])
    slope /= np.log(rank[high] / rank[low])
    assert subject.decay_exponent(actual.model, actual) == pytest.approx(-slope, rel=0.05)


def test_rates_read_the_cell():
    actual = cell(Sphere(dim=3, n=100, noise=0.5), source(3.0))
    ridge = theory.Rates().predict(actual, actual.times)
    assert ridge["risk_exponent"] == pytest.approx(-0.75)  # s̃ = 2, β = 3/2
    iterated = cell(
        actual.design, actual.target, optimizer=spectral("iterated-ridge", qualification=5.0)
    )
    flow = cell(actual.design, actual.target, optimizer=GradientFlow())
    for better in (iterated, flow):
        result = theory.Rates().predict(better, actual.times)
        assert result["risk_exponent"] == pytest.approx(-4.5 / 5.5)
    kernel = models.Torus(smoothness=1.5)
    torus = cell(Torus(dim=2, n=100, noise=0.5), source(1.0, kernel), kernel)
    assert theory.Rates().predict(torus, actual.times)["risk_exponent"] == pytest.approx(-0.6)


@pytest.mark.parametrize(
    ("design", "kernel", "model", "s"),
    [
        (Sphere(dim=3, n=100, noise=0.5), NTK, models.Matern(nu=2.5), 1.0),
        (Sphere(dim=3, n=100, noise=0.5), models.Matern(nu=2.5), models.Laplace(), 0.4),
        (
            Torus(dim=1, n=100, noise=0.5),
            models.Torus(smoothness=2.0, frequencies=400),
            models.Torus(smoothness=1.0, frequencies=400),
            0.5,
        ),
    ],
    ids=["ntk-in-matern", "matern-in-laplace", "torus"],
)
def test_smoothness_is_that_in_the_model_s_space(design, kernel, model, s):
    """f_j² ≍ j^{−a} and μ_j ≍ j^{−b}, by computed energies and eigenvalues: Σ f_j² μ_j^{−s'} is
    finite for s' < (a − 1)/b. Local slopes have come within 3% of their limits."""
    actual = cell(design, source(s, kernel), model)
    spectrum, energy = model.population_spectrum(design), subject.energies(actual)
    rank = np.cumsum(spectrum.multiplicity)
    low, high = 40, min(110, len(rank) - 1)
    ends = spectrum.degree[[low, high]]
    square = np.array([energy[degree] for degree in ends]) / spectrum.multiplicity[[low, high]]
    step = np.log(rank[high] / rank[low])
    a = -np.log(square[1] / square[0]) / step
    b = -np.log(spectrum.eigenvalue[high] / spectrum.eigenvalue[low]) / step
    assert subject.source_smoothness(actual) == pytest.approx((a - 1) / b, rel=0.05)


def test_rates_of_another_kernel_s_target_are_in_the_model_s_scale():
    # β = 3/2 for the NTK, 7/2 for Matérn 5/2: s = 1 counts as 3/7, and n^{−sβ/(sβ+1)} = n^{−0.6}
    actual = cell(Sphere(dim=3, n=100, noise=0.5), source(), models.Matern(nu=2.5))
    assert theory_objection(theory.Rates(), actual) is None
    result = theory.Rates().predict(actual, actual.times)
    assert result["risk_exponent"] == pytest.approx(-0.6)
    assert result["time_exponent"] == pytest.approx(3.5 / 2.5)


@pytest.mark.parametrize(
    ("kernel", "model", "s", "expected"),
    [
        (NTK, models.Matern(nu=2.5), 1.0, -0.6),
        (models.Matern(nu=1.5), models.Laplace(), 0.6, -0.6),
        (models.Laplace(), models.Matern(nu=1.5), 1.0, -0.6),
        (models.Matern(nu=1.5), models.Laplace(), 3.0, -0.75),  # s' = 5: ridge sees 2
    ],
    ids=["ntk-in-matern", "matern-in-laplace", "laplace-in-matern", "saturated"],
)
def test_rates_of_another_kernel_s_target_are_those_of_the_equivalent(kernel, model, s, expected):
    """Ridge's best risk by the deterministic equivalent between n = 64000 and 256000, on the two
    kernels' computed spectra: local exponents are then within .01 of their limits."""
    best, equivalent = [], theory.DeterministicEquivalent()
    for n in (64_000, 256_000):
        times = np.geomspace(1, 1e12, 400)
        actual = cell(Sphere(dim=3, n=n, noise=0.5), source(s, kernel), model, times=times)
        best.append(np.nanmin(equivalent.predict(actual, actual.times)["excess_risk"]))
    assert theory.Rates().predict(actual, actual.times)["risk_exponent"] == pytest.approx(expected)
    assert np.log(best[1] / best[0]) / np.log(4) == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (cell(), r"no stated smoothness in [H]^s"),
        (cell(Sphere(dim=3, n=9), source()), "noise above 0"),
        (cell(target=source(), model=models.Rbf()), "ntk.rbf has no known decay of eigenvalues"),
        (
            cell(target=source(), model=models.NetworkTangent(activation="erf")),
            "erf networks do not decay",
        ),
        (cell(Torus(dim=2, n=9, noise=1.0), source()), "ntk.relu on points of the torus"),
        (
            cell(target=source(), optimizer=Adam(learning_rate=0.1)),
            "adam has no spectral algorithm",
        ),
        (
            cell(target=source(kernel=models.Rbf())),
            "of the target's kernel: ntk.rbf has no known decay",
        ),
        (
            cell(
                Sphere(dim=3, n=9, noise=1.0), source(kernel=models.Laplace()), models.ReluTangent()
            ),
            "ntk.relu never learns 0.0",
        ),
    ],
)
def test_where_rates_do_not_apply_they_say_why(model, reason):
    assert reason in theory_objection(theory.Rates(), model)


# --- large dimension ------------------------------------------------------------------------------


def brute_force_exponent(s: float, gamma: float, order: float) -> float:
    """r by optimising the regularisation d^{−θ} over the levels μ_k ≍ d^{−k}, N_k ≍ d^k.

    Ridge λ = d^{−θ} with its effective value: levels with μ_k ≥ κ are learned; bias² of level k is
    ‖P_k f*‖² ≍ d^{−ks} times (κ/μ_k)^{2q} for qualification q; variance N_k min(1, (μ_k/κ)²)/n.
    """
    best = -math.inf
    for theta in np.linspace(0, min(gamma, 8), 1601):  # κ = d^{−θ}, κ ≥ 1/n
        terms = []
        for k in range(14):
            learned = theta >= k
            saturated = -math.inf if math.isinf(order) else -2 * order * (theta - k)
            bias = -k * s + (saturated if learned else 0.0)
            variance = k - gamma + min(0.0, 2 * (theta - k))
            terms += [bias, variance]
        best = max(best, -max(terms))
    return best


@pytest.mark.parametrize("order", [0.5, 1.0, 1.7, 2.0, 4.0, math.inf])
@pytest.mark.parametrize("s", [0.5, 1.0, 1.5, 2.0, 3.0, 4.0])
def test_exponents_in_high_dimension_are_the_best_trade_off(s, order):
    """The grid of θ is at most 0.005 wide, and the exponent of bias has slope 2q there."""
    for gamma in np.arange(0.3, 5.0, 0.35):
        result = best_in_dimension(s, gamma, order)
        brute = brute_force_exponent(s, gamma, order)
        assert brute - 1e-9 <= result <= brute + 0.01


def published_ridge_exponent(s: float, gamma: float) -> float:
    """Ridge for s > 1, s̃ = min(s, 2), p = ⌊γ/(s̃ + 1)⌋ (arXiv:2401.01270): γ − p on
    [p(s̃+1), ps̃+p+1), (γ − p + ps̃ + 1)/2 on [ps̃+p+1, ps̃+p+2s̃−1), (p+1)s̃ beyond."""
    observed = min(s, 2.0)
    p = math.floor(gamma / (observed + 1))
    start = p * (observed + 1)
    if gamma < start + 1:
        return gamma - p
    return (
        (gamma - p + p * observed + 1) / 2
        if gamma < start + 2 * observed - 1
        else (p + 1) * observed
    )


def test_ridge_in_high_dimension_has_its_published_exponent():
    for gamma in np.arange(0.05, 8.0, 0.13):
        for s in (1.2, 1.5, 2.0, 3.0):
            expected = published_ridge_exponent(s, gamma)
            assert best_in_dimension(s, gamma, 1.0) == pytest.approx(expected)
        for s, order in ((0.4, 1.0), (1.0, 1.0), (2.0, 2.0)):  # s ≤ q: minimax
            expected = minimax_in_dimension(s, gamma)
            assert best_in_dimension(s, gamma, order) == pytest.approx(expected)


def test_the_plateau_is_flat_and_periodic():
    values = [minimax_in_dimension(1.0, gamma) for gamma in (1.0, 1.5, 2.0, 3.0, 3.5, 4.0)]
    assert values == [1.0, 1.0, 1.0, 2.0, 2.0, 2.0]


def test_large_dimension_reads_the_cell():
    actual = cell(Sphere(dim=20, gamma=2.0, noise=0.5), source(2.0))
    result = theory.LargeDimension().predict(actual, actual.times)
    assert result["dimension_exponent"] == pytest.approx(-1.5, abs=1e-3)
    assert result["minimax_exponent"] == pytest.approx(-2.0, abs=1e-3)
    assert theory_objection(theory.LargeDimension(), actual) is None
    odd = cell(actual.design, actual.target, models.ReluTangent())
    assert "vanish" in theory_objection(theory.LargeDimension(), odd)
    assert "sphere" in theory_objection(
        theory.LargeDimension(), cell(Torus(dim=2, n=9, noise=1.0), source())
    )


@pytest.mark.parametrize(
    ("optimizer", "expected"),
    [
        (spectral("ridge"), -1.75),
        (spectral("iterated-ridge", qualification=1.0), -1.75),
        (spectral("iterated-ridge", qualification=2.0), -7 / 3),
        (spectral("flow"), -2.5),
        (spectral("cutoff"), -2.5),
        (spectral("heavy-ball", learning_rate=0.1, momentum=0.5), -2.5),
        (GradientFlow(), -2.5),
        (GradientDescent(learning_rate=0.1, momentum=0.9), -2.5),
    ],
)
def test_every_filter_has_the_exponent_of_its_qualification(optimizer, expected):
    actual = cell(Sphere(dim=100, gamma=2.5, noise=0.5), source(3.0), optimizer=optimizer)
    assert theory_objection(theory.LargeDimension(), actual) is None
    result = theory.LargeDimension().predict(actual, actual.times)
    assert result["dimension_exponent"] == pytest.approx(expected, abs=1e-3)
    assert result["minimax_exponent"] == pytest.approx(-2.5, abs=1e-3)


def test_targets_of_other_inner_product_kernels_keep_their_smoothness_in_high_dimension():
    design = Sphere(dim=20, gamma=2.0, noise=0.5)
    second = cell(design, source(2.0, models.Laplace()))
    assert theory_objection(theory.LargeDimension(), second) is None
    result = theory.LargeDimension().predict(second, second.times)
    assert result["dimension_exponent"] == pytest.approx(-1.5, abs=1e-3)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"optimizer": Adam(learning_rate=0.1)}, "adam has no spectral algorithm"),
        ({"optimizer": spectral("iterated-ridge", qualification=0.4)}, "at least 0.5, not 0.4"),
        ({"target": source(2.0, models.ReluTangent())}, "ntk.relu has degrees up to γ"),
        ({"target": Harmonics()}, "tests.harmonics has no stated smoothness"),
        ({"model": models.Laplace(bandwidth=0.01)}, "is not known to three digits"),
    ],
)
def test_where_exponents_in_high_dimension_do_not_apply_they_say_why(changed, reason):
    parts = {"target": source(2.0), **changed}
    actual = cell(Sphere(dim=100, gamma=2.0, noise=0.5), **parts)
    assert reason in theory_objection(theory.LargeDimension(), actual)


def test_the_barrier_is_the_energy_beyond_the_learnable_degrees():
    barrier = theory.PolynomialBarrier()
    for gamma, expected in ((0.5, 1.5), (1.5, 0.5), (2.5, 0.0)):
        actual = cell(Sphere(dim=10, gamma=gamma))
        assert theory_objection(barrier, actual) is None
        assert barrier.predict(actual, actual.times)["barrier"] == pytest.approx(expected)
    assert "within 0.1 of a whole number" in theory_objection(
        barrier, cell(Sphere(dim=10, gamma=2.0))
    )
    assert "does not give its energy" in theory_objection(
        barrier, cell(Sphere(dim=10, gamma=1.5), target=Plain())
    )


def test_the_barrier_is_where_the_deterministic_equivalent_goes():
    # d → ∞ at n = d^1.5: ridge at its best time attains ‖P_{>1} f*‖²
    gaps = []
    for dim in (30, 300, 3000):
        actual = cell(Sphere(dim=dim, gamma=1.5), times=np.geomspace(1, 1e8, 30))
        risk = theory.DeterministicEquivalent().predict(actual, actual.times)["excess_risk"].min()
        gaps.append(risk - 0.5)
    assert abs(gaps[2]) < abs(gaps[1]) < abs(gaps[0]) and abs(gaps[2]) < 0.05


def test_every_theory_is_registered():
    import testbed_ntk

    assert all(issubclass(result, Theory) for result in testbed_ntk.testbed_theories())
    assert len(testbed_ntk.testbed_models()) == 13
