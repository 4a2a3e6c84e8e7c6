"""Whether a theory applies to an estimator, and the names of its variables."""

from __future__ import annotations

from collections.abc import Mapping

from testbed.contract.border import ComponentFault
from testbed.contract.cells import Cell, PlannedTheory
from testbed.contract.components import Theory, Variable
from testbed.contract.names import variable_name
from testbed.planning.candidates import Candidate, Verdict, coordinate_fault
from testbed.planning.fitting import theory_objection
from testbed.planning.once import Once


def theory_verdict(candidate: Candidate, cell: Cell, once: Once) -> Verdict:
    """The theory. One that does not apply is kept, since the result stores the reason."""
    theory = candidate.component
    assert isinstance(theory, Theory)
    try:
        reason = theory_objection(theory, cell) or ""
    except ComponentFault as fault:
        return Verdict(candidate, fault=str(fault))
    fault_text = once(coordinate_fault, theory, cell.design)
    if fault_text:
        return Verdict(candidate, fault=fault_text)
    return once(_predicted, candidate, reason)


def _predicted(candidate: Candidate, reason: str) -> Verdict:
    """The verdict on a theory, which many points share."""
    assert isinstance(candidate.component, Theory)
    return Verdict(candidate, _planned_theory(candidate.component), reason)


def _planned_theory(theory: Theory) -> PlannedTheory:
    return PlannedTheory(theory, theory_names(theory.name, theory.variables))


def theory_names(theory: str, variables: Mapping[str, Variable]) -> dict[str, str]:
    """`excess_risk__equivalent`: what is predicted, and the last part of the theory's name."""
    short = variable_name(theory)
    return {name: f"{variable.predicts or name}__{short}" for name, variable in variables.items()}
