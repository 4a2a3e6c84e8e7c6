"""Targets: their values and their energies by degree, each by a second route."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate, special

from testbed.errors import UnsuitableError
from testbed.planning.files import read_scenario
from testbed.planning.plan import make_plan
from testbed.running.execute import execute_cell
from testbed.testing import Points, Sequence, check_component
from testbed_basics.designs.points import Sphere, Torus
from testbed_basics.metrics.labels import TestError
from testbed_basics.optimizers.gradient_flow import GradientFlow
from testbed_basics.targets.gegenbauer import Gegenbauer
from testbed_basics.targets.hermite import MultiIndex, SingleIndex
from testbed_basics.targets.indicator import IndicatorProduct
from testbed_basics.targets.kernel_function import KernelFunction
from testbed_basics.targets.linear import Linear
from testbed_basics.targets.polynomial import Polynomial
from testbed_basics.targets.source import Source
from testbed_basics.targets.trigonometric import Trigonometric
from testbed_basics.targets.zonal import coordinate_rule, gegenbauer, multiplicity
from tests.helpers.kernels import NoSpectrum, SphereKernel, TorusKernel
from tests.helpers.planned_components import Tiny
from tests.helpers.targets import GAUSSIAN, HYPERCUBE, SPHERE, TORUS, drawn, energies, points_of

CUBIC = Polynomial(exponents=((1, 1), (0, 0, 3), (2,), (0,)), coefficients=(1.0, -2.0, 3.0, -0.5))
WAVES = Trigonometric(
    frequencies=((7.5, 1.0), (1.0, 2.0), (-1.0, -2.0)), sine=(1.0, 0.5, 0.2), cosine=(0.3, 0.3, 0.1)
)
BEND = (0.5, 1.0, -1.0, 0.3)
ON_SPHERE = [
    Gegenbauer(degrees=(3, 1), energies=(0.5, 2.0)),
    Gegenbauer(degrees=(0, 2, 4), directions=5, direction="drawn"),
    Linear(),
    CUBIC,
    IndicatorProduct(),
    SingleIndex(coefficients=BEND),
    MultiIndex(coefficients=BEND, direction="drawn", directions=3),
    Source(kernel=SphereKernel(), smoothness=0.7),
    KernelFunction(kernel=SphereKernel()),
]
ON_TORUS = [
    Linear(features=1),
    Trigonometric(),
    WAVES,
    Source(kernel=TorusKernel(), smoothness=0.7, energy=2.0),
    KernelFunction(kernel=TorusKernel(), norm=3.0),
]
EVERYWHERE = [
    Linear(decay=0.5),
    CUBIC,
    IndicatorProduct(),
    SingleIndex(coefficients=BEND),
    MultiIndex(coefficients=BEND),
]
PAIRS = [
    *((target, SPHERE) for target in ON_SPHERE),
    *((target, TORUS) for target in ON_TORUS),
    *((target, design) for target in EVERYWHERE for design in (GAUSSIAN, HYPERCUBE)),
]
IDS = [f"{target.name}-{design.name}-{i}" for i, (target, design) in enumerate(PAIRS)]


@pytest.mark.parametrize(("target", "design"), PAIRS, ids=IDS)
def test_targets_keep_the_laws(target, design):
    check_component(target, design=design)


@pytest.mark.parametrize(("target", "design"), PAIRS, ids=IDS)
def test_the_energy_is_the_mean_square(target, design):
    """The sum over degrees against Monte Carlo, within four standard errors."""
    result, _, expansion = drawn(target, design)
    squares = target.values(result, points_of(design, 20_000)) ** 2
    error = squares.std() / np.sqrt(len(squares))
    assert abs(squares.mean() - expansion["energy"].sum()) < 4 * error + 1e-12
    assert (expansion["energy"] >= 0).all()


def mixed(target, design, kernel_of_degree, degree, count=1200):
    """‖P_k f‖² = E[f(x) f(x') Z_k(x, x')] over independent x, x', and its standard error."""
    result = drawn(target, design)[0]
    x, z = points_of(design, count), points_of(design, count, seed=10)
    rows = target.values(result, x)[:, None] * kernel_of_degree(x, z, degree)
    means = (rows * target.values(result, z)).mean(1)
    return means.mean(), 2 * means.std() / np.sqrt(count)


