"""Keys of cells: what a cell's numbers depend on, as one short string.

A key has two parts, `request.code`: what is computed (parameters, data, seed, replicates), and a
digest of the code that computes it. An edit of the code changes only the second part, so that the
journal can distinguish numbers that were never computed from numbers that other code computed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from testbed.contract.cells import Cell, Compute
from testbed.contract.components import Component, Design, Estimator
from testbed.contract.grids import Grid
from testbed.contract.needs import Asked
from testbed.contract.parameters import names_with
from testbed.planning.contents import contents
from testbed.planning.origin import Origin, code_digest_of, origin_of

NUMERIC = ("device", "dtype", "memory", "block")
"""The fields of `[compute]` that numbers depend on; bounds of time and of results do not count."""


Classes = set[type]
Writer = Callable[[Any, list[str], Classes], None]


def describe(value: object) -> str:
    """A value as text: components by name and parameters, numbers by their repr, files by what they
    hold. Values that differ have different texts, the same in every process."""
    return _described(value)[0]


def _described(value: object) -> tuple[str, frozenset[type]]:
    """The text of a value, and the component classes in it."""
    parts: list[str] = []
    classes: Classes = set()
    _write(value, parts, classes)
    return "".join(parts), frozenset(classes)


def _write(value: object, parts: list[str], classes: Classes) -> None:
    """Append the text of a value to `parts`, and the classes of its components to `classes`."""
    kind = type(value)
    if kind in _PLAIN:
        parts.append(repr(value))
    else:
        writer = _WRITERS.get(kind) or _WRITERS.setdefault(kind, _writer(kind))
        writer(value, parts, classes)


_PLAIN = frozenset({bool, int, float, str, type(None)})
_WRITERS: dict[type, Writer] = {}
_FIELDS: dict[type, tuple[str, ...]] = {}
_FILE_FIELDS: dict[type, tuple[str, ...]] = {}


def _writer(kind: type) -> Writer:
    """How values of a type are written."""
    if issubclass(kind, Component):
        return _write_component
    if issubclass(kind, Grid):
        return lambda value, parts, classes: parts.append(_grid(value.values))
    if issubclass(kind, Asked):
        return lambda value, parts, classes: parts.append(repr(value.name))
    if attrs.has(kind):
        return _write_fields
    if issubclass(kind, np.ndarray):
        return lambda value, parts, classes: parts.append(_array(value))
    if issubclass(kind, Mapping):
        return _write_mapping
    if issubclass(kind, list | tuple):
        return _write_items
    return lambda value, parts, classes: parts.append(repr(value))


def _write_component(component: Component, parts: list[str], classes: Classes) -> None:
    """A component with its parameters, and what the files that it reads hold."""
    classes.add(type(component))
    parts.append(component.name)
    _write_fields(component, parts, classes)
    parts += [f"; {contents(place)}" for place in files_of(component)]


def _write_fields(value: object, parts: list[str], classes: Classes) -> None:
    parts.append(f"{type(value).__qualname__}(")
    for name in _fields(type(value)):
        parts.append(f"{name}=")
        _write(getattr(value, name), parts, classes)
        parts.append(", ")
    parts.append(")")


def _write_mapping(value: Mapping[object, object], parts: list[str], classes: Classes) -> None:
    parts.append("{")
    for key in sorted(value, key=repr):
        parts.append(f"{key!r}: ")
        _write(value[key], parts, classes)
        parts.append(", ")
    parts.append("}")


def _write_items(value: Iterable[object], parts: list[str], classes: Classes) -> None:
    parts.append("[")
    for item in value:
        _write(item, parts, classes)
        parts.append(", ")
    parts.append("]")


def _fields(kind: type) -> tuple[str, ...]:
    if kind not in _FIELDS:
        _FIELDS[kind] = tuple(attribute.name for attribute in attrs.fields(kind))
    return _FIELDS[kind]


@lru_cache(maxsize=1024)
def _grid(values: tuple[float, ...]) -> str:
    """A grid of times as a digest, made once, since times are most of a cell's data."""
    return f"grid({hashlib.sha256(repr(values).encode()).hexdigest()})"


def _array(value: np.ndarray) -> str:
    digest = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
    return f"array({value.dtype}, {value.shape}, {digest})"


def files_of(component: Component) -> list[Path]:
    """The files and folders whose content a component's numbers depend on."""
    kind = type(component)
    if kind not in _FILE_FIELDS:
        _FILE_FIELDS[kind] = tuple(names_with(component, "file"))
    named = [getattr(component, name) for name in _FILE_FIELDS[kind]]
    places = [Path(place) for place in named if isinstance(place, str)]
    return [*places, *component.files()]


# --- cells --------------------------------------------------------------------------------------


Described = tuple[object, str, frozenset[type]]
"""A value, its text, and the component classes in it."""


