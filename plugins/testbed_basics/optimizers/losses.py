"""The losses of descent, by their derivatives in the predictions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from torch import Tensor

SQUARED, CROSS_ENTROPY = "squared", "cross-entropy"
LOSSES = (SQUARED, CROSS_ENTROPY)


def cross_entropy(predictions: Tensor, labels: Tensor, outputs: bool) -> Tensor:
    """−log of the probability of each label's class, (…, n).

    With one output f the class is whether the label is above 0, and its probability 1/(1 + e^{∓f}).
    With several, (…, n, outputs), it is the largest label's, and the probabilities are softmax(f).

    >>> import torch
    >>> cross_entropy(torch.tensor([0.0]), torch.tensor([1.0]), outputs=False)
    tensor([0.6931])
    """
    import torch

    if outputs:
        of_class = labels.argmax(-1, keepdim=True)
        logarithms = torch.log_softmax(predictions, -1)
        return -torch.take_along_dim(logarithms, of_class, -1).squeeze(-1)
    return torch.nn.functional.softplus(torch.where(labels > 0, -predictions, predictions))


def cross_entropy_slope(predictions: Tensor, labels: Tensor, outputs: bool) -> Tensor:
    """∂/∂f of `cross_entropy`: the probabilities minus 1 at the label's class.

    >>> import torch
    >>> cross_entropy_slope(torch.tensor([[0.0, 0.0]]), torch.tensor([[0.0, 1.0]]), outputs=True)
    tensor([[ 0.5000, -0.5000]])
    """
    import torch

    if outputs:
        of_class = torch.nn.functional.one_hot(labels.argmax(-1), labels.shape[-1])
        return torch.softmax(predictions, -1) - of_class
    return torch.sigmoid(predictions) - (labels > 0).to(predictions)


Derivative: TypeAlias = "Callable[[Tensor, Tensor], Tensor]"


def derivative_of(loss: str, outputs: bool) -> Derivative | None:
    """∂ℓ/∂f of a loss by its name; None for the squared loss, whose gradient models have."""
    if loss == SQUARED:
        return None
    return lambda predictions, labels: cross_entropy_slope(predictions, labels, outputs)
