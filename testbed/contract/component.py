"""The base of all kinds of components, and the variables that they add to a result."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from attrs import field, frozen

from testbed.contract.examples import Example, default_example
from testbed.contract.parameters import fields_of, parameter_of
from testbed.contract.spaces import Placed

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

Rng = Callable[[str], "np.random.Generator"]
"""`rng(role)` returns a fresh Philox generator keyed by (seed, role, replicate). The role is
inputs, test, noise, target, model, batches, or a stream that the component declares in its facts. A
second call with the same role starts the stream again: call once and keep the generator."""

Statement = Literal["expectation", "lower bound", "upper bound", "limit"]
"""How a prediction relates to the variable that it predicts."""


@frozen
class Variable:
    """A variable of the result: its own dims (besides replicate and time), units and long name.

    `time=False` marks a variable that does not change over training; `predicts` names the metric
    variable that a theory's variable predicts. `states` says what the prediction is: the
    expectation over replicates, a bound on it, or a limit that replicates do not estimate. A run
    reports where replicates and theory differ by more than `accuracy`, a share of the prediction.
    """

    long_name: str
    dims: tuple[str, ...] = ()
    units: str = "1"
    time: bool = True
    predicts: str | None = None
    states: Statement = "expectation"
    accuracy: float = 0.0
    attrs: Mapping[str, object] = field(factory=dict, hash=False)


class Component(Placed, ABC):
    """Base of all kinds of components. A scenario names a component by its `name`: `use = "…"`."""

    kind: ClassVar[str]
    name: ClassVar[str]
    references: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Parameters and partners with which the component can be tried in moments; the first one
        is what `testbed describe` prints. Unless given, made of the required parameters."""
        return (default_example(cls),)

    def files(self) -> tuple[Path, ...]:
        """Files and folders that the numbers depend on, besides those that parameters name."""
        return ()


def name_with_source(component: Component) -> str:
    """A component's name, with the parameters that tell data sets apart.

    Messages about failures name a design in this way:
    `dataset (data = "digits", classes = [3, 5])`.
    """
    values = {
        attribute.name: getattr(component, attribute.name)
        for attribute in fields_of(component)
        if parameter_of(attribute).role in ("source", "file")
    }
    settings = [
        f"{name} = {_as_toml(value)}" for name, value in values.items() if value is not None
    ]
    return f"{component.name} ({', '.join(settings)})" if settings else component.name


def _as_toml(value: object) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    return str(list(value)) if isinstance(value, tuple) else str(value)
