"""Scenarios at reduced size: the same components on small samples, for tests of the code.

`reduced(name, document)` applies rules that know the language of scenarios and no component: two
replicates, five times, two points of each sweep, samples of at most 60 points. `EXCEPTIONS` lists
what single scenarios need besides.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

LARGEST = {"n": 60, "n_test": 20, "modes": 60, "width": 32, "features": 40, "frequencies": 32}
TIMES, POINTS, SIMULATED = 5, 2, 200
DERIVED_SIZE = {"dim": {"values": [6, 10]}, "gamma": {"linspace": [0.8, 2.0, 3]}}

# Scenario → places in its document, as `table.key` or `list.position.key`, and their values.
EXCEPTIONS: dict[str, dict[str, Any]] = {
    "adaptive-kernel": {"target.frequencies": [[2.5]]},
    "architecture": {"times": [0.0, 1.0, 10.0], "design.n": 30, "estimator.0.model.width": 16},
    "deep-linear": {"design.dim": 30, "target.features": 20},
    "eigenvalue-learning": {"metric.1.modes": [10, 30, 60]},
    "equivalence-growing": {
        "design.dim.values": [6, 8],
        "design.gamma.values": [1.5, 2.0],
        "estimator.0.model.modes.values": [20, 40],
        "estimator.1.model.modes.values": [20, 40],
    },
    "failure-signatures": {"design.n": 200, "design.modes": 100},
    "feature-alignment": {"design.modes": 60, "times": [0.0, 0.5, 5.0, 50.0]},
    "high-dimension": {"design": DERIVED_SIZE, "estimator.5.optimizer.times": [10.0, 50.0]},
    "kernel-learning-curve": {"design.n.values": [30, 60, 4000], "estimator.0.simulate.n": 60},
    "ntk-spectrum": {"metric.0.modes": [1, 5, 15], "theory.0.modes": [1, 5, 15]},
    "periodic-plateau": {
        "design.dim.values": [10, 1000],
        "design.gamma": {"linspace": [0.5, 3.0, 4]},
    },
    "polynomial-barrier": {
        "target.directions": 10,
        "design.dim.values": [10, 1000],
        "design.gamma": {"linspace": [0.5, 3.0, 4]},
    },
    "saturation": {"design.n.values": [32, 60, 4096], "estimator.0.simulate.n": 60},
    "single-index": {"estimator.0.optimizer.times": [0.0, 0.3, 3.0, 15.0]},
    "span-alignment": {"metric.1.k": [1, 5, 20], "design.features": 40},
    "span-alignment-logarithmic": {"metric.1.k": [1, 5, 20], "design.features": 40},
}


def reduced(name: str, document: Mapping[str, Any]) -> dict[str, Any]:
    """A small copy of a scenario's document, without its figures and expected findings."""
    small = {
        key: _small(key, copy.deepcopy(value))
        for key, value in document.items()
        if key not in ("figure", "soundness", "claim")
    }
    fixed = isinstance(small.get("replicates", 1), int)  # else a rule that adds replicates
    small["replicates"] = min(small.get("replicates", 1), 2) if fixed else 2
    for place, value in EXCEPTIONS.get(name, {}).items():
        _put(small, place.split("."), value)
    for metric in small.get("metric", []):
        if "times" in metric:
            metric["times"] = _metric_times(small, metric)
    return small


def _small(key: str, value: Any) -> Any:
    """One value of the document, reduced by the key it stands under."""
    if key in ("times", "tau", "k"):
        return _thinned(_written_out(value), TIMES) if isinstance(value, list | Mapping) else value
    if key == "simulate" and isinstance(value, Mapping):
        return {"n": min(value["n"], SIMULATED)}
    if key in LARGEST:
        return _capped(value, LARGEST[key])
    if isinstance(value, Mapping):
        if _is_sweep(value):
            return _thinned_sweep(value)
        return {inner: _small(inner, element) for inner, element in value.items()}
    if isinstance(value, list):
        return [_small("", element) for element in value]
    return value


