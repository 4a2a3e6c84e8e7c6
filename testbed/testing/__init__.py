"""The conformance kit: whether a plugin's components keep the laws that core relies on.

    from testbed.testing import conformance

    test_laws = conformance("testbed-mine")

is a whole test file: pytest tries every law on every component of the distribution, each with the
partners of its `examples()`. `testbed check-plugin testbed-mine` does the same in a terminal, and
prints the time of each law.

    from testbed.testing import check_component

    def test_my_model():
        check_component(MyModel(width=32))

`check_component` chooses small data and partners that fit, tries every law of the component's kind
and raises ConformanceError with all that are broken. A law that cannot hold is named with its
reason, `expected={"times_stack": "the schedule knows the last time"}`, and must then be broken.
`thorough=True` also trains under changed data: other labels and orders of rows, autograd against
`gradient`, Gram matrices against the training, the clock, theory against simulation.
`laws_of(make_case(component))` lists the laws one by one, for parametrized tests. `testbed
check-plugin` uses `testing.distributions`, which tries every component of a distribution,
`testing.check`, which says whether time ran out, and `testing.limits`, which ends what is stuck.
"""

from __future__ import annotations

from testbed.testing.cases import Case, make_case
from testbed.testing.check import ConformanceError, check_component, laws_of, try_law
from testbed.testing.distributions import Trial, conformance, trials
from testbed.testing.laws import Law
from testbed.testing.partners import (
    Kernel,
    NumericFlow,
    PlainDescent,
    Plane,
    Points,
    Sequence,
    SequenceModel,
    Smooth,
)

__all__ = [
    "Case",
    "ConformanceError",
    "Kernel",
    "Law",
    "NumericFlow",
    "PlainDescent",
    "Plane",
    "Points",
    "Sequence",
    "SequenceModel",
    "Smooth",
    "Trial",
    "check_component",
    "conformance",
    "laws_of",
    "make_case",
    "trials",
    "try_law",
]
