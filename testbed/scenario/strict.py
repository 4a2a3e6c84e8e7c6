"""Strict conversion of one TOML value to one annotated type: nothing is coerced."""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, Union, get_args, get_origin

from testbed.contract.grids import WORDS, Grid, expand
from testbed.errors import one_of

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
        if not any(value == word and type(value) is type(word) for word in arguments):
            raise ValueError(f"{found(value)}, expected {one_of(arguments, value)}")
        return value
    if origin is tuple:
        return _tuple(value, arguments[0])
    if origin in (dict, Mapping, typing.Mapping):
        if not isinstance(value, dict):
            raise ValueError(f"{found(value)}, expected a table")
        return {key: convert(item, arguments[1]) for key, item in value.items()}
    if wanted is Grid:
        return grid(value)
    if wanted is Any:
        return value
    return _scalar(value, wanted)


def grid(value: Any) -> Grid:
    """A grid; whatever is wrong with it becomes a ValueError."""
    if isinstance(value, dict):
        _finite({word: numbers for word, numbers in value.items() if word in WORDS[1:]})
    try:
        return Grid.parse(value)
    except TypeError:
        wanted = "a list of numbers, or a table such as { geom = [1, 100, 3] }"
        raise ValueError(f"{found(value)}, expected {wanted}") from None


def spaced(table: dict[str, Any]) -> tuple[Any, ...]:
    """The values of a sweep's table of `values`, `geom` or `linspace`."""
    words = {key: value for key, value in table.items() if key in WORDS}
    _finite(words)
    return expand(words)


def _finite(words: dict[str, Any]) -> None:
    for word, numbers in words.items():
        for number in numbers if isinstance(numbers, list) else ():
            if isinstance(number, float) and not math.isfinite(number):
                raise ValueError(f"found {number} in {word}, expected finite numbers")


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