def sphere_projector(x, z, degree):
    *_, last = gegenbauer(x @ z.T, x.shape[1], degree)
    return multiplicity(x.shape[1], degree) * last


def parity_projector(x, z, degree):
    """Σ_{|S| = k} χ_S(x) χ_S(z): elementary symmetric polynomials of x_j z_j."""
    sums = [np.ones((len(x), len(z)))] + [np.zeros((len(x), len(z))) for _ in range(degree)]
    for j in range(x.shape[1]):
        product = np.outer(x[:, j], z[:, j])
        for k in range(degree, 0, -1):
            sums[k] = sums[k] + product * sums[k - 1]
    return sums[degree]


@pytest.mark.parametrize("target", ON_SPHERE, ids=lambda target: target.name)
@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_energy_by_degree_on_the_sphere(target, degree):
    """Against the projection onto degree k by its reproducing kernel, in Monte Carlo."""
    design = Sphere(dim=6, n=6, n_test=2)
    estimate, error = mixed(target, design, sphere_projector, degree)
    assert abs(estimate - energies(target, design).get(degree, 0.0)) < 4 * error + 1e-9


@pytest.mark.parametrize("target", EVERYWHERE, ids=lambda target: target.name)
@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_energy_by_degree_on_the_hypercube(target, degree):
    """Exactly, over all 2⁷ points."""
    bits = (np.arange(128)[:, None] >> np.arange(7)) & 1
    x = 1.0 - 2.0 * bits
    values = target.values(drawn(target, HYPERCUBE)[0], x)
    result = values @ parity_projector(x, x, degree) @ values / 128**2
    np.testing.assert_allclose(result, energies(target, HYPERCUBE).get(degree, 0.0), atol=1e-12)


@pytest.mark.parametrize("target", EVERYWHERE[1:], ids=lambda target: target.name)
def test_energy_by_degree_of_gaussian_points(target):
    """Damping: E f(x) f(ρx + √(1−ρ²)x') = Σ ρ^k E_k (Mehler), in Monte Carlo."""
    result = drawn(target, GAUSSIAN)[0]
    x, second = points_of(GAUSSIAN, 60_000), points_of(GAUSSIAN, 60_000, seed=10)
    reference = energies(target, GAUSSIAN)
    values = target.values(result, x)
    for rho in (0.3, 0.7):
        products = values * target.values(result, rho * x + math.sqrt(1 - rho**2) * second)
        damped = sum(energy * rho**k for k, energy in reference.items() if np.isfinite(k))
        assert abs(products.mean() - damped) < 4 * products.std() / math.sqrt(len(x))


@pytest.mark.parametrize("target", ON_TORUS, ids=lambda target: target.name)
def test_energy_by_shell_on_the_torus(target):
    """Against the discrete Fourier transform on a fine grid of cell midpoints."""
    size = 256
    grid = -1 + (2 * np.arange(size) + 1) / size
    x = np.stack(np.meshgrid(grid, grid, indexing="ij"), -1).reshape(-1, 2)
    values = target.values(drawn(target, TORUS)[0], x).reshape(size, size)
    squares = np.abs(np.fft.fft2(values) / size**2) ** 2
    m = np.fft.fftfreq(size, 1 / size)
    shell = (m[:, None] ** 2 + m**2).ravel()
    reference = energies(target, TORUS)
    for degree in (0, 1, 2, 5, 10, 49, 50, 64):
        result = squares.ravel()[shell == degree].sum()
        assert abs(result - reference.get(float(degree), 0.0)) < 1e-3 * sum(reference.values())


# --- check values ---------------------------------------------------------------------------------


