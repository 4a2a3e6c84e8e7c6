"""Convert a TOML value to an annotated type; only whole numbers are coerced."""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, Union, get_args, get_origin

from testbed.contract.grids import MOST, Grid, refuse_long
from testbed.errors import ParameterError, one_of, shown

_WORDS = {
    bool: "true or false",
    int: "an integer",
    float: "a number",
    str: "a string",
    list: "a list",
    dict: "a table",
}
LARGEST = 2**63 - 1  # what the integers of a result file hold
LARGEST_UNSIGNED = 2**64 - 1  # what its unsigned integers hold, such as seeds


def found_text(value: object) -> str:
    """The words with which a message names a wrong value."""
    kind = _WORDS.get(type(value), type(value).__name__)
    return f"found {shown(value)} ({kind})"


def convert(value: object, wanted: object, most: int = MOST) -> Any:
    """`value` as `wanted`; ParameterError where it is something else.

    Lists of more than `most` numbers are refused. A float without a fraction counts as an integer.
    The place of a mistake within a list is its index, such as "[2]".
    """
    origin, arguments = get_origin(wanted), get_args(wanted)
    if origin in (Union, types.UnionType):
        return _union(value, [option for option in arguments if option is not type(None)], most)
    if origin is Literal:
        if not any(value == word and type(value) is type(word) for word in arguments):
            raise ParameterError(found_text(value), one_of(arguments, value))
        return value
    if origin is tuple:
        return _tuple(value, arguments[0], most)
    if origin in (dict, Mapping, typing.Mapping):
        if not isinstance(value, dict):
            raise ParameterError(found_text(value), "a table")
        return {key: convert(item, arguments[1], most) for key, item in value.items()}
    if wanted is Grid:
        return Grid.parse(value, most)
    if wanted is Any:
        return value
    return _scalar(value, wanted)


def type_words(wanted: Any) -> str:
    """A type in words, as messages and pages say it."""
    origin, arguments = get_origin(wanted), get_args(wanted)
    if origin in (Union, types.UnionType):
        words = [type_words(option) for option in arguments if option is not type(None)]
        return " or ".join(dict.fromkeys(words))
    if origin is Literal:
        quoted = (f'"{word}"' if isinstance(word, str) else str(word) for word in arguments)
        return " or ".join(quoted)
    if origin is tuple:
        return f"a list, each {type_words(arguments[0])}"
    if origin in (dict, Mapping, typing.Mapping):
        return f"a table, each entry {type_words(arguments[1])}"
    if wanted is Grid:
        return "a grid"
    if wanted is Any:
        return "any value"
    return _WORDS.get(wanted, getattr(wanted, "__name__", str(wanted)))


def _union(value: object, options: list[object], most: int) -> Any:
    """The value as the first option that takes it; its own type is tried first."""
    if type(value) in options:
        options = [type(value), *options]
    refusals: list[ParameterError] = []
    for option in options:
        try:
            return convert(value, option, most)
        except ParameterError as error:
            refusals.append(error)
    within = [refusal for refusal in refusals if refusal.mistake.where]  # a list of wrong items
    if len(options) == 1 or len(within) == 1:
        raise (within or refusals)[0]
    expected = dict.fromkeys(refusal.mistake.expected for refusal in refusals)
    raise ParameterError(found_text(value), " or ".join(expected))


def _tuple(value: object, wanted: object, most: int) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise ParameterError(found_text(value), "a list")
    refuse_long(len(value), most)
    return tuple(_item(item, wanted, most, index) for index, item in enumerate(value))


def _item(value: object, wanted: object, most: int, index: int) -> Any:
    try:
        return convert(value, wanted, most)
    except ParameterError as error:
        mistake = error.mistake
        place = f"[{index}]{mistake.where}"
        raise ParameterError(mistake.found, mistake.expected, mistake.advice, place) from None


def _scalar(value: Any, wanted: Any) -> Any:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if wanted is float and number:
        return _real(value)
    if wanted is int and number:
        return _integer(value)
    if type(value) is wanted:
        return value
    raise ParameterError(found_text(value), type_words(wanted))


def _real(value: float) -> float:
    try:
        real = float(value)
    except OverflowError:
        raise ParameterError(f"found {shown(value)}", "a number below 1.8e308") from None
    if not math.isfinite(real):
        raise ParameterError(found_text(value), "a finite number")
    return real


def _integer(value: float) -> int:
    if isinstance(value, float) and not value.is_integer():
        raise ParameterError(found_text(value), "an integer")
    if abs(value) > LARGEST_UNSIGNED:
        raise ParameterError(f"found {shown(value)}", f"an integer of at most {LARGEST}")
    return int(value)
