"""Metrics: what is measured on a state."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from attrs import frozen

from testbed.contract.component import Component, Variable
from testbed.contract.facts import MetricFacts
from testbed.contract.needs import Needs
from testbed.contract.optimizers import Estimator

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from testbed.contract.cells import Cell


@frozen(kw_only=True)
class Metric(Component):
    """A quantity that is measured on a state at a time.

    `needs` lists what core computes for the metric: names of rows of the table in
    `testbed.contract.needs`. The prefix `initial_` asks for the value at time 0, and the prefix
    `companion_` for the value of a second path trained on the same draws. A tuple of tuples lists
    alternatives; core takes the first that the estimator can serve. Parameters with the roles
    `kernel` and `points` choose the kernel and the points of the spectrum and the Gram matrix. A
    parameter with the role `matrix` chooses the matrix of the sharpness: "hessian", or
    "gauss-newton", the Hessian of the same loss with the state's own predictions as labels.
    """

    kind = "metric"
    needs: ClassVar[Needs] = ()
    variables: ClassVar[Mapping[str, Variable]] = {}
    concluded: ClassVar[tuple[str, ...]] = ()
    """The variables, with `time=False`, that `conclude` computes instead of `measure`."""

    def facts(self) -> MetricFacts:
        """The facts that core needs about the metric, for these parameter values."""
        return MetricFacts()

    def needed(self) -> Needs:
        """The needs that these parameter values lead to."""
        return self.needs

    def companion(
        self, estimator: Estimator, estimators: Mapping[str, Estimator]
    ) -> Estimator | None:
        """A second path to train in lockstep on the same draws; None if there is none."""
        return None

    def applies(self, cell: Cell) -> str | None:
        """None if the metric makes sense for this cell, else the reason why not."""
        return None

    def declared(self) -> Mapping[str, Variable]:
        """The variables that these parameter values lead to: `variables`, or other dims."""
        return self.variables

    def comment(self, cell: Cell, variable: str) -> str:
        """A note for readers on one of the variables as this cell measures it. The result's
        attribute `comment` holds the notes of all cells of an estimator."""
        return str(self.declared()[variable].attrs.get("comment", ""))

    def coordinates(self, sizes: Mapping[str, int]) -> dict[str, np.ndarray]:
        """Coordinates of the variables' own dims; `sizes` holds the cell's numbers of modes,
        training points and test points."""
        return {}

    @abstractmethod
    def measure(self, *problem: Any, **needs: Any) -> dict[str, Tensor]:
        """The variables of one replicate at one time, each with its own dims.

        Metrics write `measure(self, problem, predictions)`: the problem, then their needs by name.
        """

    def conclude(
        self, times: np.ndarray, measured: Mapping[str, np.ndarray]
    ) -> Mapping[str, np.ndarray]:
        """The `concluded` variables of a whole path, (replicates, own…), such as a first crossing.

        `measured` holds what `measure` returned at the times at which training stopped,
        (replicates, times, own…). It is NaN where the metric was not measured or a replicate has
        diverged.
        """
        return {}
