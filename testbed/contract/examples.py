"""Examples of components: parameters as a scenario writes them, and the partners they need."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from types import UnionType

import attrs
from attrs import field, frozen

from testbed.contract.grids import Grid
from testbed.contract.parameters import Parameter, fields_of, parameter_of

Values = Mapping[str, object]
"""Parameters by name, as TOML holds them; a nested component is a table with `use`."""


@frozen
class Example:
    """Values of a component's parameters, small enough to run in moments, and its partners.

    `partners` maps "design", "target", "model", "optimizer" or "metric" to a table with `use`; what
    such a table leaves out is taken from the example of the component that it names. Partners that
    are not listed are chosen by where the component is defined. `breaks` names the laws of the
    conformance kit that the component breaks for a good reason, each with that reason.
    """

    values: Values = field(factory=dict, hash=False)
    partners: Mapping[str, Values] = field(factory=dict, hash=False)
    breaks: Mapping[str, str] = field(factory=dict, hash=False)


def default_example(component: type) -> Example:
    """A component's required parameters, each with a value that its declaration allows."""
    hints = typing.get_type_hints(component)
    required = (part for part in fields_of(component) if part.default is attrs.NOTHING)
    return Example({
        part.alias or part.name: _sample(parameter_of(part), hints.get(part.name, float))
        for part in required
    })  # fmt: skip


def _sample(info: Parameter, hint: object) -> object:
    """A value that a parameter allows."""
    if isinstance(hint, UnionType) or typing.get_origin(hint) is typing.Union:
        hint = next(option for option in typing.get_args(hint) if option is not type(None))
    origin = typing.get_origin(hint) or hint
    if origin is tuple:
        return [_sample(info, typing.get_args(hint)[0])]
    if info.choices:
        return info.choices[0]
    if hint is bool:
        return False
    if hint is int or hint is float:
        return int(_number(info)) if hint is int else float(_number(info))
    if hint is Grid:
        return [1.0]
    kind = getattr(hint, "kind", None)
    if kind is not None:
        return {"use": PLAIN.get(str(kind), "")}
    return {} if origin in (dict, Mapping) else "example"


PLAIN = {
    "design": "gaussian",
    "target": "linear",
    "model": "ntk.rbf",
    "optimizer": "gradient-flow",
    "metric": "excess-risk",
}
"""What stands for a component where nothing says which one is needed."""


def _number(info: Parameter) -> float:
    """A number within bounds: a small step, a dozen observations, else 1 where it is allowed."""
    usual = {"step_size": 0.1, "sample_size": 12.0}.get(info.role or "", 1.0)
    least = info.ge if info.ge is not None else info.gt
    value = usual
    if least is not None and (value < least or (value == least and info.gt is not None)):
        value = least + (info.gt is not None)
    top = info.le if info.le is not None else info.lt
    return value if top is None or value < top else ((least or 0.0) + top) / 2
