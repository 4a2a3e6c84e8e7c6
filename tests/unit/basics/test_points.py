"""Random designs: their laws, their sizes, and what stays when they grow."""

from __future__ import annotations

import numpy as np
import pytest
from attrs import evolve

from testbed.contract.components import derived_size
from testbed.contract.seeds import Streams
from testbed.testing import check_component
from testbed_basics.designs.points import Gaussian, Hypercube, Sphere, Torus

DESIGNS = [
    Sphere(dim=4, n=30, n_test=20, noise=0.5),
    Gaussian(dim=4, n=30, n_test=20, noise=0.5, scale=0.5),
    Torus(dim=4, n=30, n_test=20, noise=0.5),
    Hypercube(dim=4, n=30, n_test=20, noise=0.5),
]
BY_NAME = pytest.mark.parametrize("design", DESIGNS, ids=lambda design: design.name)


@BY_NAME
def test_designs_keep_the_laws(design):
    check_component(design)


@BY_NAME
def test_moments_are_those_of_the_law(design):
    """Mean 0, covariance v·I and fourth moments, within five standard errors."""
    variance, fourth = {
        "sphere": (1 / 4, 3 / (4 * 6)),
        "gaussian": (1 / 4, 3 / 16),
        "torus": (1 / 3, 1 / 5),
        "hypercube": (1.0, 1.0),
    }[design.name]
    x = evolve(design, n=20_000).draw(Streams(1, 0)).x
    error = 5 * np.sqrt(fourth / len(x))
    assert np.abs(x.mean(0)).max() < 5 * np.sqrt(variance / len(x))
    np.testing.assert_allclose(x.T @ x / len(x), variance * np.eye(4), atol=error)
    np.testing.assert_allclose((x**4).mean(0), fourth, rtol=0.1)


def test_points_lie_where_they_should():
    sphere, _, torus, cube = (design.draw(Streams(1, 0)).x for design in DESIGNS)
    np.testing.assert_allclose((sphere**2).sum(1), 1, rtol=1e-14)
    assert torus.min() >= -1 and torus.max() < 1
    assert set(np.unique(cube)) == {-1.0, 1.0}


@BY_NAME
def test_a_larger_sample_extends_a_smaller_one(design):
    smaller = design.draw(Streams(1, 3))
    larger = evolve(design, n=70).draw(Streams(1, 3))
    tested = evolve(design, n_test=90).draw(Streams(1, 3))
    assert np.array_equal(larger.x[:30], smaller.x) and np.array_equal(
        larger.noise[:30], smaller.noise
    )
    assert np.array_equal(larger.test_x, smaller.test_x)
    assert np.array_equal(larger.test_noise, smaller.test_noise)
    assert np.array_equal(tested.test_x[:20], smaller.test_x)
    assert np.array_equal(tested.test_noise[:20], smaller.test_noise)
    assert np.array_equal(tested.x, smaller.x)


def test_noise_has_its_level_and_is_independent_of_the_test_noise():
    sample = Gaussian(dim=1, n=20_000, n_test=20_000, noise=0.3).draw(Streams(1, 0))
    assert abs(sample.noise.std() - 0.3) < 0.01 and abs(sample.test_noise.std() - 0.3) < 0.01
    assert abs(np.corrcoef(sample.noise, sample.test_noise)[0, 1]) < 5 / np.sqrt(20_000)
    assert sample.variance == 0.3**2 / 20_000
    assert sample.weight.sum() == pytest.approx(1) and sample.test_weight.sum() == pytest.approx(1)


def test_a_shared_design_keeps_its_points_and_draws_new_noise():
    design = DESIGNS[0]
    first, second = (design.draw(Streams(1, replicate, shared_inputs=True)) for replicate in (0, 1))
    assert np.array_equal(first.x, second.x) and np.array_equal(first.test_x, second.test_x)
    assert not np.array_equal(first.noise, second.noise)
    assert not np.array_equal(first.test_noise, second.test_noise)


@pytest.mark.parametrize(("dim", "gamma", "n"), [(20, 1.5, 89), (10, 2.0, 100), (7, 0.5, 3)])
def test_n_follows_from_gamma(dim, gamma, n):
    design = Sphere(dim=dim, gamma=gamma, n_test=5)
    assert derived_size(design) == {"n": n} and design.sizes() == {"train": n, "test": 5}
    assert len(design.draw(Streams(1, 0)).x) == n
    check_component(design)


def test_n_that_is_given_is_not_derived():
    assert derived_size(DESIGNS[0]) == {}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Sphere(dim=3), "found neither n nor gamma; expected exactly one"),
        (lambda: Sphere(dim=3, n=5, gamma=1.0), "found both n and gamma"),
        (lambda: Sphere(dim=1, n=5), "dim: found 1"),
        (lambda: Torus(dim=3, n=5, n_test=-1), "n_test: found -1; expected a number at least 0"),
        (lambda: Gaussian(dim=3, n=0), "n: found 0"),
        (lambda: Gaussian(dim=3, n=5, scale=0.0), "scale: found 0"),
        (lambda: Hypercube(dim=3, n=5, noise=-1.0), "noise: found -1"),
    ],
)
def test_sizes_that_make_no_sense_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
