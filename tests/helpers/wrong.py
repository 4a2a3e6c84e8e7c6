"""Wrong components for tests of the conformance kit, made from right ones."""

from __future__ import annotations

from attrs import frozen

from testbed import Model
from testbed.contract.losses import batch_of
from testbed.testing import laws_of, make_case
from testbed.testing.check import broken_by


@frozen(kw_only=True)
class Linear(Model):
    """A right model, from which wrong ones are made."""

    name = "wrong.linear"

    def start(self, drawn, prepared, problem):
        return 0 * problem.train.x[0]

    def predict(self, prepared, params, probe):
        return probe @ params


def wrong(base, **members):
    """A component with some members replaced."""
    body = {"__doc__": "Wrong.", "name": "wrong.component", "__module__": __name__, **members}
    bases = base if isinstance(base, tuple) else (base,)
    return frozen(kw_only=True)(type("Wrong", bases, body))()


def slope(prepared, params, problem, rows, factor=1.0, of="y", weigh=None):
    data = batch_of(problem.train, rows)
    residual = data.x @ params - getattr(data, of)
    return factor * data.x.mT @ (data.weight * residual * (1.0 if weigh is None else weigh(rows)))


def objection(name, component, **partners):
    """What the law of this name finds in a component; None if the component keeps it."""
    case = make_case(component, **partners)
    (law,) = [law for law in laws_of(case, thorough=True) if law.name == name]
    return broken_by(law, case)


def broken_laws(component, **partners):
    """The names of all laws that a component breaks."""
    case = make_case(component, **partners)
    return [law.name for law in laws_of(case, thorough=True) if broken_by(law, case)]
