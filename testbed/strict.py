"""Strict conversion of one TOML value to one annotated type: nothing is coerced."""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, Union, get_args, get_origin

from testbed.grids import Grid

_WORDS = {
    bool: "true or false",
    int: "an integer",
    float: "a number",
    str: "a string",
    list: "a list",
    dict: "a table",
}


def found(value: Any) -> str:
    """How an error names a value that was found."""
    kind = _WORDS.get(type(value), type(value).__name__)
    return f"found {value!r} ({kind})"


def convert(value: Any, wanted: Any) -> Any:
    """`value` as `wanted`; ValueError with "found …, expected …" otherwise."""
    origin, arguments = get_origin(wanted), get_args(wanted)
    if origin in (Union, types.UnionType):
        return _one_of(value, [option for option in arguments if option is not type(None)])
    if origin is Literal:
        if value not in arguments:
            raise ValueError(f"{found(value)}, expected one of {', '.join(map(repr, arguments))}")
        return value
    if origin is tuple:
        return _tuple(value, arguments[0])
    if origin in (dict, Mapping, typing.Mapping):
        if not isinstance(value, dict):
            raise ValueError(f"{found(value)}, expected a table")
        return {key: convert(item, arguments[1]) for key, item in value.items()}
    if wanted is Grid:
        return Grid.parse(value)
    return _scalar(value, wanted)


def _one_of(value: Any, options: list[Any]) -> Any:
    reasons = []
    for option in options:
        try:
            return convert(value, option)
        except ValueError as error:
            reasons.append(str(error))
    if len(reasons) == 1:
        raise ValueError(reasons[0])
    wanted = [reason.split("expected ", 1)[-1] for reason in reasons]
    raise ValueError(f"{found(value)}, expected {' or '.join(wanted)}")


def _tuple(value: Any, item: Any) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise ValueError(f"{found(value)}, expected a list")
    return tuple(convert(one, item) for one in value)


def _scalar(value: Any, wanted: Any) -> Any:
    if wanted is float and isinstance(value, int | float) and not isinstance(value, bool):
        if not math.isfinite(value):
            raise ValueError(f"{found(value)}, expected a finite number")
        return float(value)
    if type(value) is wanted:
        return value
    raise ValueError(
        f"{found(value)}, expected {_WORDS.get(wanted, getattr(wanted, '__name__', wanted))}"
    )
