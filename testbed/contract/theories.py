"""Theories: what is predicted."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from attrs import frozen

from testbed.contract.component import Component, Variable
from testbed.contract.facts import TheoryFacts
from testbed.contract.values import Problem

if TYPE_CHECKING:
    import numpy as np

    from testbed.contract.cells import Cell


@frozen(kw_only=True)
class Theory(Component):
    """A prediction from the cell's parameters alone, on the coordinates of the metrics."""

    kind = "theory"
    variables: ClassVar[Mapping[str, Variable]] = {}

    def facts(self) -> TheoryFacts:
        """The facts that core needs about the theory, for these parameter values."""
        return TheoryFacts()

    def coordinates(self, sizes: Mapping[str, int]) -> dict[str, np.ndarray]:
        """Coordinates of the variables' own dims, as for metrics."""
        return {}

    @abstractmethod
    def predict(
        self, cell: Cell, times: Sequence[float], problem: Problem | None = None
    ) -> dict[str, np.ndarray]:
        """The variables, each of shape (len(times), own…), or (own…) where `time=False`.

        Raises DoesNotApply with the reason if an assumption does not hold. The plan calls it with
        no times and without a problem, so check first the assumptions that the cell alone decides.
        """
