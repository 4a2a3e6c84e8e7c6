"""A component's example as TOML, alone and within a small scenario that can be run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Protocol

from testbed.contract.components import Component
from testbed.contract.examples import PLAIN, Example, Values
from testbed.contract.grids import Grid
from testbed.scenario.declaration import component_in, fields_of

TIMES = [1.0, 2.0, 4.0]
_DESIGNS = {"sphere": "sphere", "torus": "torus", "hypercube": "hypercube", "data": "dataset"}
_SEQUENCES = {
    "design": "sequence.gaussian",
    "target": "sequence.power",
    "model": "sequence.fixed",
}
_SINGLE = ("design", "target")
_LISTED = ("metric", "theory")


class Catalogue(Protocol):
    """A registry that finds the class of a component by its kind and name."""

    def get(self, kind: str, name: str) -> type[Component] | None: ...


def example_values(component: type[Component], catalogue: Catalogue) -> Values:
    """The first example's parameters, nested components completed by their own examples."""
    return completed(component, component.examples()[0].values, catalogue)


def example_table(component: type[Component], catalogue: Catalogue) -> str:
    """The TOML table that a scenario would hold."""
    values = {"use": component.name, **example_values(component, catalogue)}
    if component.kind == "optimizer":
        values.setdefault("times", TIMES)
    return _in_toml(component.kind, values)


def example_scenario(
    component: type[Component], catalogue: Catalogue, example: Example | None = None
) -> str:
    """A small scenario around a component's first example, or around the one that is given;
    `testbed run` takes it as it stands."""
    example = example or component.examples()[0]
    parts = _partners(component, example, catalogue)
    values = completed(component, example.values, catalogue)
    parts[component.kind] = {"use": component.name, **values}
    times = parts["optimizer"].get("times", TIMES)
    parts["optimizer"] = {**parts["optimizer"], "times": times}
    name = component.name.replace(".", "-")
    head = f'format = 1\nname = "{name}"\nseed = 1\nreplicates = 2'
    estimators = [_estimator("example", parts)]
    if parts.get("companion"):
        companion = {**parts, "model": parts["companion"]}
        estimators.append(_estimator("companion", companion))
    measured = [_in_toml(kind, parts[kind]) for kind in _LISTED if kind in parts]
    tables = [_in_toml(kind, parts[kind]) for kind in _SINGLE]
    return "\n\n".join([head, *tables, *estimators, *measured])


def _estimator(name: str, parts: Mapping[str, Values]) -> str:
    lines = ["[[estimator]]", f'name = "{name}"']
    return "\n".join([*lines, *(_in_toml(kind, parts[kind]) for kind in ("model", "optimizer"))])


def _partners(
    component: type[Component], example: Example, catalogue: Catalogue
) -> dict[str, Values]:
    """A table for each part of a scenario, completed by the examples of what they name."""
    return complete_tables([component], example.partners, catalogue)


def complete_tables(
    components: list[type[Component]], tables: Mapping[str, Values], catalogue: Catalogue
) -> dict[str, Values]:
    """The tables with one for each part of a scenario around some components."""
    named = [_class_of(kind, table, catalogue) for kind, table in tables.items()]
    usual = _usual([*components, *(part for part in named if part)])
    wanted = {**{kind: {"use": name} for kind, name in usual.items()}, **tables}
    return {kind: _table(kind, table, catalogue) for kind, table in wanted.items()}


def _usual(placed: list[type[Component]]) -> dict[str, str]:
    """The partners that fit where components are defined."""
    restricted = [part.defined_on for part in placed if part.defined_on]
    if any(set(kinds) == {"sequence"} for kinds in restricted):
        return {**PLAIN, **_SEQUENCES}
    shared = (
        [kind for kind in restricted[0] if all(kind in kinds for kinds in restricted)]
        if (restricted)
        else []
    )
    if not shared or "euclidean" in shared:
        return dict(PLAIN)
    return {**PLAIN, "design": _DESIGNS[shared[0]]}


def _class_of(kind: str, table: Values, catalogue: Catalogue) -> type[Component] | None:
    sort = "model" if kind == "companion" else kind
    return catalogue.get(sort, str(table["use"]))


def _table(kind: str, table: Values, catalogue: Catalogue) -> Values:
    """A partner's table, completed by the example of the component that it names."""
    component = _class_of(kind, table, catalogue)
    if component is None:
        return table
    settings = {key: value for key, value in table.items() if key != "use"}
    values = {**component.examples()[0].values, **settings}
    return {"use": component.name, **completed(component, values, catalogue)}


def completed(component: type[Component], values: Values, catalogue: Catalogue) -> Values:
    """Values whose nested components have the parameters of their own examples."""
    hints = _nested_kinds(component)
    return {
        key: _table(hints[key], value, catalogue)
        if key in hints and isinstance(value, Mapping) and "use" in value
        else value
        for key, value in values.items()
    }


def _nested_kinds(component: type[Component]) -> dict[str, str]:
    """The kind of component that each parameter holds, for those that hold one."""
    kinds = ((part.key, component_in(part.type)) for part in fields_of(component))
    return {key: kind.kind for key, kind in kinds if kind is not None}


# --- TOML -----------------------------------------------------------------------------------------


def _in_toml(kind: str, table: Values) -> str:
    """A table under its header, or inline within an estimator."""
    if kind in ("model", "optimizer"):
        return f"{kind} = {inline(table)}"
    header = f"[{kind}]" if kind in _SINGLE else f"[[{kind}]]"
    return "\n".join([header, *(f"{key} = {inline(value)}" for key, value in table.items())])


def inline(value: object) -> str:
    """A value on one line."""
    if isinstance(value, Grid):
        value = list(value.values)
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{key} = {inline(item)}" for key, item in value.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(inline, value))}]"
    if isinstance(value, bool | str):
        return json.dumps(value, ensure_ascii=False)
    return repr(value)
