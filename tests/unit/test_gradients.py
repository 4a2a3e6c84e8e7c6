"""The default gradient: autograd of the loss, single and batched, whole and in mini-batches."""

from __future__ import annotations

import torch

from testbed.contract.components import Model
from testbed.contract.facts import ModelFacts
from testbed.contract.losses import batch_of, loss
from testbed.contract.values import Data, Problem
from testbed.running.batching import Batched


class Line(Model):
    name = "tiny.line"

    def start(self, drawn, prepared, problem):
        return problem.train.x[0]

    def predict(self, prepared, params, probe):
        return (probe @ params.unsqueeze(-1)).squeeze(-1)


class LineBatch(Line):
    def facts(self):
        return ModelFacts(batching="batch")


def problem(replicates=3, n=8, dim=2):
    g = torch.Generator().manual_seed(0)
    x, y = (torch.rand(s, generator=g).double() for s in ((replicates, n, dim), (replicates, n)))
    weight = torch.rand((replicates, n), generator=g).double()
    data = Data(x, y, y, weight)
    return Problem(data, data, weight[:, 0], {})


def test_it_is_the_least_squares_gradient_in_both_forms():
    actual = problem()
    params = torch.tensor([[0.3, -1.0], [2.0, 0.5], [0.0, 0.0]]).double()
    residual = (actual.train.x @ params.unsqueeze(-1)).squeeze(-1) - actual.train.y
    expected = (actual.train.x.mT @ (actual.train.weight * residual).unsqueeze(-1)).squeeze(-1)
    for model in (Line(), LineBatch()):
        slope = Batched(model).gradient(None, params, actual)
        torch.testing.assert_close(slope, expected)


def test_a_mini_batch_is_scaled_to_keep_its_expectation():
    actual = problem(n=6)
    params = torch.tensor([[0.3, -1.0]] * 3).double()
    pairs = [(i, j) for i in range(6) for j in range(i)]
    for model in (Line(), LineBatch()):
        original = Batched(model).gradient(None, params, actual)
        parts = [
            Batched(model).gradient(None, params, actual, torch.tensor([pair] * 3))
            for pair in pairs
        ]
        torch.testing.assert_close(torch.stack(parts).mean(0), original)


def test_rows_are_taken_from_every_part_of_the_data():
    actual = problem(replicates=1).train
    rows = torch.tensor([5, 1])
    part = batch_of(Data(*(values[0] for values in actual)), rows)
    torch.testing.assert_close(part.x, actual.x[0, rows])
    torch.testing.assert_close(part.weight, actual.weight[0, rows] * 4)


def test_the_loss_weighs_points_and_sums_outputs():
    y, weight = torch.tensor([[1.0, 2.0], [0.0, 1.0]]), torch.tensor([0.5, 2.0])
    data = Data(y, y, y, weight)
    assert loss(data, torch.zeros(2, 2)) == 0.5 * (0.5 * 5 + 2 * 1)
