"""A component as a scenario writes it: its class and its parameters, not yet built."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from attrs import field, frozen

from testbed.contract.components import Component, Model
from testbed.errors import Mistake, ParameterError, TestbedError
from testbed.scenario.declaration import fields_of
from testbed.scenario.sweep import Sweep

Kind = TypeVar("Kind")


@frozen
class Scalar:
    """A parameter with one value, its unit and its description."""

    value: bool | int | float | str
    units: str = "1"
    long_name: str = ""


@frozen
class Reference:
    """`"estimator:NAME"`: the model of another estimator."""

    estimator: str


class UnbuildableError(TestbedError):
    """Raised for a component that cannot be built at a point of the sweep; holds the mistake."""

    def __init__(self, mistake: Mistake):
        self.mistake = mistake
        super().__init__(str(mistake))


@frozen
class Spec:
    """A component class with its parameters as written: values, Sweeps, Specs, References."""

    component: type[Component]
    values: Mapping[str, Any] = field(hash=False)
    path: str = field(default="", eq=False)

    @classmethod
    def of(cls, component: Component, path: str = "") -> Spec:
        """A component that was made in Python."""
        values = {}
        for part in fields_of(type(component)):
            value = getattr(component, part.attribute)
            if value != part.default_in(component):
                nested = isinstance(value, Component)
                values[part.key] = cls.of(value, f"{path}.{part.key}") if nested else value
        return cls(type(component), values, path)

    def sweeps(self) -> Iterator[Sweep]:
        """Every sweep in this component and in those nested in it, in the order of the fields."""
        return _inside(self.values, Sweep)

    def references(self) -> Iterator[Reference]:
        """Every reference to another estimator's model."""
        return _inside(self.values, Reference)

    def build(self, point: Mapping[str, int], resolve: Callable[[str], Model]) -> Component:
        """The component at a point of the sweep, which maps dimensions to positions.

        Raises UnbuildableError with the place of what the component objects to.
        """
        values = {}
        for name, value in self.values.items():
            try:
                values[name] = _build(value, point, resolve)
            except ParameterError as error:  # a reference that leads nowhere
                raise UnbuildableError(error.mistake.moved_to(f"{self.path}.{name}")) from None
        try:
            return self.component(**values)
        except ParameterError as error:
            raise UnbuildableError(self._placed(error.mistake)) from None
        except (ValueError, TypeError) as error:
            raise UnbuildableError(Mistake(self.path, str(error))) from None

    def _placed(self, mistake: Mistake) -> Mistake:
        """A component's objection at the place of the parameter that it names, if it names one."""
        for part in fields_of(self.component):
            if mistake.where in (part.key, part.attribute):
                return mistake.moved_to(f"{self.path}.{part.key}")
        return mistake.moved_to(self.path)

    def fixed(self) -> dict[str, Scalar]:
        """The parameters that are not swept and fit into a scalar coordinate, defaults included."""
        scalars: dict[str, Scalar] = {}
        for part in fields_of(self.component):
            value = self.values.get(part.key, part.default)
            if isinstance(value, bool | int | float | str):
                scalars[part.key] = Scalar(value, part.info.unit, part.info.help)
        return scalars


def _build(value: object, point: Mapping[str, int], resolve: Callable[[str], Model]) -> Any:
    if isinstance(value, Sweep):
        return value.values[point[value.dim]]
    if isinstance(value, Spec):
        return value.build(point, resolve)
    if isinstance(value, Reference):
        return resolve(value.estimator)
    if isinstance(value, dict):
        return {key: _build(item, point, resolve) for key, item in value.items()}
    return value


def _inside(values: object, kind: type[Kind]) -> Iterator[Kind]:
    """All objects of a type in the values of a component, in order, including nested components."""
    if isinstance(values, kind):
        yield values
    elif isinstance(values, Spec):
        yield from _inside(values.values, kind)
    elif isinstance(values, Mapping):
        for value in values.values():
            yield from _inside(value, kind)
