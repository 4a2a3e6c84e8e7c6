"""Try every law on a component, and report those that it breaks."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from typing import Any

from testbed.contract.components import Component
from testbed.errors import TestbedError, did_you_mean
from testbed.testing.cases import Case, make_case
from testbed.testing.data_laws import DESIGN_LAWS, EVERY, TARGET_LAWS
from testbed.testing.fit_laws import FIT_LAWS, FITTING_LAWS
from testbed.testing.laws import Law
from testbed.testing.measure_laws import METRIC_LAWS, SIMULATION_LAWS, THEORY_LAWS
from testbed.testing.model_laws import MODEL_LAWS, OPTIMIZER_LAWS
from testbed.testing.random_laws import (
    DRAWING_LAWS,
    SAMPLING_LAWS,
    TRUTH_LAWS,
    has_the_shape_of_the_contract,
)

LAWS: dict[str, tuple[Law, ...]] = {
    "design": (*DESIGN_LAWS, *DRAWING_LAWS, *SAMPLING_LAWS),
    "target": (*TARGET_LAWS, *DRAWING_LAWS, *TRUTH_LAWS),
    "model": (*MODEL_LAWS, *DRAWING_LAWS),
    "optimizer": (*OPTIMIZER_LAWS, *DRAWING_LAWS),
    "metric": METRIC_LAWS,
    "theory": THEORY_LAWS,
}


THOROUGH: dict[str, tuple[Law, ...]] = {
    "model": FIT_LAWS,
    "optimizer": FITTING_LAWS,
    "theory": SIMULATION_LAWS,
}
"""Laws that train anew, under changed data or many times."""


class ConformanceError(AssertionError):
    """A component that breaks laws: which, and what was found."""


def laws_of(case: Case, thorough: bool = False) -> list[Law]:
    """The laws that apply to the case's component; `thorough` adds those that train anew:
    order of rows, labels, autograd, Gram matrices, the clock, theory against simulation."""
    kind = case.component.kind
    laws = (*EVERY, Law(has_the_shape_of_the_contract), *LAWS[kind])
    laws += THOROUGH.get(kind, ()) if thorough else ()
    return [law for law in laws if law.applies(case)]


def check_component(
    component: Component | type[Component],
    *,
    expected: Mapping[str, str] | None = None,
    thorough: bool = False,
    **partners: Any,
) -> None:
    """Try every law on a component; ConformanceError with all that are broken.

    `partners` are those of `make_case`: design, target, model, optimizer, times, tolerance.
    `thorough` adds the laws that train anew, which may take a minute. `expected` names laws that
    this component breaks, each with the reason; such a law that is kept is an error too, so that
    the list stays correct.
    """
    case = make_case(component, **partners)
    excused = dict(expected or {})
    laws = laws_of(case, thorough)
    names = [law.name for law in laws]
    broken = [
        f"{name}: found no such law of {case.component.name}; {did_you_mean(name, names)}"
        for name in excused
        if name not in names
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
