"""Scenarios over tiny components, and a registry that knows only those."""

from __future__ import annotations

from attrs import frozen

from testbed.contract.components import Theory, Variable
from testbed.contract.parameters import parameter
from testbed.errors import DoesNotApply
from testbed.loading import Plugin, Registry, make_registry
from tests.helpers import contract_components as tiny


@frozen(kw_only=True)
class Bounded(tiny.Fixed):
    """A model with every kind of parameter."""

    name = "tiny.bounded"
    gamma: float = parameter(1.5, help="decay", gt=0)
    depth: int = parameter(0, help="layers", ge=0)
    word: str = parameter("a", help="word", choices=("a", "b"))
    sizes: tuple[int, ...] = parameter((1,), help="list of integers")
    must: float = parameter(help="has no default")


@frozen(kw_only=True)
class Half(Theory):
    """Predicts half of everything, but not for kernels."""

    name = "tiny.half"
    variables = {"risk": Variable("half", predicts="risk")}  # noqa: RUF012

    def predict(self, cell, times, problem=None):
        if cell.model.name == "tiny.ntk":
            raise DoesNotApply("it does not cover kernels")
        return {"risk": [0.5 * t for t in times]}


class Module:
    """What a plugin module looks like to pluggy."""

    def __init__(self, **kinds):
        from testbed import hookimpl

        for kind, classes in kinds.items():
            setattr(self, f"testbed_{kind}", hookimpl(lambda classes=classes: classes))


class Entry:
    """An entry point that loads what it is given, or raises it."""

    def __init__(self, module):
        self.module = module

    def load(self):
        if isinstance(self.module, Exception):
            raise self.module
        return self.module


MODULE = Module(
    designs=[tiny.Sequence, tiny.Sphere],
    targets=[tiny.Power, tiny.Linear],
    models=[
        tiny.Fixed, tiny.FixedBatch, tiny.FixedLoop, tiny.Diagonal, tiny.Orthogonal, tiny.Kernel,
        tiny.Net, tiny.Linearised, Bounded,
    ],
    optimizers=[tiny.Exact, tiny.Numeric, tiny.Filter, tiny.Descent],
    metrics=[tiny.Risk, tiny.Modes],
    theories=[Half],
)  # fmt: skip


def tiny_registry() -> Registry:
    """A registry of the tiny components alone."""
    return make_registry([(Plugin("tiny", "tiny-plugin", "1.0"), Entry(MODULE))])


SCENARIO = """
format = 1
name = "tiny"
seed = 3
replicates = 4

[design]
use = "tiny.sequence"
n = { values = [50, 100] }

[target]
use = "tiny.power"

[[estimator]]
name = "fixed"
model = { use = "tiny.fixed", gamma = { values = [1.0, 2.0] } }
optimizer = { use = "tiny.exact", times = [0.0, 1.0, 10.0] }

[[metric]]
use = "tiny.risk"
"""