def test_the_sine_that_is_not_periodic():
    """Energies .189, .216 at m = 7, 8 and the tail 2/(π²M), as published; the rest by scipy."""
    reference = energies(Trigonometric(), Torus(dim=1, n=2, n_test=2))
    assert round(reference[49.0], 3) == 0.189 and round(reference[64.0], 3) == 0.216
    assert math.isclose(sum(reference.values()), 0.5, rel_tol=1e-12)
    for m in (1, 7, 20):
        integral, _ = integrate.quad(
            lambda x, m=m: math.sin(7.5 * math.pi * x) * math.sin(math.pi * m * x), 0, 1, limit=200
        )
        assert math.isclose(reference[float(m * m)], 2 * integral**2, rel_tol=1e-9)
    beyond = sum(energy for shell, energy in reference.items() if shell > 100**2)
    assert math.isclose(beyond, 2 / (math.pi**2 * 100), rel_tol=0.02)


@pytest.mark.parametrize("dim", [2, 3, 5, 40])
def test_the_rule_of_one_coordinate_is_that_of_gauss(dim):
    nodes, weights = coordinate_rule(dim, 9)
    theirs, their_weights = special.roots_jacobi(9, (dim - 3) / 2, (dim - 3) / 2)
    np.testing.assert_allclose(nodes, theirs, atol=1e-13)
    np.testing.assert_allclose(weights, their_weights / their_weights.sum(), rtol=1e-10)


def test_gegenbauer_polynomials_are_those_of_scipy():
    t = np.linspace(-1, 1, 7)
    for k, p in enumerate(gegenbauer(t, 5, 6)):
        theirs = special.eval_gegenbauer(k, 1.5, t) / special.eval_gegenbauer(k, 1.5, 1.0)
        np.testing.assert_allclose(p, theirs, atol=1e-13)


def test_multiplicities_are_differences_of_binomials():
    for dim in (2, 3, 8):
        for k in range(7):
            lower = math.comb(k + dim - 3, k - 2) if k >= 2 else 0
            assert multiplicity(dim, k) == math.comb(k + dim - 1, k) - lower


def test_zonal_functions_need_no_more_than_their_dimension():
    """In 10⁴ dimensions, where harmonics of degree 3 are 10¹¹ in number."""
    design = Sphere(dim=10_000, n=2, n_test=2)
    target = Gegenbauer(degrees=(1, 3), energies=(0.3, 0.7), direction="drawn")
    result, _, expansion = drawn(target, design)
    assert expansion["energy"].tolist() == [0.3, 0.7]
    assert np.isfinite(target.values(result, points_of(design, 3))).all()


def test_hermite_polynomials_are_those_of_scipy():
    z = np.linspace(-3, 3, 11)[:, None]
    for r in range(7):
        target = SingleIndex(coefficients=(*(0.0,) * r, 1.0))
        result = drawn(target, Points(dim=1, n=2, n_test=2))[0]
        theirs = special.eval_hermitenorm(r, z[:, 0]) / math.sqrt(math.factorial(r))
        np.testing.assert_allclose(target.values(result, z), theirs, atol=1e-12)


def test_an_index_has_variance_one_under_every_design():
    for design in (SPHERE, GAUSSIAN, HYPERCUBE, TORUS):
        target = SingleIndex(coefficients=(0.0, 1.0), direction="drawn")
        values = target.values(drawn(target, design)[0], points_of(design, 20_000))
        assert abs(values.var() - 1) < 0.05


def test_a_drawn_frame_is_orthonormal_and_differs_between_replicates():
    target = MultiIndex(coefficients=(0.0, 1.0), directions=3, direction="drawn")
    first, second = (drawn(target, SPHERE, replicate)[0]["directions"] for replicate in (0, 1))
    np.testing.assert_allclose(first @ first.T, np.eye(3), atol=1e-14)
    assert np.abs(first - second).max() > 0.1


def test_values_by_hand():
    x = np.array([[0.5, -1.0, 2.0, 0.0, 0.0, 0.3], [0.5, -1.0, 2.0, 0.0, 0.0, -0.3]])
    assert CUBIC.values(None, x).tolist() == [-16.25, -16.25]
    assert IndicatorProduct().values(None, x).tolist() == [-0.5, 0.0]
    assert Linear(decay=1.0, scale=2.0, features=2).values(None, x).tolist() == [0.0, 0.0]
    np.testing.assert_allclose(
        Trigonometric().values(None, x), np.sin(7.5 * np.pi * 0.5), rtol=1e-14
    )


