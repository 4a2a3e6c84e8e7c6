"""Sharpness by power iteration against dense Hessians and known matrices."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from testbed.numerics.sharpness import (
    gauss_newton_product,
    hessian_product,
    inner,
    largest_eigenvalue,
    random_direction,
)
from testbed_networks.activations import activation
from testbed_networks.two_layer import TwoLayer, descend, gradient, predict


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
    ],
)
@pytest.mark.parametrize("tolerance", [1e-8, None])
def test_largest_eigenvalue_of_known_matrices(eigenvalues, tolerance):
    matrix = with_spectrum(eigenvalues)
    start = torch.from_numpy(generator(1).standard_normal(4))
    found = largest_eigenvalue(lambda v: matrix @ v, start, 300, tolerance)
    torch.testing.assert_close(found.value, torch.tensor(eigenvalues[0]).double())
    torch.testing.assert_close(
        matrix @ found.vector, eigenvalues[0] * found.vector, rtol=0, atol=1e-6
    )
    assert found.residual < 1e-6


def test_residual_tells_of_an_unfinished_iteration():
    eigenvalues = [1.0, 0.99, 0.5, 0.1]
    matrix = with_spectrum(eigenvalues)
    start = torch.from_numpy(generator(2).standard_normal(4))
    found = largest_eigenvalue(lambda v: matrix @ v, start, iterations=4, tolerance=None)
    assert found.residual > 1e-4
    nearest = min(abs(float(found.value) - eigenvalue) for eigenvalue in eigenvalues)
    assert nearest <= float(found.residual) + 1e-12


def test_zero_map_has_eigenvalue_zero():
    found = largest_eigenvalue(lambda v: 0 * v, torch.ones(3).double())
    assert found.value == 0 and found.residual == 0


@pytest.mark.parametrize("name", ["tanh", "erf", "relu"])
def test_hessian_of_a_network(name):
    network, params, x, y, weight = setting(3, name)

    def loss(vector):
        return 0.5 * (weight * (y - predict(network, unflat(vector), x)) ** 2).sum()

    dense = torch.func.hessian(loss)(flat(params))
    product = hessian_product(lambda own: gradient(network, own, x, y, weight), params)
    vector = random_direction(params, generator(4))
    torch.testing.assert_close(flat(product(vector)), dense @ flat(vector))
    found = largest_eigenvalue(product, vector, 2000, 1e-7)
    torch.testing.assert_close(found.value, torch.linalg.eigvalsh(dense)[-1])


def test_gauss_newton_of_a_network():
    network, params, x, _, weight = setting(5)

    def function(own):
        return predict(network, own, x)

    jacobian = torch.func.jacrev(lambda vector: function(unflat(vector)))(flat(params))
    dense = jacobian.T @ torch.diag(weight) @ jacobian
    product = gauss_newton_product(function, params, weight)
    vector = random_direction(params, generator(6))
    torch.testing.assert_close(flat(product(vector)), dense @ flat(vector))
    found = largest_eigenvalue(product, vector, 2000, 1e-7)
    torch.testing.assert_close(found.value, torch.linalg.eigvalsh(dense)[-1])


def test_gauss_newton_with_several_outputs():
    rng = generator(7)
    matrix = torch.from_numpy(rng.standard_normal((3, 2)))
    x = torch.from_numpy(rng.standard_normal((6, 3)))
    weight = torch.linspace(0.1, 1, 6).double()
    product = gauss_newton_product(lambda own: x @ own, matrix, weight)
    torch.testing.assert_close(product(matrix), x.T @ torch.diag(weight) @ x @ matrix)


def test_a_fixed_number_of_iterations_may_be_vmapped():
    matrices = torch.stack([with_spectrum([3.0, 1.0, -1.0], 8), with_spectrum([1.0, 0.0, -5.0], 9)])
    start = torch.from_numpy(generator(10).standard_normal((2, 3)))

    def value(matrix, begin):
        return largest_eigenvalue(lambda v: matrix @ v, begin, 100, None).value

    found = torch.func.vmap(value)(matrices, start)
    torch.testing.assert_close(found, torch.tensor([3.0, 1.0]).double())


def test_inner_product_is_that_of_the_flat_vectors():
    params = setting(11)[1]
    torch.testing.assert_close(inner(params, params), flat(params).square().sum())


@pytest.mark.parametrize(("share", "stays"), [(0.9, True), (1.1, False)])
def test_descent_is_stable_below_two_over_sharpness_only(share, stays):
    """With the second layer alone the loss is quadratic: the edge is exact (theory of descent)."""
    network, params, x, y, weight = setting(12, "erf")
    network = network._replace(train="second")
    product = hessian_product(lambda own: gradient(network, own, x, y, weight), params)
    edge = 2 / largest_eigenvalue(product, random_direction(params, generator(13)), 500, 1e-9).value
    batched = {leaf: own.unsqueeze(0) for leaf, own in params.items()}
    end = descend(network, batched, x[None], y[None], weight[None], float(share * edge), 400)
    loss = (weight * (y - predict(network, end.params, x[None])[0]) ** 2).sum()
    start = (weight * (y - predict(network, params, x)) ** 2).sum()
    assert bool(loss < start) == stays
