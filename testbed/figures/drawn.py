"""Drawn figures: a figure, a caption in sentences, and the code that selects its data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from attrs import frozen

from testbed.contract.figures import ORACLE
from testbed.figures.looks import words

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from testbed.figures.groups import Group

Options = Mapping[str, object]


@frozen
class Drawn:
    """One figure; `code` are the lines of Python that select its data from the result `tree`."""

    name: str
    figure: Figure
    caption: str
    code: str


def sentences(*parts: str) -> str:
    """Parts as sentences: a capital first, a full stop last; empty parts are left out."""
    kept = [part.strip() for part in parts if part.strip()]
    return " ".join(
        part[0].upper() + part[1:] + ("" if part[-1] in ".!?" else ".") for part in kept
    )


def listed(names: Iterable[str]) -> str:
    """Names as a list in a sentence: `a, b and c`."""
    distinct = list(dict.fromkeys(names))
    return (
        distinct[0]
        if len(distinct) == 1
        else ", ".join(distinct[:-1]) + " and " + distinct[-1]
        if distinct
        else ""
    )


def averaged(groups: Sequence[Group], name: str, shown: str = "bars") -> str:
    """The sentence that says how many replicates a mean is over."""
    counts = {g.dataset.sizes["replicate"] for g in groups if _replicated(g, name)}
    if not counts:
        return ""
    least, most = min(counts), max(counts)
    count_text = f"{least}" if least == most else f"{least} to {most}"
    if most == 1:
        return "each value is of one replicate"
    return f"means over {count_text} replicates, {shown} are 95% intervals"


def _replicated(group: Group, name: str) -> bool:
    return name in group.dataset and "replicate" in group.dataset[name].dims


def gaps(lost: int, what: str = "points") -> str:
    """The sentence that says where replicates are missing."""
    if not lost:
        return ""
    return f"{lost} {what} are left out: some of the replicates asked for diverged or failed there"


def held(held_values: Mapping[str, object]) -> str:
    """The sentence that says what `at` holds."""
    fixed = {dim: value for dim, value in held_values.items() if value != ORACLE}
    return f"held: {words(fixed)}" if fixed else ""


def selection(group: Group, name: str, suffix: str = "") -> str:
    """The line of code that selects a variable of an estimator at the values of `at`."""
    line = f"tree[{group.name!r}][{name!r}]"
    values = {dim: value for dim, value in group.held.items()}
    if values:
        line += f".sel({', '.join(f'{dim}={value!r}' for dim, value in values.items())})"
    return line + suffix


def at_of(options: Options) -> Mapping[str, object]:
    """The dimensions that a figure's table holds at a value."""
    held_values = options.get("at", {})
    return held_values if isinstance(held_values, Mapping) else {}
