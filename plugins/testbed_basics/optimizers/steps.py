"""Base of optimizers of whole steps: step sizes, the clock, and the step of a divergence."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

import torch
from attrs import frozen

from testbed import (
    Advance,
    Fit,
    HasDescent,
    OptimizerFacts,
    ParameterError,
    Parameters,
    Step,
    StepOptimizer,
    Variable,
    did_you_mean,
    has,
    parameter,
)
from testbed.numerics.trees import bounded, tensors, tree_map
from testbed_basics.optimizers.losses import LOSSES, SQUARED, derivative_of

if TYPE_CHECKING:
    from torch import Tensor

Take = Callable[[Any, int, int], Any]
"""`take(state, done, count)`: the state `count` steps after `done` ones; its parameters first."""

Rows: TypeAlias = "Callable[[int, int], Tensor]"
"""`rows(done, count)`: the rows of each of the steps after `done`, (replicates, count, batch)."""

FINITE_STEPS = Variable("steps taken so far that led to numbers in bounds; all unless it diverged")


class Edge(Mapping[str, float]):
    """A step size as a share of 2/λ_max at each replicate's start: the table `{ edge = 0.9 }`."""

    def __init__(self, edge: float):
        self.share = edge

    def __getitem__(self, key: str) -> float:
        return {"edge": self.share}[key]

    def __iter__(self) -> Iterator[str]:
        return iter(("edge",))

    def __len__(self) -> int:
        return 1

    def __hash__(self) -> int:
        return hash(self.share)

    def __repr__(self) -> str:
        return repr(dict(self))


def step_size(raw: Any) -> Any:
    """A table as an Edge, anything else as it is; ParameterError for tables with other keys."""
    if not isinstance(raw, Mapping):
        return raw
    if set(raw) != {"edge"}:
        wrong = next((word for word in sorted(raw) if word != "edge"), None)
        near = f"; {did_you_mean(wrong, ['edge'])}" if wrong and "edge" not in raw else ""
        raise ParameterError(
            f"found a table with {sorted(raw)}",
            f"a number or {{ edge = … }}{near}",
            parameter="learning_rate",
        )
    if not raw["edge"] > 0:
        raise ParameterError(
            f"found edge = {raw['edge']!r}", "a number above 0", parameter="learning_rate"
        )
    return Edge(raw["edge"])


@frozen(kw_only=True)
class Stepped(StepOptimizer):
    """Base of optimizers that step all replicates at once, and record how many steps led to
    numbers in bounds; no scenario can name it."""

    variables: ClassVar[Mapping[str, Variable]] = {"finite_steps": FINITE_STEPS}

    loss: str = parameter(
        SQUARED, help="the loss that is descended; cross-entropy for labels of classes",
        choices=LOSSES,
    )  # fmt: skip

    def facts(self) -> OptimizerFacts:
        """Under another loss than the squared one, time is not that of gradient flow."""
        clock: Literal["flow", "own"] = "flow" if self.loss == SQUARED else "own"
        return OptimizerFacts(batching="batch", clock=clock, loss=self.loss)

    def slope(self, params: Parameters, now: Step) -> Parameters:
        """The direction of descent of the loss, on the step's mini-batch."""
        outputs = now.labels.ndim > 2  # (replicates, n, outputs)
        return now.gradient(params, now.rows, derivative_of(self.loss, outputs))

    def start(self, fit: Fit) -> Any:
        return super().start(fit), no_steps(fit)

    def advance(self, fit: Fit, carry: Any, since: float, times: Sequence[float]) -> Advance:
        (done,) = self.steps([since])
        carry, params, count = train(self.stepped(fit), carry, self.steps(times), done)
        return Advance(carry, params, {"finite_steps": count})


