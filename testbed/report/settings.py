"""A scenario's settings as rows that can be read: sweeps in words, components by their names."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from typing import NamedTuple

SINGLE, SEVERAL = (
    ("design", "target", "compute"),
    ("design", "target", "estimator", "metric", "theory"),
)
HEAD = ("seed", "replicates", "times")
PLACES = {"estimator": "name", "metric": "use", "theory": "use", "design": "name", "target": "name"}


class Row(NamedTuple):
    """A line of the table of settings."""

    part: str  # such as "estimator adaptive"
    component: str  # what is used there
    parameters: str


def document_of(text: str) -> Mapping[str, object]:
    """The scenario that a result stores; empty if it cannot be read."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return {}


def settings(text: str) -> list[Row]:
    """The rows of a scenario's text."""
    document = document_of(text)
    rows = [Row(key, "", in_words(document[key])) for key in HEAD if key in document]
    for key in dict.fromkeys((*SINGLE, *SEVERAL)):
        value = document.get(key)
        tables = value if isinstance(value, list) else [value] if value else []
        for table in tables:
            if isinstance(table, Mapping):
                rows += _rows(key, table)
    return rows


def _rows(key: str, table: Mapping[str, object]) -> Iterator[Row]:
    """The rows of one table: an estimator has one for its model and one for its optimizer."""
    name = str(table.get(PLACES.get(key, ""), "")) if key not in ("metric", "theory") else ""
    part = f"{key} {name}".strip()
    if key == "estimator":
        remainder = {k: v for k, v in table.items() if k not in ("name", "model", "optimizer")}
        for inner in ("model", "optimizer"):
            component = table.get(inner)
            if isinstance(component, Mapping):
                yield Row(f"{part}: {inner}", *_component(component))
        if remainder:
            yield Row(part, "", _parameters(remainder))
        return
    yield Row(part, *_component({k: v for k, v in table.items() if k != "name" or key == "metric"}))


def _component(table: Mapping[str, object]) -> tuple[str, str]:
    return str(table.get("use", "")), _parameters({k: v for k, v in table.items() if k != "use"})


def _parameters(values: Mapping[str, object]) -> str:
    return "; ".join(f"{name} = {in_words(value)}" for name, value in values.items())


def in_words(value: object) -> str:
    """A value of a scenario in words.

    >>> in_words({"geom": [1.0, 1000.0, 4]})
    '1 to 1000, 4 values, geometric'
    """
    if isinstance(value, Mapping):
        return _grid(value)
    if isinstance(value, list):
        return ", ".join(map(in_words, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _grid(value: Mapping[str, object]) -> str:
    for word, kind in (("geom", "geometric"), ("linspace", "evenly spaced")):
        bounds = value.get(word)
        if isinstance(bounds, list) and len(bounds) == 3:
            first, last, count = map(in_words, bounds)
            included = value.get("include")
            addition = f", and {in_words(included)}" if included else ""
            return f"{first} to {last}, {count} values, {kind}{addition}"
    if "values" in value:
        return in_words(value["values"])
    inner = {k: v for k, v in value.items() if k != "use"}
    use = str(value.get("use", ""))
    return f"{use} ({_parameters(inner)})" if use and inner else use or f"({_parameters(inner)})"


def flat(value: object, path: str = "$") -> dict[str, object]:
    """Every value of a document by its path; tables with a name are found by it."""
    if isinstance(value, Mapping) and not _is_grid(value):
        parts = [flat(item, f"{path}.{key}") for key, item in value.items()]
        return {key: item for part in parts for key, item in part.items()}
    if isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
        parts = [flat(item, f"{path}[{_tag(item, i)}]") for i, item in enumerate(value)]
        return {key: item for part in parts for key, item in part.items()}
    return {path: value}


def _is_grid(value: Mapping[str, object]) -> bool:
    return bool({"geom", "linspace", "values"} & set(value))


def _tag(table: object, position: int) -> object:
    if isinstance(table, Mapping):
        return table.get("name") or table.get("use") or position
    return position
