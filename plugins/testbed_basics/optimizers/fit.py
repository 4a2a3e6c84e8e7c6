"""Models that are fitted in one step, without a training clock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from attrs import frozen

from testbed import (
    Advance,
    Capability,
    Carry,
    Example,
    Fit as Fitted,
    Grid,
    HasFit,
    Optimizer,
    OptimizerFacts,
    parameter,
)
from testbed.numerics.trees import tree_map


@frozen(kw_only=True)
class Fit(Optimizer):
    """The fit of an external library. It has no clock: its only recorded time, 0, stands for the
    fitted model, and the scenario's times do not apply."""

    name = "fit"
    requires: ClassVar[tuple[type[Capability], ...]] = (HasFit,)

    times: Grid | None = parameter(
        Grid((0.0,)),
        help="where the fitted model is recorded; more times only serve comparisons",
        sweepable=False,
    )

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example({}, {"model": {"use": "nearest-neighbours"}}),)

    def facts(self) -> OptimizerFacts:
        return OptimizerFacts(clock="own")

    def advance(self, fit: Fitted, carry: Carry, since: float, times: Sequence[float]) -> Advance:
        return Advance(carry, tree_map(lambda leaf: torch.stack([leaf] * len(times)), carry))
