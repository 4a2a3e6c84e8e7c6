"""The contents of a `[[figure]]` table: the kinds of figures, their options, and default variables.

    KINDS["facets"].options                    # keys that the table may hold in addition to `kind`
    OPTIONS["at"].help                         # the meaning of a key

`figure_rules.figure_mistakes` judges a table. Imports neither matplotlib nor xarray.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from numbers import Real

from attrs import field, frozen

RISKS = ("excess_risk", "test_error")  # what maps compare: the first that both estimators have
AXES = ("n", "width", "dim")  # the horizontal axis of curves, unless the table names another
RANKS = ("k", "tau")  # dimensions that profiles are drawn along by default
SCALES = ("linear", "log")
SIZES = ("screen", "one-column", "two-columns")
ORACLE = "oracle"  # a value of `at.time`: the best time at each point of the sweep
NEAREST = 0.05  # largest relative distance of a recorded time from a wanted one


@frozen
class FigureOption:
    """A key of a `[[figure]]` table: the type of its value, and its meaning."""

    type: object
    help: str
    choices: tuple[str, ...] = ()


OPTIONS: Mapping[str, FigureOption] = {
    "of": FigureOption(
        str | tuple[str, ...], "variables, with a figure for each; for maps, two estimators"
    ),
    "x": FigureOption(str, "the dimension on the horizontal axis"),
    "y": FigureOption(str, "the dimension on the vertical axis of a map"),
    "by": FigureOption(str, "the dimension that gets a panel for each of its values"),
    "colour": FigureOption(str, 'what colours distinguish: "estimator" or a dimension'),
    "at": FigureOption(dict, 'dimensions that are held at a value; time may be "oracle"'),
    "scale": FigureOption(str | dict, 'the scale of both axes, or { x = "…", y = "…" }', SCALES),
    "size": FigureOption(
        str | tuple[float, ...], "the width of a column, or [width, height] in inches", SIZES
    ),
    "title": FigureOption(str, "the figure's title; default: the scenario's title"),
}
COMMON = ("at", "scale", "size", "title")


@frozen
class FigureKind:
    """A kind of figure: what it shows, the keys it takes, and the keys it requires."""

    help: str
    takes: tuple[str, ...] = ()
    required: tuple[str, ...] = ()

    @property
    def options(self) -> tuple[str, ...]:
        """All keys that a table of this kind may hold in addition to `kind`."""
        return (*self.takes, *COMMON)


KINDS: Mapping[str, FigureKind] = {
    "paths": FigureKind(
        "variables against training time: a panel for each estimator, or for each value of `by`",
        ("of", "by", "colour"),
    ),
    "learning-curves": FigureKind(
        "a variable at the best time or at a given time, and that time, against a sweep",
        ("of", "x", "colour"),
    ),
    "facets": FigureKind(
        "all estimators side by side against a sweep, a panel for each value of another sweep",
        ("of", "x", "by", "colour"),
        ("x", "by"),
    ),
    "spectra": FigureKind("learned eigenvalues at a few times, with the truth's energy"),
    "profiles": FigureKind("variables along a dimension of their own, such as a rank", ("of", "x")),
    "sweeps": FigureKind(
        "variables with a single recorded time, or at a given time, against a sweep",
        ("of", "x", "colour"),
    ),
    "maps": FigureKind(
        "the ratio of the best risks of two estimators over two sweeps",
        ("of", "x", "y"),
        ("of", "x", "y"),
    ),
}


@frozen
class GroupShape:
    """The shape of an estimator's group, planned or recorded.

    `sweeps` holds the swept dimensions with their coordinates, `variables` the dimensions of each
    variable: those of the sweep, `time`, and its own; `replicate` may be left out.
    """

    sweeps: Mapping[str, tuple[object, ...]] = field(factory=dict, hash=False)
    times: tuple[float, ...] = ()
    variables: Mapping[str, tuple[str, ...]] = field(factory=dict, hash=False)

    def values(self, dim: str) -> tuple[object, ...]:
        """The coordinate of a dimension; empty for a variable's own dimension."""
        return self.times if dim == "time" else tuple(self.sweeps.get(dim, ()))

    def longer(self, dim: str) -> bool:
        """Whether there is more than one point along a dimension."""
        return len(self.values(dim)) > 1


Shapes = Mapping[str, GroupShape]


def position(values: Sequence[object], wanted: object) -> int | None:
    """The position of a wanted value in a coordinate: equal words, numbers equal up to rounding."""
    for i, value in enumerate(values):
        if _same(value, wanted):
            return i
    return None


def time_position(times: Sequence[float], wanted: float) -> int | None:
    """The recorded time nearest to the wanted one; None if it is more than 5% away."""
    if not len(times) or math.isnan(wanted):
        return None
    if math.isinf(wanted):
        return position(times, wanted)
    nearest = min(range(len(times)), key=lambda i: abs(times[i] - wanted))
    return nearest if abs(times[nearest] - wanted) <= NEAREST * abs(wanted) else None


def _same(value: object, wanted: object) -> bool:
    if isinstance(value, bool) or isinstance(wanted, bool):
        return bool(value == wanted)
    if isinstance(value, Real) and isinstance(wanted, Real):
        return math.isclose(value, wanted, rel_tol=1e-6) or value == wanted
    return str(value) == str(wanted)


def names(of: object) -> tuple[str, ...]:
    """The names in `of`, a name or a list of names; none if it is anything else."""
    if isinstance(of, str):
        return (of,)
    listed = isinstance(of, (list, tuple)) and all(isinstance(name, str) for name in of)
    return tuple(of) if listed and isinstance(of, (list, tuple)) else ()


def default_variables(kind: str, shape: GroupShape) -> tuple[str, ...]:
    """The variables that a kind shows unless `of` names others."""
    if kind in ("learning-curves", "facets", "maps"):
        return tuple(name for name in RISKS if name in shape.variables)[:1]
    if kind == "spectra":
        return ("eigenvalue",)
    if kind == "profiles":
        return tuple(name for name, dims in shape.variables.items() if set(RANKS) & set(dims))
    return tuple(shape.variables)


def holds(dim: str, values: Sequence[object], wanted: object) -> int | None:
    """The position of a value that `at` asks for; 0 for a dimension whose values are not known."""
    if not len(values):
        return 0
    if dim == "time":
        times = [float(value) for value in values if isinstance(value, Real)]
        number = isinstance(wanted, Real) and not isinstance(wanted, bool)
        return time_position(times, float(wanted)) if number and isinstance(wanted, Real) else None
    return position(values, wanted)
