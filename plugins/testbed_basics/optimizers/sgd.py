"""Stochastic gradient descent: mini-batches without or with replacement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from attrs import frozen

from testbed import Example, Fit, Problem, Rng, UnsuitableError, parameter
from testbed_basics.optimizers.steps import HeavyBall, Rows, Take

if TYPE_CHECKING:
    from torch import Tensor

AT_ONCE = 2**22  # row numbers of one replicate held at a time


@frozen(kw_only=True)
class Sgd(HeavyBall):
    """θ ← θ − η ∇L_B on the clock τ = η·steps/(1 − momentum), L_B the loss of a mini-batch B
    rescaled by n/|B|, whose expected gradient is the gradient of the full loss.

    Every epoch goes through the points in a new random order, as many whole batches as fit; with
    replacement every batch is drawn independently. The batches come from a generator whose key is
    drawn beforehand, so that they depend only on the replicate and the number of the step.
    """

    name = "sgd"

    batch_size: int = parameter(help="points of a mini-batch", ge=1)
    replacement: bool = parameter(False, help="draw each batch independently, instead of by epochs")

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(
                {"learning_rate": 0.1, "batch_size": 4}, {"model": {"use": "networks.two-layer"}}
            ),
        )

    def draw(self, rng: Rng, problem: Problem) -> np.ndarray:
        """The key of this replicate's batches."""
        count = problem.train.weight.shape[-1]
        if self.batch_size > count:
            raise UnsuitableError(
                f"sgd: found batches of {self.batch_size} points from {count} training points, "
                f"expected at most {count}; lower batch_size"
            )
        return rng("batches").integers(0, 2**62, 2)

    def batches_of(self, fit: Fit) -> Rows:
        weight = fit.problem.train.weight
        keys = [tuple(key) for key in fit.draws.tolist()]

        def rows(done: int, count: int) -> Tensor:
            batches = [self.batches(key, weight.shape[-1], done, count) for key in keys]
            return torch.from_numpy(np.stack(batches)).to(weight.device)

        return rows

    def stepped(self, fit: Fit) -> Take:
        """Steps in parts, so that the row numbers held at a time stay in bounds."""
        take, size = super().stepped(fit), max(1, AT_ONCE // self.batch_size)

        def in_parts(state: Any, done: int, count: int) -> Any:
            for first in range(done, done + count, size):
                state = take(state, first, min(size, done + count - first))
            return state

        return in_parts

    def batches(self, key: Sequence[int], points: int, done: int, count: int) -> np.ndarray:
        """The batches of steps done + 1 … done + count, (count, batch)."""
        if self.replacement:
            rows = [
                stream(key, step).integers(0, points, self.batch_size)
                for step in range(done, done + count)
            ]
            return np.array(rows, dtype=np.int64).reshape(count, self.batch_size)
        epoch_length = points // self.batch_size  # batches of an epoch
        first, last = done // epoch_length, (done + count - 1) // epoch_length
        epochs = [
            stream(key, epoch).permutation(points)[: epoch_length * self.batch_size]
            for epoch in range(first, last + 1)
        ]
        steps = np.array(epochs, dtype=np.int64).reshape(-1, self.batch_size)
        return steps[done - first * epoch_length :][:count]


def stream(key: Sequence[int], number: int) -> np.random.Generator:
    """The generator of one epoch or step: the number is the high word of Philox's counter."""
    return np.random.Generator(np.random.Philox(key=list(key), counter=[0, 0, 0, number]))
