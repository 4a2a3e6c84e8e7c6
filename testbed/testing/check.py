"""Trying every law on a component, and saying which are broken."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from typing import Any

from testbed.contract.components import Component
from testbed.errors import TestbedError, did_you_mean
from testbed.testing.cases import Case, make_case
from testbed.testing.data_laws import DESIGN_LAWS, EVERY, TARGET_LAWS
from testbed.testing.laws import Law
from testbed.testing.measure_laws import METRIC_LAWS, THEORY_LAWS
from testbed.testing.model_laws import MODEL_LAWS, OPTIMIZER_LAWS

LAWS: dict[str, tuple[Law, ...]] = {
    "design": DESIGN_LAWS,
    "target": TARGET_LAWS,
    "model": MODEL_LAWS,
    "optimizer": OPTIMIZER_LAWS,
    "metric": METRIC_LAWS,
    "theory": THEORY_LAWS,
}


class ConformanceError(AssertionError):
    """A component that breaks laws: which, and what was found."""


def laws_of(case: Case) -> list[Law]:
    """The laws that say anything about the case's component."""
    laws = (*EVERY, *LAWS[case.component.kind])
    return [law for law in laws if law.applies(case)]


def check_component(
    component: Component | type[Component],
    *,
    expected: Mapping[str, str] | None = None,
    **partners: Any,
) -> None:
    """Try every law on a component; ConformanceError with all that are broken.

    `partners` are those of `make_case`: design, target, model, optimizer, times, tolerance.
    `expected` names laws that this component breaks, each with the reason; one that is kept after
    all is an error too, so that the list stays true.
    """
    case = make_case(component, **partners)
    excused = dict(expected or {})
    laws = laws_of(case)
    known = [law.name for law in laws]
    broken = [
        f"{name}: found no such law of {case.component.name}; {did_you_mean(name, known)}"
        for name in excused
        if name not in known
    ]
    for law in laws:
        objection = broken_by(law, case)
        if objection and law.name not in excused:
            broken.append(f"{law.name}: {law.claim}\n    {objection}")
        if objection is None and law.name in excused:
            broken.append(f"{law.name}: kept, although {excused[law.name]!r} was expected to break")
    if broken:
        head = f"{case.component.name} breaks {len(broken)} of {len(laws)} laws"
        raise ConformanceError("\n".join([head, *(f"  {text}" for text in broken)]))


def broken_by(law: Law, case: Case) -> str | None:
    """What is wrong, if the case's component breaks the law; None if it keeps it."""
    try:
        law.check(case)
    except (AssertionError, TestbedError) as error:
        return str(error)
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{frame.filename}:{frame.lineno}, in {frame.name}"
        return f"{type(error).__name__}: {error} (at {where})"
    return None
