"""Choose colours, marks and dashes from the differences between curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from testbed.contract.names import in_words

# Okabe and Ito's palette, safe for colour-blind readers; yellow is left out: it vanishes on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKS = "osD^vP*X"
Dash = str | tuple[int, tuple[float, ...]]
DASHES: tuple[Dash, ...] = (
    "-", (0, (5, 2)), (0, (1, 1.2)), (0, (5, 1.5, 1, 1.5)), (0, (9, 2)), (0, (3, 1, 1, 1, 1, 1)),
)  # fmt: skip
ESTIMATOR = "estimator"
SEEN = 2.2  # contrast to white of the lightest shade
DARKER = 0.35  # share of black in the darkest shade

Key = Mapping[str, object]  # a curve: its estimator, and a point of its sweep


class Look(NamedTuple):
    """How a curve is drawn."""

    colour: str
    mark: str
    dash: Dash


def looks(keys: Sequence[Key], colour: str = "") -> list[Look]:
    """A look for each curve: colours tell estimators apart, or what `colour` names.

    With one difference between the curves, colour, mark and dash all show it, so that a print
    without colours is legible; with two, colour and mark show the first and dashes the second;
    with three or more, marks show the second and dashes the rest.
    """
    order = _differences(keys, colour)
    positions = [_positions(keys, [name]) for name in order[:2]]
    positions.append(_positions(keys, order[2:]))
    empty = [0] * len(keys)
    first = positions[0] if order else empty
    second = positions[1] if len(order) > 1 else first
    marks = second if len(order) > 2 else first
    dashes = positions[-1] if len(order) > 2 else second
    return [
        Look(COLOURS[c % len(COLOURS)], MARKS[m % len(MARKS)], DASHES[d % len(DASHES)])
        for c, m, d in zip(first, marks, dashes, strict=True)
    ]


def _differences(keys: Sequence[Key], colour: str) -> list[str]:
    """The names in which curves differ: `colour` first, then the estimator, then few values."""
    names = dict.fromkeys(name for key in keys for name in key)
    counts = {name: len({str(key[name]) for key in keys if name in key}) for name in names}
    varying = [name for name, count in counts.items() if count > 1]
    return sorted(varying, key=lambda name: (name != colour, name != ESTIMATOR, counts[name]))


def _positions(keys: Sequence[Key], names: Sequence[str]) -> list[int]:
    """The position of each key among the distinct values of some names; 0 where it has none."""
    values = [tuple(str(key[name]) for name in names if name in key) for key in keys]
    distinct = {value: i for i, value in enumerate(dict.fromkeys(v for v in values if v))}
    return [distinct.get(value, 0) for value in values]


def shades(colour: str, count: int) -> list[str]:
    """From a lighter to a darker shade of a colour, for ordered values; all are seen on white."""
    if count == 1:
        return [colour]
    channels = _channels(colour)
    strengths = (step / 20 for step in range(7, 21))  # up to the colour itself
    tints = ([255 + (c - 255) * strength for c in channels] for strength in strengths)
    light = next((tint for tint in tints if contrast(tint) >= SEEN), channels)
    dark = [c * (1 - DARKER) for c in channels]
    mixed = [
        [round(a + (b - a) * i / (count - 1)) for a, b in zip(light, dark, strict=True)]
        for i in range(count)
    ]
    return ["#" + "".join(f"{channel:02X}" for channel in shade) for shade in mixed]


def _channels(colour: str) -> list[float]:
    return [int(colour[i : i + 2], 16) for i in (1, 3, 5)]


def contrast(channels: Sequence[float]) -> float:
    """The contrast of a colour to white, from 1 to 21, as the guidelines of W3C define it."""
    linear = [
        c / 255 / 12.92 if c <= 0.04045 * 255 else ((c / 255 + 0.055) / 1.055) ** 2.4
        for c in channels
    ]
    red, green, blue = linear
    return 1.05 / (0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05)


def label(key: Key) -> str:
    """The label of a curve: `adaptive, depth = 1`."""
    point = {name: value for name, value in key.items() if name != ESTIMATOR}
    return ", ".join(filter(None, (str(key.get(ESTIMATOR, "")), words(point))))


def words(point: Mapping[str, object]) -> str:
    """A point of a sweep as a label: `n = 500, depth = 1`."""
    return in_words(point, " = ", ", ")
