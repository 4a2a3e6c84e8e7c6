"""Second stage: the components of every point of a sweep, and whether they fit one another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Any

from attrs import field, fields, frozen

from testbed.contract.border import ComponentFault
from testbed.contract.cells import Cell
from testbed.contract.components import Model, Optimizer, sample_size
from testbed.contract.grids import Grid
from testbed.contract.seeds import choice_stream
from testbed.errors import Mistake
from testbed.planning.building import Builder
from testbed.planning.dimensions import chosen
from testbed.planning.expansion import Expansion, Expansions
from testbed.planning.fitting import pair_objection, times_objection
from testbed.planning.inspection import (
    inspect_design,
    inspect_optimizer,
    model_misfit,
    target_misfit,
)
from testbed.planning.once import Once
from testbed.scenario.scenario import Scenario
from testbed.scenario.tables import EstimatorTable, UpTo


@frozen
class Point:
    """A point of an estimator's sweep: its components in a cell without metrics and replicates."""

    positions: Mapping[str, int] = field(hash=False)
    cell: Cell
    simulated: bool


_FIELDS = tuple(attribute.name for attribute in fields(Cell))
_POSITIONS = {name: position for position, name in enumerate(_FIELDS)}
_values = attrgetter(*_FIELDS)


def cell_with(cell: Cell, **changes: Any) -> Cell:
    """The cell with some of its fields changed: as `evolve`, but several times as fast."""
    values = list(_values(cell))
    for name, value in changes.items():
        values[_POSITIONS[name]] = value
    return Cell(*values)


Points = Mapping[str, Sequence[Point]]
"""The points of each estimator, by its name."""


def build(
    scenario: Scenario, expansions: Expansions, builder: Builder, once: Once
) -> tuple[Points, list[Mistake]]:
    """Every point whose components can be built and fit one another."""
    points: dict[str, list[Point]] = {}
    mistakes: dict[Mistake, None] = {}
    for name, expansion in expansions.items():
        chosen_points = _simulated(scenario, expansion)
        points[name] = []
        for number, positions in enumerate(expansion.points()):
            cell, wrong = _cell(scenario, expansion, positions, builder, once)
            mistakes.update(dict.fromkeys(wrong))
            if cell is not None:
                simulated = number in chosen_points and _small_enough(expansion.table, cell)
                points[name].append(Point(positions, cell, simulated))
    return points, list(mistakes)


def pair_mistakes(
    scenario: Scenario, expansions: Expansions, builder: Builder, once: Once
) -> list[Mistake]:
    """The mistakes of models and optimizers, if other parts could not be read.

    An estimator is left out if its times or references may be among those parts.
    """
    mistakes: dict[Mistake, None] = {}
    for expansion in expansions.values():
        table = expansion.table
        timed = scenario.times is not None or table.optimizer.values.get("times") is not None
        parts = (table.model, table.optimizer)
        if timed and not any(True for part in parts for _ in part.references()):
            for positions in expansion.points():
                _, wrong = _pair(scenario, table, positions, builder, once)
                mistakes.update(dict.fromkeys(wrong))
    return list(mistakes)


def _cell(
    scenario: Scenario,
    expansion: Expansion,
    positions: Mapping[str, int],
    builder: Builder,
    once: Once,
) -> tuple[Cell | None, list[Mistake]]:
    """The cell at a point, without metrics, replicates and key."""
    table = expansion.table
    design_table = chosen(scenario.designs, "design", positions)
    target_table = chosen(scenario.targets, "target", positions)
    design, wrong_design = builder.build(design_table.spec, positions)
    target, wrong_target = builder.build(target_table.spec, positions)
    pair, wrong_pair = _pair(scenario, table, positions, builder, once)
    mistakes = [*wrong_design, *wrong_target, *wrong_pair]
    if design is None or target is None or pair is None:
        return None, mistakes
    model, optimizer, times = pair
    faults = (
        (once(inspect_design, design), design_table.spec.path),
        (once(inspect_optimizer, optimizer, times), table.optimizer.path),
    )
    mistakes += [Mistake(place, text) for text, place in faults if text]
    wrong_truth = once(target_misfit, target, design)
    wrong_model = once(model_misfit, model, design, None if wrong_truth else target)
    mistakes += _placed(target_table.spec.path, wrong_truth)
    mistakes += _placed(table.model.path, wrong_model)
    if mistakes:
        return None, mistakes
    cell = Cell(
        estimator=table.name,
        point=expansion.coordinates(positions),
        index=tuple(positions.values()),
        replicates=(),
        design=design,
        target=target,
        model=model,
        optimizer=optimizer,
        times=times,
        metrics=(),
        theories=(),
        seed=scenario.seed,
        compute=scenario.compute,
        shared_design=design_table.shared,
    )
    return cell, []


def _placed(place: str, misfit: Mistake | None) -> list[Mistake]:
    """A misfit of a component at its place in the file."""
    if misfit is None:
        return []
    return [misfit.moved_to(f"{place}.{misfit.where}" if misfit.where else place)]


Pair = tuple[Model, Optimizer, tuple[float, ...]]


def _pair(
    scenario: Scenario,
    table: EstimatorTable,
    positions: Mapping[str, int],
    builder: Builder,
    once: Once,
) -> tuple[Pair | None, list[Mistake]]:
    """Model, optimizer and times at a point; None if they cannot be built or do not fit."""
    model, wrong_model = builder.build(table.model, positions)
    optimizer, wrong_optimizer = builder.build(table.optimizer, positions)
    mistakes = [*wrong_model, *wrong_optimizer]
    if model is None or optimizer is None:
        return None, mistakes
    times = optimizer.times or scenario.times
    misfits = once(_misfits, model, optimizer, times)
    mistakes += [mistake.moved_to(f"{table.optimizer.path}{mistake.where}") for mistake in misfits]
    if mistakes or times is None:
        return None, mistakes
    return (model, optimizer, times.values), []


def _misfits(model: Model, optimizer: Optimizer, times: Grid | None) -> list[Mistake]:
    """Why an optimizer cannot fit a model at these times; places follow the optimizer's."""
    try:
        pair = pair_objection(model, optimizer)
        grid = times_objection(model, optimizer, times)
    except ComponentFault as fault:
        return [Mistake("", str(fault))]
    objections = (("", pair), (".times", grid))
    return [Mistake(place, *objection) for place, objection in objections if objection]


def _simulated(scenario: Scenario, expansion: Expansion) -> frozenset[int]:
    """The numbers of the points that are simulated; a share of them is chosen by the seed."""
    share, count = expansion.table.simulate, expansion.count
    if not isinstance(share, float):
        return frozenset(range(count) if share is not False else ())
    order = choice_stream(scenario.seed).permutation(count)
    return frozenset(order[: max(1, round(share * count))].tolist())


def _small_enough(table: EstimatorTable, cell: Cell) -> bool:
    """Whether a cell is within `simulate = { n = 5000 }`, if the scenario asks for it."""
    if not isinstance(table.simulate, UpTo):
        return True
    return sample_size(cell.design) <= table.simulate.n
