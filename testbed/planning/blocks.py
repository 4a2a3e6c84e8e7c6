"""Fourth stage: the cells of every point, in blocks of replicates, each with its key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import ceil

from testbed.contract.cells import Cell, PlannedTheory
from testbed.contract.components import Model, Optimizer
from testbed.errors import Mistake
from testbed.planning.expansion import ADVICE, Expansions, block_size
from testbed.planning.keys import Texts, cell_key, preparation_key
from testbed.planning.once import Once
from testbed.planning.points import Point, Points, cell_with
from testbed.scenario.scenario import Scenario


def divide(
    scenario: Scenario, expansions: Expansions, points: Points
) -> tuple[tuple[Cell, ...], list[Mistake]]:
    """The cells of every point; those that share a preparation stand next to each other.

    Models that run replicate by replicate have more cells than were counted before they were built,
    so cells are counted again.
    """
    mistakes, count, once = [], 0, Once()
    for name, made in points.items():
        cells = sum(_count(scenario, point, once) for point in made)
        if made and not cells:
            text = f"found nothing to compute for {name!r}"
            place = f"{expansions[name].table.place}.simulate"
            mistakes.append(Mistake(place, text, "a simulation, or a theory that needs none"))
        count += cells
    if count > scenario.compute.cells:
        text = f"found {count} cells, since models run replicate by replicate"
        return (), [*mistakes, Mistake("$", text, f"at most {scenario.compute.cells}", ADVICE)]
    every = (point for made in points.values() for point in made)
    divided = (cell for point in every for cell in _cells(scenario, point, once))
    texts = Texts()
    return tuple(_grouped(_keyed(cell, texts, once) for cell in divided)), mistakes


def _count(scenario: Scenario, point: Point, once: Once) -> int:
    """The number of cells of a point."""
    cell = point.cell
    size = once(_block, scenario, cell.model, cell.optimizer)
    blocks = ceil(scenario.most_replicates / size) if point.simulated else 0
    return blocks + once(_predicts, cell.theories)


def _cells(scenario: Scenario, point: Point, once: Once) -> Iterator[Cell]:
    """The theory cell of a point, and its blocks of replicates."""
    cell = point.cell
    if once(_predicts, cell.theories):
        yield cell_with(cell, metrics=())
    if not point.simulated:
        return
    conditional = once(_conditional, cell.theories)
    size = once(_block, scenario, cell.model, cell.optimizer)
    for first in range(0, scenario.most_replicates, size):
        replicates = tuple(range(first, min(first + size, scenario.most_replicates)))
        yield cell_with(cell, replicates=replicates, theories=conditional)


def _predicts(theories: Iterable[PlannedTheory]) -> bool:
    """Whether a theory is evaluated without a simulation."""
    return any(not planned.theory.facts().conditional for planned in theories)


def _conditional(theories: Iterable[PlannedTheory]) -> tuple[PlannedTheory, ...]:
    """The theories that are evaluated beside a simulation."""
    return tuple(planned for planned in theories if planned.theory.facts().conditional)


def _block(scenario: Scenario, model: Model, optimizer: Optimizer) -> int:
    """The number of replicates in a cell."""
    looped = "loop" in (model.facts().batching, optimizer.facts().batching)
    return 1 if looped or optimizer.facts().times_per_replicate else block_size(scenario)


def shares_preparation(cell: Cell) -> bool:
    """Whether other cells may use what the model prepares in this one."""
    return bool(cell.replicates) and _reads_inputs(cell.model)


def _reads_inputs(model: Model) -> bool:
    return model.facts().reads == "inputs"


def _keyed(cell: Cell, texts: Texts, once: Once) -> Cell:
    key = cell_key(cell, texts)
    shares = bool(cell.replicates) and once(_reads_inputs, cell.model)
    return cell_with(cell, key=key, group=preparation_key(cell, texts) if shares else key)


def _grouped(cells: Iterable[Cell]) -> Iterator[Cell]:
    """The cells with those of one group next to each other, in the order of first appearance."""
    groups: dict[str, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(cell.group, []).append(cell)
    for group in groups.values():
        yield from group
