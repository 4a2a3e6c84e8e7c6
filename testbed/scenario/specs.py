"""Components as a scenario writes them: with sweeps in them, not yet built."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import attrs
from attrs import field, frozen

from testbed.contract.components import Component, Model
from testbed.contract.parameters import parameter_of
from testbed.errors import TestbedError


@frozen
class Sweep:
    """Values of one parameter that become a dimension of the result."""

    dim: str
    parameter: str
    values: tuple[Any, ...]
    labels: tuple[str, ...] | None = None
    tied: bool = False  # `along`: the dimension may be shared with other parameters
    units: str = "1"
    long_name: str = ""
    path: str = ""

    @property
    def coordinate(self) -> tuple[Any, ...]:
        """What stands along the dimension: the labels if there are any, else the values."""
        return self.labels or self.values


@frozen
class Scalar:
    """A parameter with one value, and what labels it."""

    value: bool | int | float | str
    units: str = "1"
    long_name: str = ""


@frozen
class Reference:
    """`"estimator:NAME"`: the model of another estimator."""

    estimator: str


class UnresolvedReferenceError(TestbedError):
    """Raised for a reference to an estimator that has no model of one value."""


class UnbuildableError(TestbedError):
    """A component that objects to its parameters: where, and what it says."""

    def __init__(self, path: str, text: str):
        self.path, self.text = path, text
        super().__init__(f"{path}: {text}")


@frozen
class Spec:
    """A component class with its parameters as written."""

    component: type[Component]
    values: Mapping[str, Any] = field(
        hash=False
    )  # values, Sweeps, Specs, References, dicts of them
    path: str = ""

    def sweeps(self) -> Iterator[Sweep]:
        """Every sweep in this component and in those nested in it, in the order of the fields."""
        yield from _sweeps(self.values)

    def references(self) -> Iterator[Reference]:
        """Every reference to another estimator's model."""
        yield from _references(self.values)

    def build(self, at: Mapping[str, int], resolve: Callable[[str], Model]) -> Component:
        """The component at one point of the sweep, `at` maps dimensions to positions.

        Raises UnbuildableError with the place, whatever the component objects to.
        """
        built = {}
        for name, value in self.values.items():
            try:
                built[name] = _build(value, at, resolve)
            except UnresolvedReferenceError as error:
                raise UnbuildableError(f"{self.path}.{name}", str(error)) from None
        try:
            return self.component(**built)
        except (ValueError, TypeError) as error:
            raise UnbuildableError(*self._blame(str(error))) from None

    def _blame(self, text: str) -> tuple[str, str]:
        """The place of a component's objection: of the parameter that it begins with, if any."""
        name, colon, rest = text.partition(": ")
        fields = attrs.fields(self.component)  # type: ignore[arg-type]
        given = {attribute.name: attribute.alias or attribute.name for attribute in fields}
        if colon and name in given:
            return f"{self.path}.{given[name]}", rest
        return self.path, text

    def fixed(self) -> dict[str, Scalar]:
        """The parameters that are not swept and fit into a scalar coordinate, defaults included."""
        found: dict[str, Scalar] = {}
        for attribute in attrs.fields(self.component):  # type: ignore[arg-type]
            name = attribute.alias or attribute.name
            value = self.values.get(name, attribute.default)
            if isinstance(value, bool | int | float | str):
                info = parameter_of(attribute)
                found[name] = Scalar(value, info.unit, info.help)
        return found


def _build(value: Any, at: Mapping[str, int], resolve: Callable[[str], Model]) -> Any:
    if isinstance(value, Sweep):
        return value.values[at[value.dim]]
    if isinstance(value, Spec):
        return value.build(at, resolve)
    if isinstance(value, Reference):
        return resolve(value.estimator)
    if isinstance(value, dict):
        return {key: _build(item, at, resolve) for key, item in value.items()}
    return value


def _sweeps(values: Any) -> Iterator[Sweep]:
    if isinstance(values, Sweep):
        yield values
    elif isinstance(values, Spec):
        yield from values.sweeps()
    elif isinstance(values, Mapping):
        for value in values.values():
            yield from _sweeps(value)


def _references(values: Any) -> Iterator[Reference]:
    if isinstance(values, Reference):
        yield values
    elif isinstance(values, Spec):
        yield from values.references()
    elif isinstance(values, Mapping):
        for value in values.values():
            yield from _references(value)