@frozen(kw_only=True)
class HeavyBall(Stepped):
    """Base of descent with heavy-ball momentum: v ← μv − η∇L, θ ← θ + v on the clock
    τ = η·steps/(1 − μ); no scenario can name it."""

    momentum: float = parameter(0.0, help="heavy-ball momentum μ", ge=0, lt=1, role="momentum")

    @property
    def step_time(self) -> float:
        return self.learning_rate / (1 - self.momentum)

    def init(self, params: Parameters) -> Parameters:
        """The velocity, 0."""
        return tree_map(torch.zeros_like, params)

    def step(self, params: Parameters, memory: Any, now: Step) -> tuple[Parameters, Any]:
        slope = self.slope(params, now)
        memory = tree_map(lambda v, g: self.momentum * v - self.rate * g, memory, slope)
        return tree_map(torch.add, params, memory), memory

    @property
    def rate(self) -> float:
        """The step size, where it is one for all replicates."""
        return self.learning_rate

    def batches_of(self, fit: Fit) -> Rows | None:
        """The mini-batches of steps, `rows(done, count)`; None where every step takes all rows."""
        return None

    def stepped(self, fit: Fit) -> Take:
        """Models with `descend` take many steps at a time; all others go step by step."""
        model, rows = fit.model, self.batches_of(fit)

        def at_once(state: Any, done: int, count: int) -> Any:
            params, velocity = state
            assert isinstance(model, HasDescent)
            after = model.descend(
                fit.prepared, params, fit.problem, self.rate, count,
                momentum=self.momentum,
                velocity=velocity if self.momentum else None,
                batches=None if rows is None else rows(done, count),
            )  # fmt: skip
            return (after.params, after.velocity)

        def step_by_step(state: Any, done: int, count: int) -> Any:
            batches = None if rows is None else rows(done, count)
            for position in range(count):
                batch = None if batches is None else batches[:, position]
                params, memory = state
                state = self.step(params, memory, Step(done + position + 1, fit, True, batch))
            return state

        return at_once if self.loss == SQUARED and has(model, HasDescent) else step_by_step


def in_bounds(params: Any) -> Tensor:
    """Whether each replicate holds only numbers in bounds, as its status says, (replicates,)."""
    parts = [bounded(leaf).flatten(1).all(1) for leaf in tensors(params)]
    return torch.stack(parts).all(0)


def finite_steps(take: Take, state: Any, done: int, target: int) -> Tensor:
    """The number of steps in (done, target] before the first that left the bounds, (replicates,).
    The steps are taken again, one by one."""
    alive = in_bounds(state[0])
    count = alive.new_zeros(alive.shape, dtype=torch.float64)
    for step in range(done, target):
        state = take(state, step, 1)
        alive = alive & in_bounds(state[0])
        if not bool(alive.any()):
            break
        count = count + alive
    return count


def counted(
    count: Tensor, done: int, target: int, params: Any, lost: Callable[[], Tensor]
) -> Tensor:
    """`count` of the steps in bounds up to `done`, carried on to `target`, (replicates,).

    `params` are those at the target. `lost` says how many of the steps between them held where the
    last did not. A replicate that once left the bounds counts no further steps.
    """
    held = count == done
    holds = held & in_bounds(params)
    extra = (target - done) * holds.double()
    if bool((held & ~holds).any()):
        # the last step is lost, whatever rounding makes of it when it is taken again
        extra = torch.where(holds, extra, held * lost().clamp_max(target - done - 1))
    return count + extra


def no_steps(fit: Fit) -> Tensor:
    """The count of steps before any is taken, (replicates,)."""
    weight = fit.problem.train.weight
    return weight.new_zeros(weight.shape[:1], dtype=torch.float64)


def train(
    take: Take, carry: tuple[Any, Tensor], targets: Sequence[int], done: int
) -> tuple[tuple[Any, Tensor], Any, Tensor]:
    """Steps through the targets. `carry` is a state, and the number of steps in bounds of each
    replicate. The result is the next carry, parameters (replicates, times, …) and these numbers.

    The function does not check every step for divergence: it repeats the steps between two recorded
    times if a replicate left the bounds between them.
    """
    state, count = carry
    recorded, record = [], []
    for target in targets:
        after = take(state, done, target - done)
        lost = functools.partial(finite_steps, take, state, done, target)
        count = counted(count, done, target, after[0], lost)
        recorded.append(after[0])
        record.append(count)
        state, done = after, target
    params = tree_map(lambda *leaves: torch.stack(leaves, 1), *recorded)
    return (state, count), params, torch.stack(record, 1)
