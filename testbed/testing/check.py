"""Try every law on a component, and report those that it breaks."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from testbed.contract.border import line_of
from testbed.contract.components import Component
from testbed.errors import TestbedError, did_you_mean
from testbed.testing.agreement_laws import AGREEMENT_LAWS, SMOOTHER_LAWS
from testbed.testing.call_laws import CALL_LAWS, imports_again
from testbed.testing.cases import Case, make_case
from testbed.testing.data_laws import DESIGN_LAWS, EVERY, TARGET_LAWS
from testbed.testing.fit_laws import FIT_LAWS, FITTING_LAWS
from testbed.testing.global_state import settings_restored
from testbed.testing.laws import KitWarning, Law
from testbed.testing.limits import (
    COMPONENT_SECONDS,
    LAW_SECONDS,
    LAW_SHARE,
    OutOfTime,
    Stopwatch,
    limited,
)
from testbed.testing.measure_laws import METRIC_LAWS, SIMULATION_LAWS, THEORY_LAWS
from testbed.testing.model_laws import MODEL_LAWS, OPTIMIZER_LAWS
from testbed.testing.random_laws import DRAWING_LAWS, SAMPLING_LAWS, TRUTH_LAWS
from testbed.testing.snippets import snippet

LAWS: dict[str, tuple[Law, ...]] = {
    "design": (*DESIGN_LAWS, *DRAWING_LAWS, *SAMPLING_LAWS),
    "target": (*TARGET_LAWS, *DRAWING_LAWS, *TRUTH_LAWS),
    "model": (*MODEL_LAWS, *DRAWING_LAWS),
    "optimizer": (*OPTIMIZER_LAWS, *DRAWING_LAWS),
    "metric": METRIC_LAWS,
    "theory": THEORY_LAWS,
}


THOROUGH: dict[str, tuple[Law, ...]] = {
    "model": (*FIT_LAWS, *AGREEMENT_LAWS),
    "optimizer": (*FITTING_LAWS, *SMOOTHER_LAWS),
    "theory": SIMULATION_LAWS,
}
"""Laws that train again, under changed data or many times."""


class ConformanceError(AssertionError):
    """A component that breaks laws: which, and what was found."""


def laws_of(case: Case, thorough: bool = False) -> list[Law]:
    """The laws that apply to the case's component; `thorough` adds those that train again:
    order of rows, labels, autograd, Gram matrices, the clock, theory against simulation."""
    kind = case.component.kind
    laws = (*EVERY, *CALL_LAWS, *LAWS[kind])
    laws += THOROUGH.get(kind, ()) if thorough else ()
    return [law for law in laws if law.applies(case)]


def check_component(
    component: Component | type[Component],
    *,
    expected: Mapping[str, str] | None = None,
    thorough: bool = False,
    seconds: float | None = COMPONENT_SECONDS,
    **partners: Any,
) -> None:
    """Try every law on a component; ConformanceError with all that are broken.

    `partners` are those of `make_case`: design, target, model, optimizer, times, tolerance.
    `thorough` adds the laws that train again, which may take a minute. `expected` names laws that
    this component breaks, each with the reason; such a law that is kept is an error too, so that
    the list stays correct. After `seconds`, laws that are left count as broken; None waits.
    """
    if imports_again():
        return
    watch = Stopwatch()
    allowed = law_limit(seconds)
    try:
        with limited(allowed):
            case = make_case(component, **partners)
            laws = laws_of(case, thorough)
    except OutOfTime as error:
        raise ConformanceError(no_end(component, error, allowed or 0.0)) from None
    except TestbedError:
        raise
    except Exception as error:
        raise ConformanceError(_raised(component, error)) from error
    excuses = dict(expected or {})
    broken = unknown_laws(case, excuses)
    for law in laws:
        left = None if seconds is None else seconds - watch.seconds()
        text = verdict(law, case, excuses.get(law.name, ""), left, allowed)
        broken += [text] if text else []
    if broken:
        head = f"{case.component.name} breaks {len(broken)} of {len(laws)} laws"
        raise ConformanceError("\n".join([head, *(indented(text) for text in broken)]))


def try_law(name: str, component: Component | type[Component], **partners: Any) -> None:
    """Try one law on a component, as `check_component` does; ConformanceError if it is broken."""
    case = make_case(component, **partners)
    laws = {law.name: law for law in laws_of(case, thorough=True)}
    if name not in laws:
        raise TestbedError(f"found no law {name!r} of this {case.component.kind}; "
                           f"{did_you_mean(name, laws)}")  # fmt: skip
    laws[name].check(case)


def unknown_laws(case: Case, excuses: Mapping[str, str]) -> list[str]:
    """Objections to excuses for laws that the case's component does not have."""
    names = [law.name for law in laws_of(case, thorough=True)]
    return [
        f"{name}: found no such law of {case.component.name}; {did_you_mean(name, names)}"
        for name in excuses
        if name not in names
    ]