class Texts:
    """The texts of what many cells share, each made once for the same object.

    Objects are told apart by identity, and kept alive so that none takes another's place.
    """

    def __init__(self) -> None:
        self._made: dict[int, Described] = {}
        self._inputs: dict[int, tuple[Design, str]] = {}

    def of(self, value: object) -> Described:
        """A component, metrics or theories."""
        return self._made.get(id(value)) or self._kept(value, *_described(value))

    def of_times(self, times: tuple[float, ...]) -> Described:
        """Recorded times."""
        return self._made.get(id(times)) or self._kept(times, repr(_grid(times)), frozenset())

    def of_compute(self, compute: Compute) -> Described:
        """What numbers depend on of `[compute]`."""
        made = self._made.get(id(compute))
        if made is None:
            numeric = [getattr(compute, name) for name in NUMERIC]
            made = self._kept(compute, describe(numeric), frozenset())
        return made

    def of_inputs(self, design: Design) -> str:
        """What the inputs of a design depend on."""
        made = self._inputs.get(id(design))
        if made is None:
            made = self._inputs[id(design)] = design, _inputs(design)
        return made[1]

    def _kept(self, value: object, text: str, classes: frozenset[type]) -> Described:
        self._made[id(value)] = value, text, classes
        return self._made[id(value)]


def cell_key(cell: Cell, texts: Texts | None = None) -> str:
    """Identifies everything that a cell's numbers depend on: `request.code`.

    Its place in the sweep does not count, so that points may be added anywhere.
    """
    texts = texts or Texts()
    shared = [texts.of(part) for part in (cell.design, cell.target, cell.model, cell.optimizer)]
    shared += [texts.of_times(cell.times), texts.of(cell.metrics), texts.of(cell.theories)]
    _, point, in_point = texts.of(cell.point)
    parts = [repr(cell.estimator), point, repr(repr(cell.replicates))]
    parts += [text for _, text, _ in shared]
    parts += [repr(cell.seed), repr(cell.shared_design), texts.of_compute(cell.compute)[1]]
    request = "".join([f"{part}, " for part in parts])
    classes = in_point.union(*[kinds for _, _, kinds in shared])
    return f"{_hash(f'[{request}]')}.{code_digest_of(classes)}"


def training_key(cell: Cell) -> str:
    """Identifies everything that the states of a cell depend on, `request.code`: what metrics
    measure is no part of it."""
    parts = (cell.design, cell.target, cell.model, cell.optimizer)
    text, classes = _described(parts)
    drawn = (cell.replicates, cell.seed, cell.shared_design)
    numeric = [getattr(cell.compute, name) for name in NUMERIC]
    request = f"{text}{_grid(cell.times)}{drawn!r}{describe(numeric)}"
    return f"{_hash(request)}.{code_digest_of(classes)}"


def path_key(cell: Cell, companion: Estimator | None = None) -> str:
    """Identifies the states of a cell's own path, or of a companion's: `request.code`."""
    training = training_key(cell)
    if companion is None:
        return training
    text, classes = _described((companion.model, companion.optimizer))
    code = code_digest_of(classes)
    request = _hash(f"{request_of(training)}{text}")
    return f"{request}.{_hash(f'{code_of_key(training)}{code}')[:16]}"


def companion_name(companion: Estimator) -> str:
    """The name of a companion's path within its cell."""
    return fingerprint(companion.model, companion.optimizer)


def part_keys(cell: Cell, training: str) -> dict[str, str]:
    """What identifies each variable of a cell that a metric measures: the states, the metric and
    the code of both."""
    keys: dict[str, str] = {}
    for planned in cell.metrics:
        text, classes = _described(planned)
        key = _hash(f"{training}{text}{code_digest_of(classes)}")
        keys |= dict.fromkeys(planned.names.values(), key)
    return keys


def origin_of_training(cell: Cell) -> Origin:
    """The code and the libraries that make this cell's states in this process."""
    return origin_of(_described((cell.design, cell.target, cell.model, cell.optimizer))[1])


def origin_of_cell(cell: Cell) -> Origin:
    """The code and the libraries that make this cell's numbers in this process."""
    components = (cell.point, cell.design, cell.target, cell.model, cell.optimizer)
    return origin_of(_described((*components, cell.metrics, cell.theories))[1])


def request_of(key: str) -> str:
    """The part of a key that says what is computed, whichever code computes it."""
    return key.partition(".")[0]


def code_of_key(key: str) -> str:
    """The part of a key that says which code computes it."""
    return key.partition(".")[2]


def preparation_key(cell: Cell, texts: Texts | None = None) -> str:
    """Identifies the preparation of a model that reads inputs only.

    A parameter of the design with the role `noise` changes only the observations, so that all noise
    levels of a sweep share a preparation.
    """
    texts = texts or Texts()
    parts = [texts.of_inputs(cell.design), repr(cell.shared_design), texts.of(cell.model)[1]]
    return _hash("".join([f"{part}, " for part in [*parts, repr(cell.replicates)]]))


def _inputs(design: Design) -> str:
    """What the inputs of a design depend on, as text."""
    noise = names_with(design, "noise")
    names = [name for name in _fields(type(design)) if name not in noise]
    inputs = [(name, getattr(design, name)) for name in names]
    return describe([design.name, inputs, [contents(place) for place in files_of(design)]])


def fingerprint(*values: object) -> str:
    """A hexadecimal digest of values, the same in every process."""
    return _hash(describe(values))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
