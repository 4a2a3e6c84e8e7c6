"""Optimizers: how a model is fitted. A model and its optimizer make an estimator."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from attrs import frozen

from testbed.contract.capabilities import Capability, lack, per_replicate
from testbed.contract.component import Component, Rng, Variable
from testbed.contract.facts import OptimizerFacts
from testbed.contract.grids import Grid
from testbed.contract.models import Model
from testbed.contract.parameters import parameter
from testbed.contract.values import Advance, Carry, Drawn, Fit, Problem

if TYPE_CHECKING:
    from torch import Tensor


@frozen(kw_only=True)
class Optimizer(Component):
    """An algorithm that fits a model over training time τ. First-party optimizers have batching
    "batch"."""

    kind = "optimizer"
    requires: ClassVar[tuple[type[Capability], ...]] = ()
    """The capabilities that this optimizer needs of a model."""
    variables: ClassVar[Mapping[str, Variable]] = {}
    """What training records besides the parameters, in `Advance.record`."""

    times: Grid | None = parameter(
        None, help="recorded training times τ; the scenario's `times` unless given", sweepable=False
    )

    def facts(self) -> OptimizerFacts:
        """The facts that core needs about the optimizer, for these parameter values."""
        return OptimizerFacts()

    def declared(self) -> Mapping[str, Variable]:
        """The variables that these parameter values lead to."""
        return self.variables

    def accepts(self, model: Model) -> str | None:
        """None if this optimizer can fit the model, else the reason why not."""
        reasons = (lack(model, capability) for capability in self.requires)
        return next((reason for reason in reasons if reason), None)

    def reaches_limit(self, model: Model) -> bool:
        """Whether the optimizer can compute the limit t → ∞, so that times may end in inf."""
        return False

    def reached(self, times: Sequence[float]) -> tuple[float, ...]:
        """The times at which training stops when it is asked for `times`: whole steps may move
        them."""
        return tuple(times)

    @per_replicate("times")
    def reached_by(self, carry: Carry, times: Sequence[float]) -> Tensor:
        """The times at which one replicate stops, (len(times),) float64. Core calls this if the
        facts say `times_per_replicate`, with the `carry` that `start` returned, and moves
        companions to these times."""
        raise NotImplementedError

    def auxiliary(self, times: Sequence[float]) -> dict[str, tuple[float, ...]]:
        """Further coordinates along time, such as step counts or ridge parameters."""
        return {}

    def draw(self, rng: Rng, problem: Problem) -> Drawn:
        """The random part of training, such as the batches of SGD; None if there is none."""
        return None

    @per_replicate()
    def start(self, fit: Fit) -> Carry:
        """The carry at time 0; by default the parameters alone."""
        return fit.start

    @per_replicate("since", "times")
    @abstractmethod
    def advance(self, fit: Fit, carry: Carry, since: float, times: Sequence[float]) -> Advance:
        """Train from `since` through `times`. It is pure and resumable; core calls it block by
        block."""


class Estimator(NamedTuple):
    """A named model + optimizer pair, with every parameter at one value."""

    name: str
    model: Model
    optimizer: Optimizer
