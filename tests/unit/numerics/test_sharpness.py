"""Sharpness by Arnoldi's method against dense Hessians and known matrices."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from testbed.numerics.sharpness import (
    gauss_newton_product,
    hessian_product,
    largest_eigenvalue,
    random_direction,
    sharpness,
)
from testbed_networks.numerics.activations import ACTIVATIONS, activation
from testbed_networks.numerics.two_layer import TwoLayer, descend, gradient, predict


def generator(seed):
    return np.random.Generator(np.random.Philox(seed))


def setting(seed, name="tanh"):
    rng = generator(seed)
    params = {
        "first": torch.from_numpy(rng.standard_normal((5, 3))),
        "second": torch.from_numpy(rng.standard_normal(5)),
        "bias": torch.from_numpy(rng.standard_normal(5)),
    }
    x, y = torch.from_numpy(rng.standard_normal((12, 3))), torch.from_numpy(rng.standard_normal(12))
    weight = torch.linspace(0.5, 1.5, 12).double() / 12
    return TwoLayer(activation(name)), params, x, y, weight


def flat(params):
    return torch.cat([params[leaf].flatten() for leaf in ("first", "second", "bias")])


def unflat(vector):
    first, second, bias = vector.split([15, 5, 5])
    return {"first": first.reshape(5, 3), "second": second, "bias": bias}


def with_spectrum(eigenvalues, seed=0):
    rng = generator(seed)
    basis = torch.linalg.qr(torch.from_numpy(rng.standard_normal((len(eigenvalues),) * 2)))[0]
    return basis @ torch.diag(torch.tensor(eigenvalues, dtype=torch.float64)) @ basis.T


@pytest.mark.parametrize(
    "eigenvalues",
    [
        [5.0, 3.0, 1.0, 0.0],
        [2.0, 1.0, -1.0, -7.0],  # the largest modulus is negative
        [4.0, 1.0, 0.5, -4.0],  # ± the same modulus: plain power iteration never settles
        [-1.0, -2.0, -3.0, -9.0],
        [0.0, -1.0, -1.0, -5.0],
        [2.0, 2.0, 2.0, 1.0],
        [-4.0],
    ],
)
def test_largest_eigenvalue_of_known_matrices(eigenvalues):
    matrix = with_spectrum(eigenvalues)
    start = torch.from_numpy(generator(1).standard_normal(len(eigenvalues)))
    result = largest_eigenvalue(lambda v: matrix @ v, start)
    torch.testing.assert_close(
        result.value, torch.tensor(eigenvalues[0]).double(), rtol=0, atol=1e-12
    )
    torch.testing.assert_close(
        matrix @ result.vector, eigenvalues[0] * result.vector, rtol=0, atol=1e-6
    )
    assert result.residual < 1e-6


def test_close_eigenvalues_are_told_apart():
    eigenvalues = np.concatenate([[1.0, 1 - 1e-5], np.linspace(-1.3, 0.98, 200)])
    start = torch.from_numpy(generator(16).standard_normal(len(eigenvalues)))
    diagonal = torch.from_numpy(eigenvalues)
    result = largest_eigenvalue(lambda v: diagonal * v, start)
    assert float(result.value) == pytest.approx(1.0, abs=1e-8)


def test_scaled_and_frozen_parameters_break_the_symmetry_and_not_the_eigenvalues():
    """S A with S diagonal: similar to S^½ A S^½ where S > 0; rows of frozen parameters are 0."""
    matrix, scale = with_spectrum(list(np.linspace(-1, 2, 30)), 14), torch.logspace(-2, 2, 30)
    scale = scale.double()
    start = torch.from_numpy(generator(15).standard_normal(30))
    result = largest_eigenvalue(lambda v: scale * (matrix @ v), start)
    root = scale.sqrt()
    expected = torch.linalg.eigvalsh(root[:, None] * matrix * root)[-1]
    torch.testing.assert_close(result.value, expected, rtol=1e-6, atol=0)
    moved = (torch.arange(30) < 12).double()
    result = largest_eigenvalue(lambda v: moved * (matrix @ v), start)
    torch.testing.assert_close(
        result.value, torch.linalg.eigvalsh(matrix[:12, :12])[-1], rtol=1e-6, atol=0
    )


def test_residual_tells_of_an_unfinished_iteration():
    eigenvalues = list(np.linspace(0.1, 1.0, 40))
    matrix = with_spectrum(eigenvalues)
    start = torch.from_numpy(generator(2).standard_normal(40))
    result = largest_eigenvalue(lambda v: matrix @ v, start, steps=4)
    assert result.residual > 1e-4
    nearest = min(abs(float(result.value) - eigenvalue) for eigenvalue in eigenvalues)
    assert nearest <= float(result.residual) + 1e-12


def test_an_unsettled_sharpness_is_nan_and_never_a_number():
    """The top of this spectrum is denser than 500 products resolve: λ_j = −j⁴, 0 left out."""
    slopes = -(torch.arange(1.0, 4001.0, dtype=torch.float64) ** 4)
    assert torch.isnan(sharpness(lambda params: slopes * params, torch.ones(4000).double()))


@pytest.mark.parametrize("wrong", [torch.nan, torch.inf])
def test_products_that_are_not_finite_give_nan(wrong):
    assert torch.isnan(sharpness(lambda params: wrong * params, torch.ones(6).double()))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("factor", [0.0, -3.0, 5.0])
@pytest.mark.parametrize("size", [1, 2, 7])
def test_multiples_of_one_and_zero_end_at_once(factor, size, dtype):
    calls = []

    def gradient(model):
        calls.append(1)
        return {"only": factor * model["only"]}

    result = sharpness(gradient, {"only": torch.ones(size, dtype=dtype)})
    assert result == factor and result.dtype == dtype and len(calls) == 1


def test_equal_states_have_equal_sharpness_to_the_bit():
    network, params, x, y, weight = setting(17)
    values = [
        sharpness(lambda params: gradient(network, params, x, y, weight), params) for _ in range(2)
    ]
    assert torch.equal(*values)


@pytest.mark.parametrize("name", ["tanh", "erf", "relu"])
def test_hessian_of_a_network(name):
    network, params, x, y, weight = setting(3, name)

    def loss(vector):
        return 0.5 * (weight * (y - predict(network, unflat(vector), x)) ** 2).sum()

    dense = torch.func.hessian(loss)(flat(params))
    product = hessian_product(lambda params: gradient(network, params, x, y, weight), params)
    vector = random_direction(params, generator(4))
    torch.testing.assert_close(flat(product(vector)), dense @ flat(vector))
    result = largest_eigenvalue(product, vector)
    torch.testing.assert_close(result.value, torch.linalg.eigvalsh(dense)[-1], rtol=1e-8, atol=0)


@pytest.mark.parametrize("train", ["both", "first", "second"])
@pytest.mark.parametrize("kappa", [0.5, 1.0])
@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_sharpness_of_random_networks_is_that_of_their_dense_hessians(name, kappa, train):
    """42 networks that differ in everything; a layer that stays has rows of zeros."""
    seed = own_seed(name, kappa, train)
    rng = generator(seed)
    width, dim, n = (int(rng.integers(*bounds)) for bounds in ((3, 20), (2, 8), (5, 30)))
    network = TwoLayer(activation(name), kappa, train)
    params = {
        "first": torch.from_numpy(rng.standard_normal((width, dim))),
        "second": torch.from_numpy(rng.standard_normal(width)),
    }
    if seed % 2:
        params["bias"] = torch.from_numpy(rng.standard_normal(width))
    x, y = (torch.from_numpy(rng.standard_normal(shape)) for shape in ((n, dim), n))
    weight = torch.from_numpy(rng.uniform(0.5, 1.5, n)) / n
    moved = {leaf: value for leaf, value in params.items() if network.trains(leaf)}

    def loss(model):
        return 0.5 * (weight * (y - predict(network, {**params, **model}, x)) ** 2).sum()

    blocks = torch.func.hessian(loss)(moved)
    dense = torch.cat(
        [
            torch.cat([blocks[a][b].reshape(value.numel(), -1) for b in moved], 1)
            for a, value in moved.items()
        ]
    )
    largest = torch.linalg.eigvalsh(dense)[-1]
    largest = largest if train == "both" else largest.clamp_min(0)  # 0: of what is not trained
    result = sharpness(lambda params: gradient(network, params, x, y, weight), params)
    torch.testing.assert_close(result, largest, rtol=1e-6, atol=1e-13)


def own_seed(name, kappa, train):
    """A seed of one's own for each network."""
    place = sorted(ACTIVATIONS).index(name), [0.5, 1.0].index(kappa)
    return 100 + 6 * place[0] + 3 * place[1] + ["both", "first", "second"].index(train)


