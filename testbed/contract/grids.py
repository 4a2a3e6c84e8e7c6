"""Lists of numbers as a scenario writes them: `{ geom = [1, 1e4, 60] }` and its relatives.

A *grid* is such a list inside one component (training times, thresholds); a *sweep* is one that
becomes a dimension of the result. Both use these words.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from attrs import field, frozen

WORDS = ("values", "geom", "linspace")


def expand(table: Mapping[str, Any]) -> tuple[Any, ...]:
    """Write out `values`, `geom` or `linspace`; raises ValueError saying what is wrong."""
    words = [word for word in WORDS if word in table]
    if len(words) != 1:
        raise ValueError(f"found {sorted(table)}, expected exactly one of values, geom, linspace")
    word = words[0]
    numbers = table[word]
    if not isinstance(numbers, Sequence) or isinstance(numbers, str):
        raise ValueError(f"{word} is {numbers!r}, expected a list")
    if word == "values":
        if not numbers:
            raise ValueError("values is empty, expected at least one")
        return tuple(numbers)
    return tuple(float(value) for value in _spaced(word, numbers))


def _spaced(word: str, numbers: Sequence[Any]) -> np.ndarray:
    shape_is_right = len(numbers) == 3 and all(
        isinstance(number, int | float) and not isinstance(number, bool) for number in numbers
    )
    if not shape_is_right or numbers[2] != int(numbers[2]) or numbers[2] < 1:
        raise ValueError(f"{word} is {list(numbers)!r}, expected [first, last, count]")
    first, last, count = float(numbers[0]), float(numbers[1]), int(numbers[2])
    if word == "linspace":
        return np.linspace(first, last, count)
    if first <= 0 or last <= 0:
        raise ValueError(f"geom is {list(numbers)!r}, expected first and last above 0")
    return np.geomspace(first, last, count)


def _floats(values: Iterable[float]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


def _increasing(_: Any, __: Any, values: tuple[float, ...]) -> None:
    if not values:
        raise ValueError("a grid is empty, expected at least one number")
    if any(not np.isfinite(value) for value in values[:-1]) or not values[-1] > -np.inf:
        raise ValueError("a grid holds a number that is not finite; only its last may be inf")
    if any(low >= high for low, high in pairwise(values)):
        raise ValueError("a grid must increase strictly; a number stands twice or out of order")


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
    def parse(cls, raw: Any) -> Grid:
        """Read a number, a list, or a table of `expand`'s words with optional `include`."""
        if isinstance(raw, Grid):
            return raw
        if isinstance(raw, Mapping):
            unknown = set(raw) - {*WORDS, "include"}
            if unknown:
                raise ValueError(
                    f"found {sorted(unknown)}, expected values, geom, linspace, include"
                )
            words = {key: value for key, value in raw.items() if key != "include"}
            raw = sorted({*expand(words), *raw.get("include", [])})
        elif isinstance(raw, int | float) and not isinstance(raw, bool):
            raw = [raw]
        if not isinstance(raw, Sequence) or isinstance(raw, str):
            raise ValueError(f"found {raw!r}, expected a list of numbers or a table such as geom")
        if any(isinstance(value, bool) or not isinstance(value, int | float) for value in raw):
            raise ValueError(f"found {list(raw)!r}, expected numbers only")
        return cls(raw)
