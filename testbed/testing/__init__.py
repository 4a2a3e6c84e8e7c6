"""The conformance kit: test whether a plugin's component keeps the laws that core relies on.

    from testbed.testing import check_component

    def test_my_model():
        check_component(MyModel(width=32))

`check_component` chooses small data and partners that fit, tries every law of the component's kind
and raises ConformanceError with all that are broken. A law that cannot hold is named with its
reason, `expected={"times_stack": "the schedule knows the last time"}`, and must then be broken.
`thorough=True` also trains under changed data: other labels and orders of rows, autograd against
`gradient`, Gram matrices against the training, the clock, theory against simulation.
`laws_of(make_case(component))` lists the laws one by one, for parametrized tests.
"""

from __future__ import annotations

from testbed.testing.cases import Case, make_case
from testbed.testing.check import ConformanceError, check_component, laws_of
from testbed.testing.laws import Law
from testbed.testing.partners import Kernel, NumericFlow, Points, Sequence, SequenceModel, Smooth

__all__ = [
    "Case",
    "ConformanceError",
    "Kernel",
    "Law",
    "NumericFlow",
    "Points",
    "Sequence",
    "SequenceModel",
    "Smooth",
    "check_component",
    "laws_of",
    "make_case",
]
