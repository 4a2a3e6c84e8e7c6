"""Optimizers of whole steps: the update of the parameters and the state carried between steps."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar, TypeAlias

import numpy as np
import torch
from attrs import frozen

from testbed.contract.capabilities import Capability, HasGradient
from testbed.contract.components import Optimizer, Rng
from testbed.contract.losses import batch_of
from testbed.contract.parameters import parameter
from testbed.contract.values import Advance, Carry, Drawn, Fit, Parameters, Problem
from testbed.errors import UnsuitableError
from testbed.numerics.trees import rebuild, tensors, tree_map

if TYPE_CHECKING:
    from torch import Tensor

Derivative: TypeAlias = "Callable[[Tensor, Tensor], Tensor]"
"""∂ℓ/∂f of a loss ℓ(f, y), shaped like f."""


class Step:
    """The arguments of one step: its number, gradients, and noise."""

    def __init__(self, number: int, fit: Fit, batched: bool, rows: Tensor | None = None):
        self.number = number
        """1 for the first step."""
        self.rows = rows
        """The mini-batch of the step, where the optimizer has chosen one; None for all rows."""
        self._fit, self._batched = fit, batched

    @property
    def labels(self) -> Tensor:
        """The labels of all training points."""
        return self._fit.problem.train.y

    def gradient(
        self,
        params: Parameters,
        rows: Tensor | None = None,
        derivative: Derivative | None = None,
    ) -> Parameters:
        """The model's direction of descent at any parameters, shaped like them; `rows` restricts
        the loss to a mini-batch, rescaled to keep its expectation.

        `derivative(f, y)` is ∂ℓ/∂f of another loss Σ weight·ℓ(f, y) than the squared one, shaped
        like f. Its gradient is that of the squared loss with the labels f − ∂ℓ/∂f held fixed.
        """
        fit = self._fit
        problem = fit.problem if derivative is None else self._relabelled(params, rows, derivative)
        return fit.model.gradient(fit.prepared, params, problem, rows)

    def _relabelled(
        self, params: Parameters, rows: Tensor | None, derivative: Derivative
    ) -> Problem:
        """The problem with labels f − ∂ℓ/∂f at the rows that the gradient reads."""
        model, prepared, data = self._fit.model, self._fit.prepared, self._fit.problem.train
        batch = batch_of(data, rows)
        predictions = model.predict(prepared, params, model.probe(prepared, batch.x))
        labels = predictions - derivative(predictions, batch.y)
        if rows is not None:
            places = rows.reshape(rows.shape + (1,) * (labels.ndim - rows.ndim))
            labels = torch.scatter(data.y, rows.ndim - 1, places.expand_as(labels), labels)
        return self._fit.problem._replace(train=data._replace(y=labels))

    def normal(self, stream: str, like: Parameters) -> Parameters:
        """Independent standard normal numbers shaped like a tree of tensors, new ones at each
        step. They depend on the replicate, the stream's name and the step's number alone."""
        keys = self._keys(stream)
        draws = [_generator(key, self.number) for key in (keys if self._batched else keys[None])]

        def drawn(leaf: Tensor) -> Tensor:
            shape = tuple(leaf.shape[1:] if self._batched else leaf.shape)
            values = np.stack([generator.standard_normal(shape) for generator in draws])
            return torch.from_numpy(values if self._batched else values[0]).to(leaf)

        return rebuild(like, iter([drawn(leaf) for leaf in tensors(like)]))

    def generator(self, stream: str) -> np.random.Generator:
        """A NumPy generator for this step, of an optimizer with batching "loop"."""
        if self._batched:
            raise UnsuitableError(
                f"found the generator of {stream!r} asked for all replicates at once, expected one "
                'replicate; say OptimizerFacts(batching="loop", …), or take `normal`'
            )
        return _generator(self._keys(stream), self.number)

    def _keys(self, stream: str) -> np.ndarray:
        """(2,), or (replicates, 2) where the optimizer sees all replicates at once."""
        drawn = self._fit.draws or {}
        if stream not in drawn:
            raise UnsuitableError(
                f"found the random stream {stream!r}, expected one that the optimizer declares; "
                f'return OptimizerFacts(batching="loop", streams=("{stream}",)) from facts()'
            )
        if torch._C._functorch.is_batchedtensor(drawn[stream]):
            raise UnsuitableError(
                f"found noise of {stream!r} asked for under vmap, where nothing can be drawn; "
                'say OptimizerFacts(batching="loop", …), or "batch" if `step` treats all '
                "replicates the same way, element by element"
            )
        return np.asarray(drawn[stream].cpu().numpy())


def _generator(key: np.ndarray, number: int) -> np.random.Generator:
    """The generator of one step: its number is the high word of Philox's counter."""
    counter = [0, 0, 0, number]
    return np.random.Generator(np.random.Philox(key=key.tolist(), counter=counter))


