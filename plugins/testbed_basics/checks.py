"""Objections to a scenario that need no draws."""

from __future__ import annotations

from collections.abc import Iterator

from testbed import (
    Cell,
    HasSpectrum,
    Mistake,
    Plan,
    UnsuitableError,
    metric_place,
    mistake,
    place,
    value_with,
)
from testbed_basics.designs.dataset import Dataset
from testbed_basics.metrics.labels import no_classes
from testbed_basics.optimizers.losses import CROSS_ENTROPY
from testbed_basics.optimizers.sgd import Sgd

SPECTRAL = ("spectrum", "exact_spectrum", "basis")


def objections(plan: Plan) -> list[Mistake]:
    """Reasons against a plan, without repetition."""
    cells = [cell for cell in plan.cells if cell.replicates]
    mistakes = [
        mistake
        for cell in cells
        for mistake in (*_oversized(plan, cell), *_beyond(plan, cell), *_unclassified(plan, cell))
    ]
    return list(dict.fromkeys([*_unavailable(plan, cells), *mistakes]))


def _unavailable(plan: Plan, cells: list[Cell]) -> Iterator[Mistake]:
    """Data sets that are missing, or have too few points."""
    checked: set[Dataset] = set()
    for cell in cells:
        if not isinstance(cell.design, Dataset) or cell.design in checked:
            continue
        checked.add(cell.design)
        try:
            cell.design.expect_available()
        except UnsuitableError as error:
            yield mistake(place(plan, cell, "design"), error)


def _oversized(plan: Plan, cell: Cell) -> Iterator[Mistake]:
    """Batches larger than the sample."""
    count = cell.design.sizes()["train"]
    if isinstance(cell.optimizer, Sgd) and 0 < count < cell.optimizer.batch_size:
        yield Mistake(
            place(plan, cell, "optimizer", "batch_size"),
            f"found batches of {cell.optimizer.batch_size} points in the estimator "
            f"{cell.estimator!r}",
            f"at most {count}, the number of training points",
            "lower batch_size",
        )


def _unclassified(plan: Plan, cell: Cell) -> Iterator[Mistake]:
    """A loss of classes on observations that are numbers."""
    if cell.optimizer.facts().loss != CROSS_ENTROPY:
        return
    reason = no_classes(cell)
    if reason:
        yield Mistake(
            place(plan, cell, "optimizer", "loss"),
            f"found {CROSS_ENTROPY} in the estimator {cell.estimator!r}, where {reason}",
            "labels of classes",
            "take the target labels of a data set with classes, or the squared loss",
        )


def _beyond(plan: Plan, cell: Cell) -> Iterator[Mistake]:
    """Grids of modes or ranks beyond the spectrum, where its length is known."""
    for planned in cell.metrics:
        if not any(request.need.name in SPECTRAL for request in planned.needs):
            continue
        if not isinstance(cell.model, HasSpectrum):
            continue
        points = value_with(planned.metric, "points", "train")
        modes = cell.model.spectrum_length(cell.design, points)
        if modes is None:
            continue
        try:
            planned.metric.coordinates({"modes": modes, **cell.design.sizes()})
        except UnsuitableError as error:
            yield mistake(metric_place(plan, cell, planned), error)
