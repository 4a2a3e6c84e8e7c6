"""Components for tests of the kit: a right one, a wrong one, an excused one, and one that hangs."""

from __future__ import annotations

import torch
from attrs import frozen

from testbed import Example, Model, hookimpl


@frozen(kw_only=True)
class Straight(Model):
    """f(x) = ⟨w, x⟩."""

    name = "hanging.straight"

    def start(self, drawn, prepared, problem):
        return 0 * problem.train.x[0]

    def predict(self, prepared, params, probe):
        return probe @ params


@frozen(kw_only=True)
class Doubled(Straight):
    """Its gradient is twice that of the loss."""

    name = "hanging.doubled"

    def gradient(self, prepared, params, problem, rows=None):
        data, chosen = problem.train, slice(None) if rows is None else rows
        count = len(data.y) if rows is None else len(rows)
        scale = 2 * len(data.y) / count
        return (
            scale
            * data.x[chosen].mT
            @ (data.weight[chosen] * (data.x[chosen] @ params - data.y[chosen]))
        )


@frozen(kw_only=True)
class Excused(Doubled):
    """The same, and it says so."""

    name = "hanging.excused"

    @classmethod
    def examples(cls):
        return (Example({}, breaks={"gradient_is_that_of_the_loss": "its step is twice as long"}),)


@frozen(kw_only=True)
class Endless(Straight):
    """Its predictions never come."""

    name = "hanging.endless"

    def prepare(self, drawn, problem):
        while True:
            torch.zeros(1)


@frozen(kw_only=True)
class Unbuildable(Straight):
    """Its example has a parameter that it lacks."""

    name = "hanging.unbuildable"

    @classmethod
    def examples(cls):
        return (Example({"width": 3}),)


@hookimpl
def testbed_models():
    return [Straight, Doubled, Excused, Endless, Unbuildable]
