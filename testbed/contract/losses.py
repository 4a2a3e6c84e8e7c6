"""The loss of every model, and its gradient by autograd."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from testbed.contract.capabilities import HasGradient, HasPredictions
from testbed.contract.values import Data, Parameters, Prepared, Problem

if TYPE_CHECKING:
    from torch import Tensor


def loss(data: Data, prediction: Tensor) -> Tensor:
    """½ Σ weight·(y − f)², summed over points, outputs and, if there are any, replicates.

    The gradient of this sum in a replicate's parameters is the gradient of that replicate's loss,
    so one function serves models in single and in batch form.
    """
    squares = (data.y - prediction) ** 2  # (…, n) or (…, n, outputs)
    weight = data.weight if squares.ndim == data.weight.ndim else data.weight.unsqueeze(-1)
    return 0.5 * (weight * squares).sum()


def batch_of(data: Data, rows: Tensor | None) -> Data:
    """The rows of a mini-batch, their weights scaled by n/len(rows) so that the expectation
    stays."""
    if rows is None:
        return data
    scale = data.weight.shape[-1] / rows.shape[-1]
    x, y, truth = (_take(values, rows) for values in (data.x, data.y, data.truth))
    return Data(x, y, truth, _take(data.weight, rows) * scale)


def _take(values: Tensor, rows: Tensor) -> Tensor:
    shape = rows.shape + (1,) * (values.ndim - rows.ndim)
    tail = values.shape[rows.ndim :]
    return torch.gather(values, rows.ndim - 1, rows.reshape(shape).expand(*rows.shape, *tail))


def loss_gradient(
    model: HasGradient,
    prepared: Prepared,
    params: Parameters,
    problem: Problem,
    rows: Tensor | None = None,
) -> Parameters:
    """∇ ½ Σ weight·(y − f)² in the parameters, by torch.func.grad through `predict`."""
    assert isinstance(model, HasPredictions)  # as every model is
    data = batch_of(problem.train, rows)
    probe = model.probe(prepared, data.x)
    return torch.func.grad(lambda params: loss(data, model.predict(prepared, params, probe)))(
        params
    )