def _is_sweep(value: Any) -> bool:
    return isinstance(value, Mapping) and bool({"values", "geom", "linspace"} & set(value))


def _thinned_sweep(table: Mapping[str, Any]) -> dict[str, Any]:
    """The first and the last point of a sweep, with their labels."""
    points = {key: value for key, value in table.items() if key in ("values", "geom", "linspace")}
    settings = {key: value for key, value in table.items() if key not in points}
    if "labels" in settings:
        settings["labels"] = _thinned(settings["labels"], POINTS)
    return {"values": _thinned(_written_out(points), POINTS), **settings}


def _capped(value: Any, largest: int) -> Any:
    """A size, or a sweep of sizes scaled so that its last one is `largest` at most."""
    if _is_sweep(value):
        sweep = _thinned_sweep(value)
        sizes = sweep["values"]
        scale = min(1.0, largest / max(sizes))
        sweep["values"] = [max(1, round(size * scale)) for size in sizes]
        if min(sweep["values"]) < largest // 4:
            sweep["values"] = [max(1, largest // 2), largest]
        return sweep
    return min(value, largest) if isinstance(value, int) else value


def _written_out(raw: Any) -> list[Any]:
    """The numbers of a grid or sweep as scenarios write it."""
    if not isinstance(raw, Mapping):
        return list(raw) if isinstance(raw, list) else [raw]
    word = next(key for key in ("values", "geom", "linspace") if key in raw)
    numbers = raw[word]
    if word != "values":
        space = np.geomspace if word == "geom" else np.linspace
        numbers = [float(number) for number in space(numbers[0], numbers[1], int(numbers[2]))]
    include = raw.get("include", [])
    return sorted({*numbers, *include}) if include else list(numbers)


def _thinned(values: Sequence[Any], count: int) -> list[Any]:
    """At most `count` of the values, the first and the last among them."""
    if len(values) <= count:
        return list(values)
    return [values[round(place)] for place in np.linspace(0, len(values) - 1, count)]


def _metric_times(document: Mapping[str, Any], metric: Mapping[str, Any]) -> list[float]:
    """The first and the last time of the training that the metric measures."""
    grids = [
        _written_out(grid)
        for estimator in document["estimator"]
        if estimator["name"] in metric.get("of", [estimator["name"]])
        for grid in [estimator.get("optimizer", {}).get("times", document.get("times"))]
        if grid is not None
    ]
    shared = sorted(set(grids[0]).intersection(*grids[1:]))
    return [shared[0], shared[-1]] if len(shared) > 1 else shared


def _put(document: Any, keys: Sequence[str], value: Any) -> None:
    """Set a place of the document; a table is merged into the table that stands there."""
    for key in keys[:-1]:
        document = document[int(key)] if isinstance(document, list) else document[key]
    last = keys[-1]
    if isinstance(value, Mapping) and isinstance(document.get(last), Mapping) and last == "design":
        document[last] = {**document[last], **value}
    else:
        document[last] = copy.deepcopy(value)


def as_toml(document: Mapping[str, Any]) -> str:
    """The document in TOML: plain keys first, then its tables."""
    return "\n".join(_lines(document, "")) + "\n"


def _lines(table: Mapping[str, Any], path: str) -> Iterator[str]:
    nested = {key: value for key, value in table.items() if _is_table(value)}
    yield from (f"{key} = {_inline(table[key])}" for key in table if key not in nested)
    for key, value in nested.items():
        place = f"{path}.{key}" if path else key
        for element in value if isinstance(value, list) else [value]:
            yield f"[[{place}]]" if isinstance(value, list) else f"[{place}]"
            yield from _lines(element, place)


def _is_table(value: Any) -> bool:
    if isinstance(value, list):
        return bool(value) and all(isinstance(element, Mapping) for element in value)
    return isinstance(value, Mapping)


def _inline(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        escaped = re.sub(r'(["\\])', r"\\\1", value).replace("\n", "\\n")
        return f'"{escaped}"'
    if isinstance(value, list):
        return f"[{', '.join(_inline(element) for element in value)}]"
    return repr(value)