@frozen(kw_only=True)
class StepOptimizer(Optimizer):
    """Base of optimizers that take whole steps of one size, on the clock τ = η·steps.

    A subclass writes `step`, and `init` if something is carried from step to step. Asked times are
    rounded to whole steps, whose number becomes the coordinate `step`. An optimizer whose time is
    not that of gradient flow says `OptimizerFacts(clock="own")`; one with noise names its streams,
    `OptimizerFacts(batching="loop", streams=("langevin",))`. With batching "batch" all replicates
    are stepped at once, with a leading axis on every tensor.
    """

    requires: ClassVar[tuple[type[Capability], ...]] = (HasGradient,)

    learning_rate: float = parameter(
        help="step size η",
        gt=0,
        no_table="only gradient-descent takes { edge = … }",
        role="step_size",
    )

    # --- what a subclass says ---------------------------------------------------------------------

    def init(self, params: Parameters) -> Carry:
        """The state that steps pass on besides the parameters: moments, a velocity. A tensor
        or a tree of tensors; nothing by default."""
        return ()

    @abstractmethod
    def step(self, params: Parameters, memory: Carry, now: Step) -> tuple[Parameters, Carry]:
        """The parameters after one step, and what is carried on. Pure: nothing is changed in place,
        and torch's random numbers are not used."""

    @property
    def step_time(self) -> float:
        """Training time of one step."""
        return self.learning_rate

    # --- what follows -----------------------------------------------------------------------------

    def steps(self, times: Sequence[float]) -> list[int]:
        """Whole steps nearest to the asked times."""
        return [round(time / self.step_time) for time in times]

    def reached(self, times: Sequence[float]) -> tuple[float, ...]:
        return tuple(steps * self.step_time for steps in self.steps(times))

    def auxiliary(self, times: Sequence[float]) -> dict[str, tuple[float, ...]]:
        return {"step": tuple(float(steps) for steps in self.steps(times))}

    def draw(self, rng: Rng, problem: Problem) -> Drawn:
        """A key for every declared stream, from which each step has its own numbers."""
        streams = self.facts().streams
        return {name: rng(name).integers(0, 2**62, 2) for name in streams} or None

    def start(self, fit: Fit) -> Carry:
        return fit.start, self.init(fit.start)

    def stepped(self, fit: Fit) -> Callable[[Carry, int, int], Carry]:
        """`take(state, done, count)`: the state (params, memory) `count` steps after `done`."""
        batched = self.facts().batching == "batch"

        def take(state: Carry, done: int, count: int) -> Carry:
            for number in range(done + 1, done + count + 1):
                params, memory = state
                state = self.step(params, memory, Step(number, fit, batched))
            return state

        return take

    def advance(self, fit: Fit, carry: Carry, since: float, times: Sequence[float]) -> Advance:
        take, recorded = self.stepped(fit), []
        (done,) = self.steps([since])
        for target in self.steps(times):
            carry, done = take(carry, done, target - done), target
            recorded.append(carry[0])
        axis = 1 if self.facts().batching == "batch" else 0
        params = tree_map(lambda *leaves: torch.stack(leaves, axis), *recorded)
        return Advance(carry, params)
