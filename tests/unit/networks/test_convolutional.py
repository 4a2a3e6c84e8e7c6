"""Convolutional networks, against a loop over pixels and against their symmetry."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from testbed.contract.seeds import Streams
from testbed.contract.values import Data, Problem
from testbed.errors import ParameterError
from testbed.numerics.trees import as_tensors
from testbed.running.batching import Single
from testbed_basics.designs.points import Gaussian, Sphere
from testbed_networks.models.convolutional import Convolutional

POINTS = np.random.Generator(np.random.Philox(5)).standard_normal((3, 2 * 16))


def fitted(model: Convolutional, x: np.ndarray, outputs: tuple[int, ...] = ()):
    """A function that predicts at points by the model's start, and its parameters."""
    x_tensor = torch.from_numpy(x)
    y = torch.zeros(len(x), *outputs, dtype=torch.float64)
    data = Data(x_tensor, y, y, torch.full((len(x),), 1 / len(x), dtype=torch.float64))
    problem = Problem(data, data, torch.zeros(()), {})
    single = Single(model)
    drawn = as_tensors(model.draw(Streams(3, 0), problem), dtype=torch.float64, device="cpu")
    prepared = single.prepare(drawn, problem)
    params = single.start(drawn, prepared, problem)
    return (lambda x: model.predict(prepared, params, torch.from_numpy(x)).numpy()), params


def by_loops(params, x: np.ndarray, depth: int) -> np.ndarray:
    """The network pixel by pixel: periodic correlation, relu, mean over pixels, readout."""
    weights = {name: leaf.numpy() for name, leaf in params.items()}
    values = []
    for point in x:
        image = point.reshape(2, 4, 4)
        for layer in range(depth):
            filters = weights[f"convolutions.{2 * layer}.weight"]
            out = np.zeros((len(filters), 4, 4))
            for channel, row, column in np.ndindex(out.shape):
                for source, i, j in np.ndindex(filters.shape[1:]):
                    pixel = image[source, (row + i - 1) % 4, (column + j - 1) % 4]
                    out[channel, row, column] += filters[channel, source, i, j] * pixel
            image = np.maximum(out + weights[f"convolutions.{2 * layer}.bias"][:, None, None], 0)
        values.append(weights["readout.weight"] @ image.mean((1, 2)) + weights["readout.bias"])
    return np.array(values)


@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("outputs", [(), (2,)])
def test_it_is_the_sum_over_pixels(depth, outputs):
    predict, params = fitted(Convolutional(width=3, depth=depth, channels=2), POINTS, outputs)
    expected = by_loops(params, POINTS, depth)
    np.testing.assert_allclose(predict(POINTS), expected if outputs else expected[:, 0], rtol=1e-12)


def test_it_does_not_change_when_an_image_is_shifted():
    predict, _ = fitted(Convolutional(width=5, depth=2, channels=2, activation="tanh"), POINTS)
    images = POINTS.reshape(-1, 2, 4, 4)
    shifted = np.roll(images, (1, 3), axis=(2, 3)).reshape(POINTS.shape)
    np.testing.assert_allclose(predict(shifted), predict(POINTS), rtol=1e-12)
    turned = images.transpose(0, 1, 3, 2).reshape(POINTS.shape)
    assert (np.abs(predict(turned) / predict(POINTS) - 1) > 0.01).all()


def test_the_variance_of_a_weight_is_the_gain_over_its_inputs():
    """4 filters of 18 weights for each of 40 channels: the standard deviation of an estimated
    variance is 5%, so that a right one leaves ±20% once in 20 000 trials."""
    _, params = fitted(Convolutional(width=40, channels=2), POINTS)
    weights = params["convolutions.0.weight"].numpy()
    assert weights.var() == pytest.approx(2 / 18, rel=0.2)
    assert not params["convolutions.0.bias"].any()


def test_points_that_are_no_square_image_are_refused():
    model = Convolutional(width=4)
    assert model.misfit(Gaussian(dim=16, n=4).space()) is None
    assert "square images" in str(model.misfit(Sphere(dim=15, n=4).space()))
    assert Convolutional(width=4, channels=3).misfit(Gaussian(dim=12, n=4).space()) is None
    with pytest.raises(ParameterError, match="an odd number"):
        Convolutional(width=4, reach=2)
