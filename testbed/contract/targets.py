"""Targets: the truth, and the problem that it makes of a sample."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from testbed.contract.component import Component, Rng
from testbed.contract.facts import TargetFacts
from testbed.contract.values import Data, Drawn, Problem, Sample
from testbed.errors import UnsuitableError

if TYPE_CHECKING:
    import numpy as np


class Target(Component):
    """The truth f* (for sequences: θ*)."""

    kind = "target"

    def facts(self) -> TargetFacts:
        """The facts that core needs about the target, for these parameter values."""
        return TargetFacts()

    def draw(self, rng: Rng, sample: Sample) -> Drawn:
        """The random part of the truth; None if there is none."""
        return None

    @abstractmethod
    def values(self, drawn: Drawn, x: np.ndarray) -> np.ndarray:
        """f*(x) as float64, shape (n,) or (n, outputs)."""

    def expansion(self, drawn: Drawn, sample: Sample) -> dict[str, np.ndarray]:
        """The target's coefficients in its own basis; empty if it has none."""
        return {}

    def problem(self, drawn: Drawn, sample: Sample) -> Problem:
        """The regression problem of one replicate, in NumPy arrays: truth plus noise.

        Targets that have labels instead of a truth override this.
        """
        truth, test_truth = (self.values(drawn, x) for x in (sample.x, sample.test_x))
        if truth.shape != sample.noise.shape:
            raise UnsuitableError(
                f"{self.name}: found noise of shape {sample.noise.shape} for a truth of shape "
                f"{truth.shape}, expected equal shapes; does the data have several outputs? Then "
                'take the target "labels", or fewer classes'
            )
        return Problem(
            train=Data(sample.x, truth + sample.noise, truth, sample.weight),
            test=Data(
                sample.test_x, test_truth + sample.test_noise, test_truth, sample.test_weight
            ),
            noise=float(sample.variance),
            expansion=self.expansion(drawn, sample),
        )
