"""Checks of what components return: names, shapes and types. Wrong ones are ComponentFaults."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from numbers import Real
from typing import Any, get_args

import numpy as np

from testbed.contract.border import ComponentFault, calling
from testbed.contract.component import Statement
from testbed.contract.components import Component, Metric, Optimizer, Theory, Variable
from testbed.contract.names import RESERVED_OWN_DIMS, is_identifier
from testbed.errors import one_of


def reason_of(component: Component, method: str, answer: object) -> str | None:
    """The answer, if it is a reason in words or None; ComponentFault otherwise."""
    if answer is None or isinstance(answer, str):
        return answer
    problem = f"found that {method} returned {type(answer).__name__}"
    raise ComponentFault(component, f"{problem}, expected a reason in words, or None")


def variables_of(owner: Metric | Theory | Optimizer) -> Mapping[str, Variable]:
    """The variables that a component declares, with names, dims and attributes that fit into a
    result file."""
    with calling(owner, "variables"):
        declared: object = owner.variables if isinstance(owner, Theory) else owner.declared()
    if not isinstance(declared, Mapping):
        raise ComponentFault(owner, "found variables that are not a dict from names to Variable")
    for name, variable in declared.items():
        reason = misdeclared(name, variable)
        if reason:
            raise ComponentFault(owner, reason)
    checked: Mapping[str, Variable] = declared
    return checked


def misdeclared(name: object, variable: object) -> str:
    """The mistake in one declaration; empty if it is right."""
    if not is_identifier(name):
        return f"found the variable {name!r}, expected letters, digits and '_', a letter first"
    if not isinstance(variable, Variable):
        return f"found {name} declared as {type(variable).__name__}, expected a Variable"
    dims: object = variable.dims
    if not isinstance(dims, tuple):
        return f"found {name} with dims {dims!r}, expected a tuple such as ('mode',)"
    for dim in variable.dims:
        if dim in RESERVED_OWN_DIMS:
            return f"found {name} along {dim!r}, which is reserved; rename the dim in the component"
        if not is_identifier(dim):
            return f"found {name} along {dim!r}, expected letters, digits and '_', a letter first"
    if len(set(variable.dims)) < len(variable.dims):
        return f"found {name} with dims {variable.dims}, expected each once"
    if variable.states not in get_args(Statement):
        expected = one_of(get_args(Statement), variable.states)
        return f"found {name} with states = {variable.states!r}, expected {expected}"
    told: object = variable.predicts
    if told is not None and not is_identifier(told):
        return f"found {name} with predicts = {told!r}, expected the name of a metric's variable"
    moves: object = variable.time
    if not isinstance(moves, bool):
        return f"found {name} with time = {moves!r}, expected True or False"
    share: object = variable.accuracy
    if not isinstance(share, int | float) or share < 0:
        return f"found {name} with accuracy = {share!r}, expected a share of at least 0"
    texts: dict[str, object] = {"units": variable.units, "long_name": variable.long_name}
    for key, value in texts.items():
        if not isinstance(value, str):
            return f"found {name} with {key} = {value!r}, expected a text"
    for key, value in variable.attrs.items():
        if not _storable(value):
            return f"found {name} with the attribute {key} = {value!r}, expected a text or numbers"
    return ""


def _storable(value: object) -> bool:
    """Whether netCDF keeps a value as an attribute."""
    if isinstance(value, bool):
        return False
    if isinstance(value, str | Real):
        return True
    return isinstance(value, list | tuple | np.ndarray) and np.asarray(value).dtype.kind in "fiu"


def expect_names(component: Component, method: str, answer: object, names: Sequence[str]) -> None:
    """ComponentFault unless a method returned a mapping with exactly these names."""
    expected = f"expected a dictionary of {', '.join(names)}"
    if not isinstance(answer, Mapping):
        problem = f"{method} returned {type(answer).__name__}"
        raise ComponentFault(component, f"found that {problem}, {expected}")
    if set(answer) != set(names):
        problem = f"{method} returned {', '.join(map(str, answer)) or 'nothing'}"
        raise ComponentFault(component, f"found that {problem}, {expected}")


def coordinates_of(
    owner: Metric | Theory, declared: Mapping[str, Variable], sizes: Mapping[str, int]
) -> dict[str, np.ndarray]:
    """The coordinates of an owner's dims, each a vector of distinct values."""
    dims = {dim for variable in declared.values() for dim in variable.dims}
    if not dims:
        return {}
    with calling(owner, "coordinates"):
        answer = owner.coordinates(dict(sizes))
        missing = sorted(dims - set(answer))
        vectors = {dim: np.asarray(answer[dim]) for dim in sorted(dims - set(missing))}
    if missing:
        problem = f"coordinates returned {', '.join(answer) or 'nothing'}"
        raise ComponentFault(owner, f"found that {problem}, expected also {', '.join(missing)}")
    for dim, vector in vectors.items():
        if vector.ndim != 1 or vector.dtype.kind not in "fiuU":
            problem = f"found the coordinate {dim} of shape {vector.shape} and type {vector.dtype}"
            raise ComponentFault(owner, f"{problem}, expected a vector of numbers or words")
        if len(np.unique(vector)) < len(vector):
            problem = f"found the coordinate {dim} with equal values"
            raise ComponentFault(owner, f"{problem}, expected distinct ones")
    return vectors


def real_array(
    component: Component, name: str, value: object, shape: tuple[int, ...]
) -> np.ndarray:
    """The array that a theory or `conclude` returned, as float64, with the expected shape."""
    try:
        array = np.asarray(value)
        if array.dtype.kind not in "fiub":
            raise TypeError(f"an array of {array.dtype}")
        numbers = array.astype(np.float64)
    except (TypeError, ValueError) as error:
        problem = f"found {name} that is not an array of numbers: {error}"
        raise ComponentFault(component, f"{problem}, expected real numbers") from error
    if numbers.shape != shape:
        raise ComponentFault(component, f"found {name} of shape {numbers.shape}, expected {shape}")
    return numbers


def numbers_by_name(
    component: Component, method: str, answer: object, length: int | None = None
) -> None:
    """ComponentFault unless an answer maps each name to a number, or to `length` numbers."""
    expected = "numbers" if length is None else f"{length} numbers each"
    if not isinstance(answer, Mapping):
        problem = f"found that {method} returned {type(answer).__name__}"
        raise ComponentFault(component, f"{problem}, expected a dictionary of names to {expected}")
    shape = () if length is None else (length,)
    for name, value in answer.items():
        if not is_identifier(name):
            raise ComponentFault(component, f"found the name {name!r} in what {method} returned")
        real_array(component, f"{name} of {method}", value, shape)


def texts_by_name(component: Component, method: str, answer: object) -> None:
    """ComponentFault unless an answer maps names to texts."""
    pairs: Iterable[Any] = answer.items() if isinstance(answer, Mapping) else [(None, None)]
    if not all(isinstance(name, str) and isinstance(text, str) for name, text in pairs):
        problem = f"found that {method} returned {answer!r}"
        raise ComponentFault(component, f"{problem}, expected a dictionary of names to texts")
