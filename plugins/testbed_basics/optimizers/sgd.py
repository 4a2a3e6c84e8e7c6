"""Stochastic gradient descent: mini-batches without or with replacement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from attrs import frozen
from torch import Tensor

from testbed.contract.components import Advance, Rng
from testbed.contract.parameters import parameter
from testbed.contract.values import Fit, Problem
from testbed.errors import UnsuitableError
from testbed.numerics.trees import tree_map
from testbed_basics.optimizers.steps import Stepped, heavy_ball, no_steps, train

AT_ONCE = 2**22  # row numbers of one replicate held at a time


@frozen(kw_only=True)
class Sgd(Stepped):
    """θ ← θ − η ∇L_B on the clock τ = η·steps/(1 − momentum), L_B the loss of a mini-batch B
    rescaled by n/|B|, whose expected gradient is that of the whole loss.

    Every epoch goes through the points in a new random order, as many batches as fit whole; with
    replacement every batch is drawn afresh. The batches are those of a generator whose key is drawn
    beforehand, so that they depend on the replicate and on the number of the step alone.
    """

    name = "sgd"

    batch_size: int = parameter(help="points of a mini-batch", ge=1)
    momentum: float = parameter(0.0, help="heavy-ball momentum μ", ge=0, lt=1, role="momentum")
    replacement: bool = parameter(False, help="draw each batch afresh, instead of by epochs")

    @property
    def step_time(self) -> float:
        return self.learning_rate / (1 - self.momentum)

    def draw(self, rng: Rng, problem: Problem) -> np.ndarray:
        """The key of this replicate's batches."""
        count = problem.train.weight.shape[-1]
        if self.batch_size > count:
            raise UnsuitableError(
                f"sgd: found batches of {self.batch_size} points from {count} training points, "
                f"expected at most {count}; lower batch_size"
            )
        return rng("batches").integers(0, 2**62, 2)

    def start(self, fit: Fit) -> Any:
        return ((fit.start, tree_map(torch.zeros_like, fit.start)), no_steps(fit))

    def advance(self, fit: Fit, carry: Any, since: float, times: Sequence[float]) -> Advance:
        weight = fit.problem.train.weight
        keys = [tuple(key) for key in fit.draws.tolist()]

        def rows(done: int, count: int) -> Tensor:
            each = [self.batches(key, weight.shape[-1], done, count) for key in keys]
            return torch.from_numpy(np.stack(each)).to(weight.device)

        take = heavy_ball(fit, self.learning_rate, self.momentum, rows)
        size = max(1, AT_ONCE // self.batch_size)

        def in_parts(state: Any, done: int, count: int) -> Any:
            for at in range(done, done + count, size):
                state = take(state, at, min(size, done + count - at))
            return state

        (done,) = self.steps([since])
        carry, params, count = train(in_parts, carry, self.steps(times), done)
        return Advance(carry, params, {"finite_steps": count})

    def batches(self, key: Sequence[int], points: int, done: int, count: int) -> np.ndarray:
        """The batches of steps done + 1 … done + count, (count, batch)."""
        if self.replacement:
            rows = [
                stream(key, step).integers(0, points, self.batch_size)
                for step in range(done, done + count)
            ]
            return np.array(rows, dtype=np.int64).reshape(count, self.batch_size)
        each = points // self.batch_size  # batches of an epoch
        first, last = done // each, (done + count - 1) // each
        epochs = [
            stream(key, epoch).permutation(points)[: each * self.batch_size]
            for epoch in range(first, last + 1)
        ]
        steps = np.array(epochs, dtype=np.int64).reshape(-1, self.batch_size)
        return steps[done - first * each :][:count]


def stream(key: Sequence[int], number: int) -> np.random.Generator:
    """The generator of one epoch or step: the number is the high word of Philox's counter."""
    return np.random.Generator(np.random.Philox(key=list(key), counter=[0, 0, 0, number]))
