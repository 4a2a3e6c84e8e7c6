"""The metrics and theories of a scenario, built, and the decisions on them at each point."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from attrs import frozen

from testbed.contract.answers import variables_of
from testbed.contract.border import ComponentFault
from testbed.contract.cells import PlannedMetric, PlannedTheory
from testbed.contract.components import Design, Metric, Theory, Variable
from testbed.errors import Mistake
from testbed.planning.building import Builder
from testbed.planning.inspection import expect_coordinates
from testbed.scenario.tables import MetricTable, TheoryTable


@frozen
class Candidate:
    """A metric or theory of the scenario, built."""

    table: MetricTable | TheoryTable
    component: Metric | Theory

    @property
    def place(self) -> str:
        """Where the scenario asks for it."""
        return self.table.spec.path

    def is_asked_of(self, estimator: str) -> bool:
        """Whether the scenario asks it of an estimator."""
        return not self.table.of or estimator in self.table.of


@frozen
class Verdict:
    """The decision on a candidate at a point: planned, or left out for a reason or a fault."""

    candidate: Candidate
    planned: PlannedMetric | PlannedTheory | None = None
    reason: str = ""
    fault: str = ""


Verdicts = Sequence[tuple[str, Verdict]]
"""The decision on every candidate at every point, with the estimator's name."""


def candidates_of(
    tables: Iterable[MetricTable | TheoryTable], builder: Builder
) -> tuple[list[Candidate], list[Mistake]]:
    """The metrics or theories that can be built and declare what a result can hold."""
    candidates, mistakes = [], []
    for table in tables:
        component, wrong = builder.build(table.spec, {})
        mistakes += wrong
        if component is None:
            continue
        try:
            variables_of(component)
        except ComponentFault as fault:
            mistakes.append(Mistake(table.spec.path, str(fault)))
        else:
            candidates.append(Candidate(table, component))
    return candidates, mistakes


def planned_variables(verdict: Verdict) -> Iterator[tuple[str, Variable]]:
    """The variables of what was planned, by their names in the result."""
    planned = verdict.planned
    if isinstance(planned, PlannedMetric):
        declared = planned.metric.declared()
        yield from ((name, declared[variable]) for variable, name in planned.names.items())
    elif isinstance(planned, PlannedTheory):
        declared = planned.theory.variables
        yield from ((name, declared[variable]) for variable, name in planned.names.items())


def coordinate_fault(owner: Metric | Theory, design: Design) -> str:
    """The mistake in the coordinates of an owner's dimensions; empty if they are right."""
    try:
        expect_coordinates(owner, design)
    except ComponentFault as fault:
        return str(fault)
    return ""