# --- what does not fit ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "design", "message"),
    [
        (Gegenbauer(degrees=(1,)), GAUSSIAN, "found the design gaussian, expected sphere"),
        (Source(kernel=SphereKernel(), smoothness=1.0), GAUSSIAN, "expected sphere or torus"),
        (Source(kernel=NoSpectrum(), smoothness=1.0), SPHERE, "no population spectrum"),
        (MultiIndex(directions=9), SPHERE, "found 9 orthogonal directions in dimension 7"),
        (Linear(features=9), SPHERE, "found inputs of 7 numbers, expected at least 9"),
        (IndicatorProduct(), TORUS, "found inputs of 2 numbers, expected at least 6"),
        (CUBIC, Sequence(), "found indices of a sequence"),
        (KernelFunction(kernel=NoSpectrum(), centres=40), Points(n=6), "lower centres"),
    ],
    ids=lambda case: getattr(case, "name", None),
)
def test_what_does_not_fit_is_refused(target, design, message):
    with pytest.raises(UnsuitableError, match=message):
        result, sample, _ = drawn(target, design)
        target.values(result, sample.x)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Gegenbauer(degrees=(1, 1)), "degrees: found"),
        (lambda: Gegenbauer(degrees=(1, 2), energies=(1.0,)), "energies: found"),
        (lambda: Polynomial(exponents=((1, -1),)), "exponents: found"),
        (lambda: Polynomial(exponents=((1,),), coefficients=(1.0, 2.0)), "coefficients: found 2"),
        (lambda: Trigonometric(frequencies=()), "frequencies: found"),
        (lambda: Trigonometric(sine=(1.0, 2.0)), "sine: found 2"),
        (lambda: SingleIndex(coefficients=(0.0,)), "coefficients: found"),
        (lambda: SingleIndex(directions=2), "directions: found 2"),
        (lambda: Source(kernel=SphereKernel(), smoothness=0.0), "smoothness: found 0"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# --- in a scenario --------------------------------------------------------------------------------

SCENARIO = """format = 1
name = "targets"
seed = 1
replicates = 2
times = [0.0, 1.0]

[design]
use = "sphere"
dim = 4
gamma = 2.0
n_test = 7

[[estimator]]
name = "kernel"
model = { use = "known.sphere", levels = 4 }
optimizer = { use = "gradient-flow" }

[[metric]]
use = "test-error"
"""
KINDS = Tiny(
    Sphere, Gegenbauer, Polynomial, Trigonometric, Source, KernelFunction, MultiIndex,
    SphereKernel, GradientFlow, TestError,
)  # fmt: skip


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ('use = "gegenbauer"\ndegrees = [1, 2]', Gegenbauer(degrees=(1, 2))),
        (
            'use = "polynomial"\nexponents = [[1, 1], [0, 3]]',
            Polynomial(exponents=((1, 1), (0, 3))),
        ),
        ('use = "trigonometric"\nfrequencies = [[7.5, 1]]', Trigonometric(frequencies=((7.5, 1),))),
        ('use = "multi-index"\ncoefficients = [0, 0, 1]', MultiIndex(coefficients=(0, 0, 1))),
        (
            'use = "source"\nsmoothness = 1.5\nkernel = "estimator:kernel"',
            Source(kernel=SphereKernel(levels=4), smoothness=1.5),
        ),
        (
            'use = "kernel-function"\n[target.kernel]\nuse = "known.sphere"\ndecay = 2.0',
            KernelFunction(kernel=SphereKernel(decay=2.0)),
        ),
    ],
    ids=lambda case: getattr(case, "name", ""),
)
def test_scenarios_name_targets_and_their_kernels(written, meant):
    plan = make_plan(read_scenario(f"{SCENARIO}\n[target]\n{written}\n", "s.toml", (), KINDS))
    assert {cell.target for cell in plan.cells} == {meant}
    result = execute_cell(plan.cells[0])
    assert not result.error and np.isfinite(result.variables["test_error"]).all()
