"""From a scenario to cells, in stages; each returns what it makes, and the mistakes that it finds.

    expand   sweeps → dimensions, and how many cells they make        expansion.py
    build    points → components that fit one another                 points.py
    select   metrics and theories of every point                      selection.py
    divide   blocks of replicates, with their keys                    blocks.py
    judge    sizes of the result, figures                             sizes.py, shapes.py

Everything that can be wrong with a well-typed scenario is found here, before anything is computed.
A scenario passes through each stage once.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from attrs import evolve, field, frozen

from testbed.contract.cells import Cell
from testbed.errors import Mistake, ScenarioError
from testbed.planning.blocks import divide, shares_preparation
from testbed.planning.building import Builder
from testbed.planning.devices import device_mistakes, on_device
from testbed.planning.dimensions import Dimension
from testbed.planning.expansion import Expansions, expand
from testbed.planning.forecasts import forecasts
from testbed.planning.labels import coordinate_warnings, fixed_parameters
from testbed.planning.omissions import Omission
from testbed.planning.once import Once
from testbed.planning.points import build, pair_mistakes
from testbed.planning.selection import Selection, select
from testbed.planning.shapes import unsuitable_figures
from testbed.planning.sizes import oversized, variable_sizes
from testbed.planning.source import refresh
from testbed.scenario.component import Scalar
from testbed.scenario.scenario import Scenario

__all__ = ["Omission", "Plan", "PlannedEstimator", "further_mistakes", "make_plan"]


@frozen
class PlannedEstimator:
    """One group of the result: its dimensions, times and scalar coordinates."""

    name: str
    dims: tuple[Dimension, ...]
    times: tuple[float, ...]
    fixed: Mapping[str, Scalar] = field(factory=dict, hash=False)


@frozen
class Plan:
    """All cells that a run computes, and the shape of its result."""

    scenario: Scenario
    cells: tuple[Cell, ...]
    estimators: tuple[PlannedEstimator, ...]
    omissions: tuple[Omission, ...] = ()
    warnings: tuple[str, ...] = ()
    sizes: Mapping[str, int] = field(factory=dict, hash=False)
    """Bytes of each variable of the result before compression, by `estimator/variable`."""
    states: int | None = None
    """Bytes of the states that a run keeps; None if it keeps none."""

    @property
    def replicates(self) -> int:
        """The number of replicates of the result: that of the point with most replicates."""
        if isinstance(self.scenario.replicates, int):
            return self.scenario.replicates
        return max((cell.replicates[-1] + 1 for cell in self.cells if cell.replicates), default=1)

    @property
    def bytes(self) -> int:
        """Bytes of the result before compression."""
        return sum(self.sizes.values())

    @property
    def preparations(self) -> tuple[int, int]:
        """The number of preparations, and the number of cells that share them."""
        sharing = [cell for cell in self.cells if shares_preparation(cell)]
        return len({cell.group for cell in sharing}), len(sharing)


def _on_device(scenario: Scenario) -> Scenario:
    """The scenario on the device that it runs on; results store its text as it was written."""
    compute = on_device(scenario.compute)
    if compute == scenario.compute:
        return scenario
    return evolve(scenario, compute=compute).with_text(scenario.text)


def make_plan(
    scenario: Scenario, objections: Callable[[Plan], Iterable[Mistake]] = lambda plan: ()
) -> Plan:
    """Plan a scenario; ScenarioError with every mistake found.

    `objections` adds mistakes that can be seen once all cells are known, such as those of claims.
    """
    refresh()
    with _without_collecting():
        return _make_plan(scenario, objections)


def _make_plan(scenario: Scenario, objections: Callable[[Plan], Iterable[Mistake]]) -> Plan:
    _refuse(scenario, device_mistakes(scenario.compute))
    scenario = _on_device(scenario)
    builder, once = Builder(scenario), Once()
    expansions, sweeping = expand(scenario)
    points, building = build(scenario, expansions, builder, once)
    selection, selecting = select(scenario, expansions, points, builder, once)
    unused = selection.unused if not (sweeping or building or selecting) else ()
    cells, dividing = divide(scenario, expansions, selection.points)
    _refuse(scenario, [*sweeping, *building, *selecting, *dividing, *unused])
    estimators = _estimators(scenario, expansions, selection)
    counts = {name: expansion.count for name, expansion in expansions.items()}
    plan = Plan(
        scenario,
        cells,
        estimators,
        selection.omissions,
        (*coordinate_warnings(estimators), *selection.faults, *forecasts(cells)),
        variable_sizes(cells, counts, scenario.most_replicates, once),
    )
    late = (*oversized(scenario, plan.sizes), *unsuitable_figures(plan), *objections(plan))
    _refuse(scenario, late)
    return plan


@contextmanager
def _without_collecting() -> Iterator[None]:
    """Let Python's collector of reference cycles rest. Planning makes many objects and no garbage,
    and the collector would look at all of them again and again: a third of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def further_mistakes(scenario: Scenario) -> list[Mistake]:
    """Further mistakes in those parts of a scenario that could be read.

    Metrics are left out, since what they ask for may be in the parts that could not be read.
    """
    expansions, sweeping = expand(scenario)
    pairing = pair_mistakes(scenario, expansions, Builder(scenario), Once())
    return [mistake.in_file(scenario.path) for mistake in dict.fromkeys([*sweeping, *pairing])]


def _refuse(scenario: Scenario, mistakes: Sequence[Mistake]) -> None:
    if mistakes:
        distinct = dict.fromkeys(mistakes)
        raise ScenarioError(mistake.in_file(scenario.path) for mistake in distinct)


def _estimators(
    scenario: Scenario, expansions: Expansions, selection: Selection
) -> tuple[PlannedEstimator, ...]:
    """The groups of the result."""
    planned = []
    for name, expansion in expansions.items():
        points = selection.points[name]
        times = points[0].cell.times if points else ()
        fixed = fixed_parameters(scenario, expansion.table, expansion.dims, selection.names[name])
        planned.append(PlannedEstimator(name, expansion.dims, times, fixed))
    return tuple(planned)
