"""Every law on every component of a distribution, with the partners of the components' examples."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from attrs import evolve, field, frozen

from testbed.contract.components import Component
from testbed.contract.examples import Example
from testbed.errors import PluginError, TestbedError, did_you_mean
from testbed.loading import Offer, Registry, load_registry
from testbed.planning.files import read_scenario
from testbed.planning.plan import make_plan
from testbed.scenario.example import completed, example_scenario
from testbed.scenario.making import made
from testbed.testing.cases import Case, make_case
from testbed.testing.check import (
    ConformanceError,
    law_limit,
    laws_of,
    no_end,
    unknown_laws,
    verdict,
)
from testbed.testing.laws import Law
from testbed.testing.limits import COMPONENT_SECONDS, LAW_SECONDS, OutOfTime, Stopwatch, limited


@frozen
class Trial:
    """One law to be tried on one example of a component.

    `excuse` is why the example expects the law to be broken. `failure` is what is wrong with the
    example itself: there is then no case, and nothing else to try.
    """

    label: str
    law: Law
    case: Case | None = field(default=None, repr=False)
    excuse: str = ""
    failure: str = ""

    def __str__(self) -> str:
        return f"{self.label}-{self.law.name}"

    def objection(
        self, seconds: float | None = COMPONENT_SECONDS, allowed: float | None = LAW_SECONDS
    ) -> str:
        """How the law is broken, and the code that shows it; "" if the law is kept."""
        if self.case is None:
            return self.failure
        return verdict(self.law, self.case, self.excuse, seconds, allowed)

    def check(self) -> None:
        """ConformanceError if the component breaks the law."""
        objection = self.objection()
        if objection:
            raise ConformanceError(f"{self.label}: {objection}")


def trials(name: str, registry: Registry | None = None) -> list[Trial]:
    """The trials of every component of a distribution, plugin or component called `name`."""
    registry = registry or load_registry()
    return [
        trial
        for offer in offers_of(name, registry)
        for trial in component_trials(offer.component, registry)
    ]


def conformance(name: str) -> Any:
    """A test for pytest, with a case for each law of each component of a distribution.

        test_laws = conformance("testbed-mine")

    Laws that a component breaks for a good reason are named in its example:
    `Example(…, breaks={"times_stack": "the schedule knows the last time"})`.
    """
    import pytest

    @pytest.mark.parametrize("trial", trials(name), ids=str)
    def test_laws(trial: Trial) -> None:
        trial.check()

    return test_laws


def offers_of(name: str, registry: Registry) -> list[Offer]:
    """The components of a distribution, plugin or component; PluginError if there are none."""
    if name in registry.offers:
        return [registry.offers[name]]
    rows = [row for row in registry.plugins if name in (row.name, row.distribution)]
    broken = [row for row in rows if row.error]
    if broken:
        raise PluginError(f"{broken[0]} could not be loaded: {broken[0].error}")
    if not rows:
        installed = {word for row in registry.plugins for word in (row.name, row.distribution)}
        raise PluginError(
            f"found no distribution, plugin or component {name!r}, expected an installed one; "
            f"{did_you_mean(name, installed)}; install yours with: pip install -e FOLDER"
        )
    names = [component for row in rows for component in row.components]
    if not names:
        raise PluginError(f"{rows[0]} offers no component; return some from a hook")
    return [registry.offers[component] for component in names]


def component_trials(component: type[Component], registry: Registry) -> Iterator[Trial]:
    """The trials of one component: each law on each of its examples."""
    try:
        examples = component.examples()
    except Exception as error:
        yield _without_example(component.name, f"examples() raised {type(error).__name__}: {error}")
        return
    for position, example in enumerate(examples):
        label = component.name if len(examples) == 1 else f"{component.name}[{position}]"
        yield from _example_trials(label, component, example, registry)


def _without_example(label: str, failure: str) -> Trial:
    """The one trial of a component that cannot be made from its example."""

    def has_an_example(case: Case) -> None:
        """The component can be made from `examples()`, and fits the partners named there."""

    law = Law(has_an_example)
    return Trial(label, law, failure=f"has_an_example: {law.claim}\n  {failure}")


def _example_trials(
    label: str, component: type[Component], example: Example, registry: Registry
) -> Iterator[Trial]:
    try:
        with limited(LAW_SECONDS):
            case = example_case(component, example, registry)
            laws = laws_of(case, thorough=True)
    except OutOfTime as error:
        text = no_end(component, error, LAW_SECONDS)
    except Exception as error:
        text = str(error) or f"found {type(error).__name__}, expected a component"
    else:
        text = ""
    if text:
        yield _without_example(label, text)
        return
    for text in unknown_laws(case, example.breaks):
        yield evolve(_without_example(label, ""), failure=text)
    for law in laws:
        yield Trial(label, law, case, example.breaks.get(law.name, ""))


# --- cases of examples ----------------------------------------------------------------------------


def example_case(component: type[Component], example: Example, registry: Registry) -> Case:
    """The case that an example describes.

    An example that names partners, or whose component is defined on special spaces only, is tried
    in the scenario that `testbed describe` prints; other components are tried with the kit's own
    partners, which are smaller.
    """
    places = component.defined_on
    if not example.partners and (not places or "euclidean" in places):
        try:
            values = dict(completed(component, example.values, registry))
            return make_case(made(component, values, registry))
        except TestbedError:
            pass  # the scenario knows better partners, or says what is wrong
    return _planned_case(component, example, registry)


def _planned_case(component: type[Component], example: Example, registry: Registry) -> Case:
    """The first cell of the example's scenario as a case."""
    text = example_scenario(component, registry, example)
    plan = make_plan(read_scenario(text, f"example of {component.name}", (), registry))
    cell = next(cell for cell in plan.cells if cell.estimator == "example")
    parts: dict[str, Any] = {
        "design": cell.design, "target": cell.target, "model": cell.model,
        "optimizer": cell.optimizer,
    }  # fmt: skip
    measured = [planned.metric for planned in cell.metrics]
    predicted = [planned.theory for planned in cell.theories]
    listed = [part for part in (*measured, *predicted) if part.name == component.name]
    tried = parts.get(component.kind) or next(iter(listed), None)
    if tried is None:
        reasons = "; ".join(omission.reason for omission in plan.omissions)
        raise TestbedError(f"found {component.name} left out of its example's scenario: {reasons}")
    return Case(tried, **parts, times=tuple(cell.times))


# --- trying them all ------------------------------------------------------------------------------


@frozen
class Outcome:
    """How a trial ended, and how long it took."""

    trial: Trial
    objection: str
    seconds: float


def outcomes(
    chosen: list[Trial], component_seconds: float = COMPONENT_SECONDS
) -> Iterator[Outcome]:
    """Try laws one by one; those of one example share a bounded time."""
    label, watch = "", Stopwatch()
    for trial in chosen:
        if trial.label != label:
            label, watch = trial.label, Stopwatch()
        started = time.monotonic()
        left = component_seconds - watch.seconds()
        objection = trial.objection(left, law_limit(component_seconds))
        yield Outcome(trial, objection, time.monotonic() - started)
