"""Third stage: the metrics and theories of each point, their names, and what is left out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from attrs import field, frozen

from testbed.contract.cells import PlannedMetric, PlannedTheory
from testbed.errors import Mistake
from testbed.planning.building import Builder, Peers
from testbed.planning.candidates import Verdict, candidates_of, planned_variables
from testbed.planning.clashes import clashes_of
from testbed.planning.expansion import Expansions
from testbed.planning.inspection import auxiliary_names
from testbed.planning.metrics import metric_verdict
from testbed.planning.omissions import Omission, faults_of, omissions_of, refused, unused
from testbed.planning.once import Once
from testbed.planning.points import Point, Points, cell_with
from testbed.planning.theories import theory_verdict
from testbed.scenario.scenario import Scenario


@frozen
class Selection:
    """The points with their metrics and theories, and what is left out."""

    points: Points = field(hash=False)
    omissions: tuple[Omission, ...] = ()
    faults: tuple[str, ...] = ()
    names: Mapping[str, frozenset[str]] = field(factory=dict, hash=False)
    """The names of each estimator's variables and of their own dimensions."""
    unused: tuple[Mistake, ...] = ()
    """The mistakes of candidates that fit nowhere; they count unless others may be the cause."""


def select(
    scenario: Scenario, expansions: Expansions, points: Points, builder: Builder, once: Once
) -> tuple[Selection, list[Mistake]]:
    """The metrics and theories of every point."""
    metrics, wrong_metrics = candidates_of(scenario.metrics, builder)
    theories, wrong_theories = candidates_of(scenario.theories, builder)
    mistakes = dict.fromkeys([*wrong_metrics, *wrong_theories])
    chosen: dict[str, list[Point]] = {}
    names: dict[str, set[str]] = {}
    verdicts: list[tuple[str, Verdict]] = []
    visited: set[tuple[str, int]] = set()
    for name, expansion in expansions.items():
        chosen[name], names[name] = [], set()
        for point in points[name]:
            peers = Peers(builder, expansions, name, point.positions)
            made = [
                *(
                    metric_verdict(c, point.cell, peers, once)
                    for c in metrics
                    if c.is_asked_of(name)
                ),
                *(theory_verdict(c, point.cell, once) for c in theories if c.is_asked_of(name)),
            ]
            same = once.same(made)
            cell = point.cell
            auxiliary = once(auxiliary_names, cell.design, cell.optimizer, cell.times)
            clashes = once(clashes_of, same, cell.optimizer, expansion, auxiliary)
            mistakes.update(dict.fromkeys(clashes))
            if (name, id(same)) not in visited:
                visited.add((name, id(same)))
                names[name].update(_names(same))
                verdicts += ((name, verdict) for verdict in same)
            metrics_here, theories_here = once(_planned, same)
            cell = cell_with(cell, metrics=metrics_here, theories=theories_here)
            chosen[name].append(Point(point.positions, cell, point.simulated))
    mistakes.update(dict.fromkeys(refused(verdicts)))
    selection = Selection(
        chosen,
        omissions_of(verdicts),
        faults_of(verdicts),
        {name: frozenset(taken) for name, taken in names.items()},
        tuple(unused([*metrics, *theories], verdicts)),
    )
    return selection, list(mistakes)


def _planned(
    verdicts: Iterable[Verdict],
) -> tuple[tuple[PlannedMetric, ...], tuple[PlannedTheory, ...]]:
    """The metrics and theories that were planned."""
    planned = [verdict.planned for verdict in verdicts]
    metrics = tuple(item for item in planned if isinstance(item, PlannedMetric))
    theories = tuple(item for item in planned if isinstance(item, PlannedTheory))
    return metrics, theories


def _names(verdicts: Iterable[Verdict]) -> Iterator[str]:
    for verdict in verdicts:
        for name, variable in planned_variables(verdict):
            yield name
            yield from variable.dims