def law_limit(seconds: float | None) -> float | None:
    """The longest time of one law of a component that has so many seconds."""
    return None if seconds is None else min(seconds, max(LAW_SECONDS, LAW_SHARE * seconds))


def verdict(
    law: Law,
    case: Case,
    excuse: str = "",
    seconds: float | None = None,
    allowed: float | None = LAW_SECONDS,
) -> str:
    """How a component breaks a law, and the code that shows it; "" if it keeps the law.

    `excuse` is the reason why the law is expected to be broken: it must then really be broken.
    `seconds` is the time left for the component, of which the law takes at most `allowed`.
    """
    objection = broken_by(law, case, seconds, allowed)
    if objection is None:
        return f"{law.name}: kept, although {excuse!r} was expected to break it" if excuse else ""
    if excuse:
        return ""
    try:
        with limited(None if seconds is None else LAW_SECONDS):
            code = snippet(law, case)
    except OutOfTime:
        code = f"# testbed check-plugin {case.component.name}"
    return f"{law.name}: {law.claim}\n{indented(objection)}\n{indented(code, 4)}"


def indented(text: str, depth: int = 2) -> str:
    """The text with every line moved to the right."""
    return "\n".join(f"{' ' * depth}{line}".rstrip() for line in text.splitlines())


def broken_by(
    law: Law, case: Case, seconds: float | None = None, allowed: float | None = LAW_SECONDS
) -> str | None:
    """How the case's component breaks the law; None if it keeps it.

    `seconds` is the time left for the component, of which the law takes at most `allowed`.
    """
    if seconds is not None and seconds <= 0:
        return f"{UNTRIED}: the laws before it took all the time that a component has"
    limit = None if seconds is None else min(seconds, allowed or seconds)
    try:
        with limited(limit), settings_restored(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*torch.jit.script.*", DeprecationWarning)  # torch's
            warnings.filterwarnings(
                "always", category=KitWarning
            )  # never an error of the component
            law.check(case)
    except (AssertionError, TestbedError) as error:
        return str(error)
    except OutOfTime as error:
        return no_end(case.component, error, limit or 0.0)
    except Exception as error:
        return _raised(case.component, error)
    return None


def _raised(component: Component | type[Component], error: Exception) -> str:
    return f"found {type(error).__name__}: {error}{line_of(component, error)}"


NO_END, UNTRIED = "found no end", "not tried"


def no_end(component: Component | type[Component], error: BaseException, seconds: float) -> str:
    """The message about a component that takes too long, with the line at which it was stopped."""
    where = line_of(component, error)
    return (
        f"{NO_END} after {seconds:.0f} s{where}, expected one sooner; if the component is only "
        "slow, make its example smaller, or give more time: testbed check-plugin --seconds"
    )


def timed_out(objection: str) -> bool:
    """Whether a law was not decided, because time had run out."""
    return NO_END in objection or UNTRIED in objection
