"""The labels of a data set with an unknown truth."""

from __future__ import annotations

from typing import Any

import numpy as np
from attrs import frozen

from testbed import (
    Data,
    Example,
    Mistake,
    Problem,
    Sample,
    Space,
    Target,
    TargetFacts,
    UnsuitableError,
)


@frozen(kw_only=True)
class Labels(Target):
    """Observations are the design's labels, plus its noise; the truth is unknown, NaN."""

    name = "labels"

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example({}, {"design": {"use": "dataset"}, "metric": {"use": "test-error"}}),)

    def facts(self) -> TargetFacts:
        return TargetFacts(truth_known=False, outputs="observed")

    def misfit(self, space: Space) -> Mistake | None:
        if space.labels:
            return None
        text = f"found {self.name} on {space}, which have no labels"
        return Mistake("", text, "a data set", "take the design dataset, or another target")

    def values(self, drawn: Any, x: np.ndarray) -> np.ndarray:
        return np.full(len(x), np.nan)

    def problem(self, drawn: Any, sample: Sample) -> Problem:
        if sample.label is None or sample.test_label is None:
            raise UnsuitableError(
                f"labels: found the design {getattr(sample.design, 'name', '')}, which has no "
                "labels, expected a data set; use dataset, or a target of this design"
            )
        return Problem(
            train=_data(sample.x, sample.label, sample.noise, sample.weight),
            test=_data(sample.test_x, sample.test_label, sample.test_noise, sample.test_weight),
            noise=float(sample.variance),
            expansion={},
        )


def _data(x: np.ndarray, label: np.ndarray, noise: np.ndarray, weight: np.ndarray) -> Data:
    return Data(x, label + noise, np.full_like(label, np.nan), weight)
