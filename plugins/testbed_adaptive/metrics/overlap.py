"""The overlap of a learned frame with the target's directions, and the escape time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from attrs import frozen

from testbed import (
    Cell,
    Example,
    HasDirectionalFeatures,
    Metric,
    Problem,
    Variable,
    lack,
    lacks_in_expansion,
    parameter,
)
from testbed_adaptive.numerics.stiefel import orthonormal

if TYPE_CHECKING:
    from torch import Tensor


@frozen(kw_only=True)
class Overlap(Metric):
    """|ρ| = |⟨w, w*⟩|; of frames the smallest singular value of WᵀW*, the cosine of the largest
    angle between their spans. The escape time is the first time at which |ρ| reaches
    the threshold, by linear interpolation between recorded times; NaN if it never does."""

    name = "adaptive.overlap"
    references = ("arXiv:2003.10431",)
    needs = ("parameters",)
    variables: ClassVar[Mapping[str, Variable]] = {
        "overlap": Variable("overlap |ρ| of the learned with the true directions"),
        "escape_time": Variable("first time at which |ρ| reaches the threshold", time=False),
    }
    concluded = ("escape_time",)

    threshold: float = parameter(0.5, help="overlap |ρ| at which the escape ends", gt=0, lt=1)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(
                {"threshold": 0.3},
                {
                    "design": {"use": "gaussian", "dim": 8},
                    "target": {"use": "single-index"},
                    "model": {"use": "adaptive.directional"},
                    "optimizer": {"use": "gradient-descent"},
                },
            ),
        )

    def applies(self, cell: Cell) -> str | None:
        reason = lack(cell.model, HasDirectionalFeatures)
        return reason or lacks_in_expansion(cell.target, cell.design, "directions")

    def measure(self, problem: Problem, parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
        inner = orthonormal(parameters["frame"]).mT @ problem.expansion["directions"].mT  # (q, q*)
        if min(inner.shape) == 1:
            return {"overlap": torch.linalg.vector_norm(inner)}
        return {"overlap": torch.linalg.svdvals(inner).amin(-1)}

    def conclude(
        self, times: np.ndarray, measured: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        return {"escape_time": first_crossing(times, measured["overlap"], self.threshold)}


def first_crossing(times: np.ndarray, values: np.ndarray, threshold: float) -> np.ndarray:
    """First time at which each row of values (rows, times) reaches the threshold, by linear
    interpolation; NaN if it never does. Values that are NaN were not recorded.

    >>> first_crossing(np.array([0.0, 1.0, 2.0]), np.array([[0.1, np.nan, 0.9]]), 0.5)
    array([1.])
    """
    return np.array([_crossing(times, row, threshold) for row in values])


def _crossing(times: np.ndarray, row: np.ndarray, threshold: float) -> float:
    finite = np.isfinite(row)
    clock, height = times[finite], row[finite]
    above = np.flatnonzero(height >= threshold)
    if not len(above):
        return float("nan")
    position = above[0]
    if position == 0:
        return float(clock[0])
    share = (threshold - height[position - 1]) / (height[position] - height[position - 1])
    return float(clock[position - 1] + share * (clock[position] - clock[position - 1]))
