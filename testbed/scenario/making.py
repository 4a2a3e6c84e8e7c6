"""Components made in Python by the names that scenarios use."""

from __future__ import annotations

from typing import Any, NoReturn

from testbed.contract.components import Component
from testbed.contract.grids import Grid
from testbed.errors import ParameterError, ScenarioError
from testbed.loading import load_registry
from testbed.scenario.component import UnbuildableError
from testbed.scenario.reader import ComponentSource, Source, read_component


def make(name: str, /, **parameters: object) -> Any:
    """The component of this name with these parameters, for tests and notebooks.

    Names and values are those of a scenario file; a nested component is a table with `use`, or a
    component that was made before. Raises ScenarioError with everything that is wrong.

    >>> import testbed
    >>> testbed.make("spectral-filter", filter="ridge").filter
    'ridge'
    """
    component = load_registry().find(name).component
    return made(component, parameters, load_registry())


def made(
    component: type[Component], parameters: dict[str, object], registry: ComponentSource
) -> Any:
    """A component class with parameters as a scenario would hold them."""
    values = {"use": component.name, **{key: _plain(item) for key, item in parameters.items()}}
    source = Source(registry)
    spec, mistakes = read_component(component.kind, values, component.name, source, sweeps=False)
    if mistakes:
        raise ScenarioError(mistakes)
    try:
        return spec.build({}, _refer)
    except UnbuildableError as error:
        raise ScenarioError([error.mistake]) from None


def _plain(value: object) -> object:
    """A value as TOML would hold it: grids, tuples and arrays as lists."""
    if isinstance(value, Grid):
        return list(value.values)
    listed = getattr(value, "tolist", None)
    if listed is not None:
        return listed()
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value


def _refer(estimator: str) -> NoReturn:
    """Refuse a reference to an estimator: there is no scenario around the component."""
    raise ParameterError(
        f"found a reference to the estimator {estimator!r}", "a component with its parameters"
    )
