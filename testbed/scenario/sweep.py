"""A sweep: the values of one parameter that become a dimension of the result."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from attrs import frozen

from testbed.contract.grids import WORDS, expand
from testbed.contract.names import dim_mistake
from testbed.errors import Mistake, ParameterError, did_you_mean, shown
from testbed.scenario.declaration import Field, options_of
from testbed.scenario.value import convert

SWEEP_KEYS = (*WORDS, "labels", "along", "dim")
Read = Callable[[Any], tuple[Any, list[Mistake]]]


@frozen
class Sweep:
    """Values of one parameter that become a dimension of the result."""

    dim: str
    parameter: str
    values: tuple[Any, ...]
    labels: tuple[str, ...] | None = None
    tied: bool = False  # `along`: the dimension may be shared with other parameters
    units: str = "1"
    long_name: str = ""
    path: str = ""

    @property
    def coordinate(self) -> tuple[Any, ...]:
        """The coordinate of the dimension: the labels if there are any, else the values."""
        return self.labels or self.values


def is_sweep(raw: object) -> bool:
    """Whether a value is written as a sweep."""
    return isinstance(raw, dict) and any(word in raw for word in WORDS)


def read_sweep(
    raw: dict[str, object], field: Field, place: str, most: int, read: Read
) -> tuple[Sweep | None, list[Mistake]]:
    """A sweep's table; `read` reads each of its values."""
    mistakes = [
        Mistake(f"{place}.{key}", f"found the unknown key {key!r}", "", advice)
        for key, advice in ((key, did_you_mean(key, SWEEP_KEYS)) for key in raw)
        if key not in SWEEP_KEYS
    ]
    try:
        numbers = _numbers(raw, most)
    except ParameterError as error:
        return None, [*mistakes, error.mistake.moved_to(place)]
    rounded = takes_integers_only(field.type) and "values" not in raw
    if rounded:
        numbers = tuple(round(number) for number in numbers)
    pairs = [read(number) for number in numbers]
    mistakes += [mistake for _, wrong in pairs for mistake in wrong]
    values = tuple(value for value, wrong in pairs if not wrong)
    advice = "rounding makes them equal: take fewer" if rounded else ""
    mistakes += _repeated(values, place, advice)
    labels, wrong = _labels(raw, numbers, values, place)
    dim, objections = _dim(raw, field.key, place)
    mistakes += [*wrong, *objections]
    if mistakes:
        return None, mistakes
    info = field.info
    return Sweep(dim, field.key, values, labels, "along" in raw, info.unit, info.help, place), []


def takes_integers_only(wanted: object) -> bool:
    """Whether a type takes integers and no other numbers."""
    options = options_of(wanted)
    return int in options and float not in options


def _numbers(raw: dict[str, object], most: int) -> tuple[Any, ...]:
    words = {key: value for key, value in raw.items() if key in WORDS}
    numbers = expand(words, most)
    for number in numbers:
        if isinstance(number, float) and not math.isfinite(number):
            raise ParameterError(f"found {number} in a sweep", "finite numbers")
    return numbers


def _dim(raw: dict[str, object], name: str, place: str) -> tuple[str, list[Mistake]]:
    """The dimension that a sweep makes, or shares with others."""
    if "along" in raw and "dim" in raw:
        return name, [Mistake(place, "found both dim and along", "one of them")]
    word = "along" if "along" in raw else "dim"
    try:
        dim = convert(raw.get(word, name), str)
    except ParameterError as error:
        return name, [error.mistake.moved_to(f"{place}.{word}")]
    mistake = dim_mistake(dim)
    return dim, [mistake.moved_to(place)] if mistake else []


def _repeated(values: Sequence[object], place: str, advice: str = "") -> list[Mistake]:
    """The mistake of values that occur more than once."""
    counts = Counter(repr(value) for value in values)
    repeated = sorted(text for text, count in counts.items() if count > 1)
    if not repeated:
        return []
    text = ", ".join(repeated[:5]) + (" and others" if len(repeated) > 5 else "")
    return [Mistake(place, f"found {text} twice", "each value once", advice)]


def _labels(
    raw: dict[str, object], numbers: Sequence[object], values: Sequence[object], place: str
) -> tuple[tuple[str, ...] | None, list[Mistake]]:
    if "labels" not in raw:
        if any(isinstance(value, tuple) for value in values):
            advice = 'name each with labels = ["…", …]'
            return None, [Mistake(place, "found a sweep over lists", "", advice)]
        return None, []
    place = f"{place}.labels"
    try:
        labels: tuple[str, ...] = convert(raw["labels"], tuple[str, ...])
    except ParameterError as error:
        return None, [error.mistake.moved_to(f"{place}{error.mistake.where}")]
    if len(labels) != len(numbers):
        text = f"found {len(labels)} labels"
        return None, [Mistake(place, text, f"{len(numbers)}, one for each value")]
    return labels, _repeated(labels, place)


def sweep_advice(raw: object) -> str:
    """Advice for a list that stands in the place of a single value."""
    return f"write a sweep as {{ values = {shown(raw)} }}"
