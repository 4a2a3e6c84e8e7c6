"""Write a declared table as plain data, which reads back as an equal table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from testbed.contract.components import Component
from testbed.contract.grids import Grid
from testbed.scenario.component import Reference, Spec
from testbed.scenario.declaration import fields_of, is_table
from testbed.scenario.sweep import Sweep


def written(value: object) -> Any:
    """A value of a scenario as TOML has it: tables, components, sweeps, grids and plain values.

    Keys at their default are left out; grids and sweeps are written out as values.
    """
    if isinstance(value, Spec):
        return {"use": value.component.name, **_items(value.values)}
    if isinstance(value, Component):
        return written(Spec.of(value))
    if isinstance(value, Sweep):
        return _sweep(value)
    if isinstance(value, Reference):
        return f"estimator:{value.estimator}"
    if isinstance(value, Grid):
        return list(value.values)
    if attrs.has(type(value)) and is_table(type(value)):
        return _table(value)
    if isinstance(value, Mapping):
        return _items(value)
    if isinstance(value, tuple | list):
        return [written(item) for item in value]
    return value


def _items(values: Mapping[str, object]) -> dict[str, Any]:
    return {key: written(item) for key, item in values.items() if item is not None}


def _table(table: Any) -> dict[str, Any]:
    """The keys of a table that are required or differ from their default."""
    document: dict[str, Any] = {table.tag: table.word} if getattr(table, "tag", "") else {}
    for part in fields_of(type(table)):
        value = getattr(table, part.attribute)
        if part.component and part.component.inline:
            document = {**written(value), **document}
        elif part.required or not _same(value, part.default_in(table)):
            document[part.key] = written(value)
    return document


def _same(value: object, default: object) -> bool:
    return type(value) is type(default) and bool(value == default)


def _sweep(sweep: Sweep) -> dict[str, Any]:
    table: dict[str, object] = {"values": written(sweep.values)}
    if sweep.labels is not None:
        table["labels"] = list(sweep.labels)
    if sweep.tied:
        table["along"] = sweep.dim
    elif sweep.dim != sweep.parameter:
        table["dim"] = sweep.dim
    return table
