"""Kernels of differences: shifts, lengths of each coordinate, norms and periods."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from sklearn.gaussian_process import kernels as peers
from sklearn.metrics.pairwise import laplacian_kernel

from testbed.contract.values import Data, Fit, Problem
from testbed.errors import ScenarioError, UnsuitableError
from testbed.numerics.weighted_gram import nonnegative
from testbed.planning.files import read_scenario
from testbed.planning.fitting import theory_objection
from testbed.runs import checked_plan
from testbed_basics.designs.points import Sphere
from testbed_ntk import models
from testbed_ntk.numerics.gram import centre, cross_matrix, gram_matrix
from testbed_ntk.theories.learning_curves import LargeDimension, PolynomialBarrier, Rates

LENGTHS = (0.7, 1.9, 3.0)


def points(count: int, dim: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, dim))


def values(model, x: np.ndarray, second: np.ndarray) -> np.ndarray:
    dim = x.shape[1]
    return cross_matrix(model.kernel(dim), torch.from_numpy(x), torch.from_numpy(second)).numpy()


# --- shifts ---------------------------------------------------------------------------------------

SHAPES = [
    (models.Rbf(bandwidth=1.3), "euclidean", lambda r: np.exp(-0.5 * (r / 1.3) ** 2)),
    (models.Laplace(bandwidth=1.3), "euclidean", lambda r: np.exp(-r / 1.3)),
    (models.Laplace(bandwidth=1.3, norm="l1"), "cityblock", lambda r: np.exp(-r / 1.3)),
    (models.Matern(nu=1.5), "euclidean", lambda r: (1 + 3**0.5 * r) * np.exp(-(3**0.5) * r)),
    (models.RationalQuadratic(alpha=2.0), "euclidean", lambda r: (1 + r**2 / 4) ** -2.0),
]


SHAPE_NAMES = ["rbf", "laplace", "laplace-l1", "matern", "rational-quadratic"]


@pytest.mark.parametrize("shift", [0.0, 1e2, 1e4, 1e6, 1e9])
@pytest.mark.parametrize(("model", "metric", "shape"), SHAPES, ids=SHAPE_NAMES)
def test_inputs_far_from_the_origin_lose_no_digit_more(model, metric, shape, shift):
    # eps times squares of at most 100 about the centre, over twice the least distance, some 0.2
    away = shift * np.array([1.0, -1.0, 0.3, 0.0])
    x, z = points(70, 4) + away, points(20, 4, 1) + away
    gram = gram_matrix(model.kernel(4), torch.from_numpy(x))
    np.testing.assert_allclose(gram, shape(cdist(x, x, metric)), rtol=0, atol=1e-13)
    np.testing.assert_allclose(values(model, z, x), shape(cdist(z, x, metric)), rtol=0, atol=1e-13)


@pytest.mark.parametrize(("model", "metric", "shape"), SHAPES, ids=SHAPE_NAMES)
def test_clusters_far_apart_keep_the_distances_within_them(model, metric, shape):
    rng = np.random.default_rng(0)
    side = rng.choice([-(2.0**20), 2.0**20], (150, 1)) * np.ones(2)
    x, z = (side + np.round(points(150, 2, seed) * 2**20) / 2**20 for seed in (1, 2))
    gram = gram_matrix(model.kernel(2), torch.from_numpy(x))
    np.testing.assert_allclose(gram, shape(cdist(x, x, metric)), rtol=0, atol=1e-13)
    np.testing.assert_allclose(values(model, z, x), shape(cdist(z, x, metric)), rtol=0, atol=1e-13)
    nonnegative(torch.linalg.eigvalsh(gram), model.name)  # raises unless it is


def test_both_ways_to_distances_agree_where_either_is_taken():
    x, z = (torch.from_numpy(points(40, 5, seed)) for seed in (1, 2))
    kernel, origin = models.Matern(nu=2.5, bandwidth=2.0).kernel(5), torch.zeros(5)
    left, right = kernel.embed(x, origin), kernel.embed(z, origin)
    assert not left.direct and kernel.embed(20 * x, origin).direct
    near = kernel.tile(left, right, False)
    for pair in ((left._replace(direct=True), right), (left, right._replace(direct=True))):
        np.testing.assert_allclose(kernel.tile(*pair, False), near, rtol=1e-13)


def test_float32_keeps_its_digits_too():
    x = torch.from_numpy(points(50, 3) + 1e4).float()
    for model, metric, shape in SHAPES:
        result = gram_matrix(model.kernel(3), x)
        assert result.dtype == torch.float32
        exact = shape(cdist(x.double(), x.double(), metric))
        # as above, squares of at most 30
        np.testing.assert_allclose(result, exact, rtol=0, atol=5e-6)


def test_predictions_do_not_see_a_shift_of_all_inputs():
    exact = np.round(points(90, 3) * 2**20) / 2**20  # shifted by 2**20 without rounding
    x, test, y = exact[:60], exact[60:], torch.from_numpy(points(60, 1, 2)[:, 0])
    results = []
    for shift in (0.0, 2.0**20):
        data = Data(torch.from_numpy(x + shift), y, y, torch.full_like(y, 1 / 60))
        problem = Problem(data, data, torch.tensor(0.0), {})
        model = models.Rbf()
        prepared = model.prepare(None, problem)
        probe = model.probe(prepared, torch.from_numpy(test + shift))
        fit = Fit(model, prepared, model.start(None, prepared, problem), problem, None)
        results.append(probe @ model.path(fit, "ridge", [100.0])[0])
    np.testing.assert_allclose(results[1], results[0], rtol=1e-11)


def test_inputs_about_the_origin_are_left_as_they_are():
    sphere = points(40, 6) / np.linalg.norm(points(40, 6), axis=1, keepdims=True)
    for x in (points(40, 3), sphere, np.random.default_rng(0).uniform(0, 1, (40, 2)) - 0.5):
        assert bool((centre(torch.from_numpy(x)) == 0).all())
    constant = torch.tensor([[0.1, 5.0], [0.1, 5.0]], dtype=torch.float64)
    assert torch.equal(centre(constant), constant[0])


def test_a_cross_matrix_holds_the_rows_of_the_gram_matrix_wherever_they_are_asked():
    x = torch.from_numpy(points(60, 3) + 500.0)
    kernel = models.Rbf().kernel(3)
    gram = gram_matrix(kernel, x)
    for rows in (slice(0, 60), slice(10, 13)):
        np.testing.assert_allclose(cross_matrix(kernel, x[rows], x), gram[rows], rtol=1e-13)


# --- lengths, norms, variances --------------------------------------------------------------------


def test_lengths_norms_and_variances_are_scikit_learns():
    x, z = points(9, 3), points(6, 3, 1)
    scaled = x / LENGTHS, z / LENGTHS
    pairs = [
        (models.Rbf(bandwidth=LENGTHS), peers.RBF(LENGTHS)(x, z)),
        (models.Matern(nu=2.5, bandwidth=LENGTHS), peers.Matern(LENGTHS, nu=2.5)(x, z)),
        (models.Matern(nu=0.8, bandwidth=LENGTHS), peers.Matern(LENGTHS, nu=0.8)(x, z)),
        (models.Laplace(bandwidth=LENGTHS), peers.Matern(LENGTHS, nu=0.5)(x, z)),
        (models.RationalQuadratic(bandwidth=LENGTHS), peers.RationalQuadratic()(*scaled)),
        (models.Laplace(norm="l1", bandwidth=1.7), laplacian_kernel(x, z, gamma=1 / 1.7)),
        (models.Laplace(norm="l1", bandwidth=LENGTHS), laplacian_kernel(*scaled, gamma=1)),
        (models.Rbf(variance=2.5), (peers.ConstantKernel(2.5) * peers.RBF())(x, z)),
        (models.Rbf(bandwidth=(1.3,) * 3), peers.RBF(1.3)(x, z)),
    ]
    for model, expected in pairs:
        np.testing.assert_allclose(values(model, x, z), expected, rtol=1e-12)


def test_the_periodic_kernel_is_a_product_over_coordinates():
    x, z = points(9, 3) + 40.0, points(6, 3, 1) + 40.0
    for lengths in (0.8, LENGTHS):
        actual = np.broadcast_to(lengths, 3)
        single = [
            peers.ExpSineSquared(length, 2.3)(x[:, [i]], z[:, [i]])
            for i, length in enumerate(actual)
        ]
        result = values(models.Periodic(bandwidth=lengths, period=2.3), x, z)
        np.testing.assert_allclose(result, np.prod(single, 0), rtol=1e-12)
    model = models.Periodic(period=2.3)
    np.testing.assert_allclose(values(model, x + 2.3, z), values(model, x, z), rtol=1e-12)


@pytest.mark.parametrize("lengths", [(), (1.0, 0.0), (1.0, -2.0)])
def test_lengths_are_above_0(lengths):
    with pytest.raises(ValueError, match=r"bandwidth: found .* expected numbers above 0"):
        models.Rbf(bandwidth=lengths)


def test_a_wrong_number_of_lengths_is_refused_with_both_counts():
    with pytest.raises(UnsuitableError, match=r"found 3 lengths in bandwidth, expected 5"):
        models.Rbf(bandwidth=LENGTHS).kernel(5)


# --- what theory says -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (models.Rbf(bandwidth=LENGTHS), "none; with a length for each coordinate"),
        (models.Laplace(norm="l1"), "none; the norm l1"),
        (models.Periodic(), "none; it is not a function of the distance"),
    ],
)
def test_there_is_no_spectrum_on_the_sphere_of_what_no_rotation_leaves(model, reason):
    with pytest.raises(UnsuitableError, match=f"{model.name}: found the design sphere.*{reason}"):
        model.population_spectrum(Sphere(dim=3, n=9))


def test_a_variance_multiplies_the_spectrum():
    plain, result = (
        models.Matern(variance=value).population_spectrum(Sphere(dim=3, n=9))
        for value in (1.0, 2.5)
    )
    np.testing.assert_allclose(result.eigenvalue[:100], 2.5 * plain.eigenvalue[:100], rtol=1e-7)
    np.testing.assert_allclose(result.eigenvalue, 2.5 * plain.eigenvalue, rtol=1e-3)  # as known
    assert models.Matern(variance=2.5).trace(Sphere(dim=3, n=9)) == pytest.approx(2.5)


# --- in scenarios ---------------------------------------------------------------------------------

TEXT = """
format = 1
name = "lengths"
times = [1.0]
[design]
use = "sphere"
dim = 3
n = 20
noise = 0.1
[target]
use = "source"
smoothness = 1.0
kernel = {{ use = "ntk.relu" }}
[[estimator]]
name = "kernel"
model = {{ use = "ntk.laplace", {model} }}
optimizer = {{ use = "spectral-filter", filter = "ridge" }}
[[metric]]
use = "excess-risk"
"""


def planned(model: str):
    return checked_plan(read_scenario(TEXT.format(model=model), "lengths.toml"))


def test_numbers_and_labelled_lists_are_swept():
    plan = planned("bandwidth = { geom = [0.5, 2.0, 3] }")
    assert [cell.model.bandwidth for cell in plan.cells] == pytest.approx([0.5, 1.0, 2.0])
    lists = "bandwidth = {{ values = [{}, [1.0, 1.0, 2.0]]{} }}"
    plan = planned(lists.format("1.5", ', labels = ["same", "own"]'))
    assert [cell.model.bandwidth for cell in plan.cells] == [1.5, (1.0, 1.0, 2.0)]
    with pytest.raises(ScenarioError, match="found a sweep over lists"):
        planned(lists.format("1.5", ""))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            "bandwidth = [1.0, 2.0]",
            "found 2 lengths for points of 3 coordinates; expected one for each",
        ),
        ("bandwidth = [1.0, 2.0, -1.0]", "model.bandwidth: found (1.0, 2.0, -1.0); expected numb"),
        ('bandwidth = "long"', "expected a number or a list"),
        ("variance = 0.0", "model.variance: found 0.0; expected a number above 0"),
    ],
)
def test_what_is_wrong_with_lengths_is_said_at_planning(model, message):
    with pytest.raises(ScenarioError) as caught:
        planned(model)
    assert message in str(caught.value)


@pytest.mark.parametrize("theory", [Rates(), LargeDimension(), PolynomialBarrier()])
def test_theories_of_inner_product_kernels_say_why_they_do_not_apply(theory):
    for model in ("bandwidth = [1.0, 1.0, 2.0]", 'norm = "l1"'):
        (cell,) = planned(model).cells
        reason = theory_objection(theory, cell) or ""
        assert "cosine" in reason
    (cell,) = planned("bandwidth = 1.0").cells
    assert theory_objection(Rates(), cell) is None
