"""Lists of numbers as a scenario writes them, such as `{ geom = [1, 1e4, 60] }`.

A *grid* is such a list inside one component (training times, thresholds); a *sweep* is one that
becomes a dimension of the result. Both use these words.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from attrs import field, frozen

from testbed.errors import ParameterError, did_you_mean, shown

WORDS = ("values", "geom", "linspace")
GRID_WORDS = (*WORDS, "include")
MOST = 100_000  # numbers in one list, unless a scenario's `compute.values` says otherwise
FINITE = "finite numbers; only the last may be inf"
RAISE = "shorten the list, or raise compute.values"


def expand(table: Mapping[str, object], most: int = MOST) -> tuple[Any, ...]:
    """The numbers that `values`, `geom` or `linspace` stands for; ParameterError if the table is
    wrong.

    A list of more than `most` numbers is refused before it is made.
    """
    words = [word for word in WORDS if word in table]
    if len(words) != 1:
        raise ParameterError(f"found {sorted(table)}", "exactly one of values, geom, linspace")
    word = words[0]
    numbers = table[word]
    if not isinstance(numbers, Sequence) or isinstance(numbers, str):
        raise ParameterError(f"found {word} = {shown(numbers)}", "a list")
    if word == "values":
        if not numbers:
            raise ParameterError("found values = []", "at least one")
        refuse_long(len(numbers), most)
        return tuple(numbers)
    first, last, count = _ends(word, numbers)
    refuse_long(count, most)
    spaced = np.linspace if word == "linspace" else np.geomspace
    return tuple(float(value) for value in spaced(first, last, count))


def refuse_long(count: int, most: int) -> None:
    """ParameterError for a list of more numbers than are allowed."""
    if count > most:
        raise ParameterError(f"found a list of {shown(count)} numbers", f"at most {most}", RAISE)


def _ends(word: str, numbers: Sequence[Any]) -> tuple[float, float, int]:
    """First, last and count of a spaced list."""
    problem = f"found {word} = {shown(list(numbers))}"
    if len(numbers) != 3 or not all(map(_is_number, numbers)):
        raise ParameterError(problem, "[first, last, count]")
    first, last, count = (_float(number) for number in numbers)
    if not all(map(math.isfinite, (first, last, count))):
        raise ParameterError(problem, "finite numbers")
    if count != int(count) or count < 1:
        raise ParameterError(problem, "[first, last, count] with a whole count of at least 1")
    if word == "geom" and (first <= 0 or last <= 0):
        advice = "for times, include = [0.0] adds the start" if first == 0 else ""
        raise ParameterError(problem, "first and last above 0", advice)
    return first, last, int(count)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _float(number: float) -> float:
    """A number as a float; ParameterError for an integer that is too large for one."""
    try:
        return float(number)
    except OverflowError:
        raise ParameterError(f"found {shown(number)}", "a number below 1.8e308") from None


def _floats(values: Iterable[float]) -> tuple[float, ...]:
    return tuple(map(_float, values))


def _increasing(_: object, __: object, values: tuple[float, ...]) -> None:
    if not values:
        raise ParameterError("found an empty grid", "at least one number")
    for value in values[:-1]:
        if not math.isfinite(value):
            raise ParameterError(f"found {value} in a grid", FINITE)
    if not values[-1] > -math.inf:
        raise ParameterError(f"found {values[-1]} in a grid", FINITE)
    for low, high in pairwise(values):
        if low >= high:
            raise ParameterError(
                f"found {high:g} after {low:g} in a grid", "numbers that increase strictly"
            )


@frozen
class Grid:
    """A strictly increasing list of numbers that is not a sweep. The last may be inf: t = ∞.

    >>> Grid.parse({"geom": [1, 100, 3], "include": [0.0]}).values
    (0.0, 1.0, 10.0, 100.0)
    """

    values: tuple[float, ...] = field(converter=_floats, validator=_increasing)

    def __len__(self) -> int:
        return len(self.values)

    @classmethod
    def parse(cls, raw: object, most: int = MOST) -> Grid:
        """A grid from a number, a list, or a table of `expand`'s words with optional `include`.

        Raises ParameterError for anything else, and for more than `most` numbers.
        """
        if isinstance(raw, Grid):
            return raw
        if isinstance(raw, Mapping):
            numbers: Sequence[float] = sorted(
                {*_numbers(_written_out(raw, most)), *_numbers(_include(raw))}
            )
        else:
            numbers = _numbers([raw] if _is_number(raw) else raw)
        refuse_long(len(numbers), most)
        return cls(numbers)


def _written_out(raw: Mapping[str, object], most: int) -> tuple[Any, ...]:
    unknown = sorted(set(raw) - set(GRID_WORDS))
    if unknown:
        advice = did_you_mean(unknown[0], GRID_WORDS)
        raise ParameterError(f"found the unknown key {unknown[0]!r}", "", advice, f".{unknown[0]}")
    return expand({word: value for word, value in raw.items() if word != "include"}, most)


def _include(raw: Mapping[str, object]) -> Any:
    extra = raw.get("include", [])
    if not isinstance(extra, list | tuple):
        raise ParameterError(f"found include = {shown(extra)}", "a list of numbers")
    return extra


def _numbers(raw: object) -> Sequence[float]:
    """The list, if it holds only numbers; ParameterError otherwise."""
    if not isinstance(raw, Sequence) or isinstance(raw, str):
        raise ParameterError(
            f"found {shown(raw)}",
            "a list of numbers, or a table such as { geom = [1, 100, 3] }",
        )
    wrong = [value for value in raw if not _is_number(value)]
    if wrong:
        raise ParameterError(f"found {shown(wrong[0])} in a list", "numbers only")
    return raw