def test_gauss_newton_of_a_network():
    network, params, x, _, weight = setting(5)

    def function(model):
        return predict(network, model, x)

    jacobian = torch.func.jacrev(lambda vector: function(unflat(vector)))(flat(params))
    dense = jacobian.T @ torch.diag(weight) @ jacobian
    product = gauss_newton_product(function, params, weight)
    vector = random_direction(params, generator(6))
    torch.testing.assert_close(flat(product(vector)), dense @ flat(vector))
    result = largest_eigenvalue(product, vector)
    torch.testing.assert_close(result.value, torch.linalg.eigvalsh(dense)[-1], rtol=1e-8, atol=0)


def test_gauss_newton_with_several_outputs():
    rng = generator(7)
    matrix = torch.from_numpy(rng.standard_normal((3, 2)))
    x = torch.from_numpy(rng.standard_normal((6, 3)))
    weight = torch.linspace(0.1, 1, 6).double()
    product = gauss_newton_product(lambda params: x @ params, matrix, weight)
    torch.testing.assert_close(product(matrix), x.T @ torch.diag(weight) @ x @ matrix)


@pytest.mark.parametrize(("share", "stays"), [(0.9, True), (1.1, False)])
def test_descent_is_stable_below_two_over_sharpness_only(share, stays):
    """With the second layer alone the loss is quadratic: the edge is exact (theory of descent)."""
    network, params, x, y, weight = setting(12, "erf")
    network = network._replace(train="second")
    product = hessian_product(lambda params: gradient(network, params, x, y, weight), params)
    edge = 2 / largest_eigenvalue(product, random_direction(params, generator(13))).value
    batched = {leaf: value.unsqueeze(0) for leaf, value in params.items()}
    end = descend(network, batched, x[None], y[None], weight[None], float(share * edge), 400)
    loss = (weight * (y - predict(network, end.params, x[None])[0]) ** 2).sum()
    start = (weight * (y - predict(network, params, x)) ** 2).sum()
    assert bool(loss < start) == stays
