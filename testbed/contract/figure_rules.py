"""Mistakes in a `[[figure]]` table: unknown words, and kinds that do not suit the data.

    figure_mistakes(table, shapes, "$.figure[0]")       # all mistakes, each at its place

The rules use only the shapes of an experiment's groups, so that the same rules hold for a plan,
before anything is computed, and for a result file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from numbers import Real

from testbed.contract.figures import (
    KINDS,
    OPTIONS,
    ORACLE,
    RISKS,
    SCALES,
    SIZES,
    GroupShape,
    Shapes,
    default_variables,
    holds,
    names,
)
from testbed.errors import Mistake, one_of


def figure_mistakes(table: Mapping[str, object], shapes: Shapes, where: str) -> list[Mistake]:
    """All mistakes in a `[[figure]]` table for groups of these shapes."""
    if "kind" not in table:
        return [Mistake(where, "found no 'kind'", one_of(KINDS, ""), 'add kind = "…"')]
    kind = table["kind"]
    if not isinstance(kind, str) or kind not in KINDS:
        unknown = Mistake(f"{where}.kind", f"found {kind!r}", one_of(KINDS, kind))
        return [unknown, *_unknown_keys(table, OPTIONS, where)]
    mistakes = [*_unknown_keys(table, KINDS[kind].options, where), *_values(table, where)]
    missing = [key for key in KINDS[kind].required if key not in table]
    mistakes += [
        Mistake(where, f"found no {key!r}, which kind = {kind!r} needs", OPTIONS[key].help)
        for key in missing
    ]
    return mistakes or list(_Table(kind, table, shapes, where).mistakes())


def _unknown_keys(
    table: Mapping[str, object], allowed: Iterable[str], where: str
) -> Iterator[Mistake]:
    for key in table:
        if key != "kind" and key not in set(allowed):
            takes = f", which kind = {table['kind']!r} does not take" if key in OPTIONS else ""
            yield Mistake(f"{where}.{key}", f"found the key {key!r}{takes}", one_of(allowed, key))


def _values(table: Mapping[str, object], where: str) -> Iterator[Mistake]:
    """Mistakes in the values of keys that do not depend on the experiment."""
    for key in ("x", "y", "by", "title", "colour"):
        if key in table and not isinstance(table[key], str):
            yield Mistake(f"{where}.{key}", f"found {table[key]!r}", "a string")
    if "of" in table and not names(table["of"]):
        yield Mistake(f"{where}.of", f"found {table['of']!r}", "a name, or a list of names")
    if not isinstance(table.get("at", {}), Mapping):
        yield Mistake(f"{where}.at", f"found {table['at']!r}", "a table such as { time = 10.0 }")
    yield from _scale(table.get("scale", {}), f"{where}.scale")
    yield from _size(table.get("size", "screen"), f"{where}.size")


def _scale(scale: object, where: str) -> Iterator[Mistake]:
    by_axis = scale if isinstance(scale, Mapping) else {"x": scale, "y": scale}
    for axis, word in by_axis.items():
        if axis not in ("x", "y"):
            yield Mistake(f"{where}.{axis}", f"found the key {axis!r}", "x or y")
        elif word not in SCALES:
            yield Mistake(where, f"found {word!r}", one_of(SCALES, word))
            return


def _size(size: object, where: str) -> Iterator[Mistake]:
    if isinstance(size, str):
        if size not in SIZES:
            yield Mistake(where, f"found {size!r}", one_of(SIZES, size))
        return
    pair = list(size) if isinstance(size, (list, tuple)) else []
    numbers = [n for n in pair if isinstance(n, (int, float)) and not isinstance(n, bool)]
    if len(pair) != 2 or len(numbers) != 2 or not all(1 <= n <= 40 for n in numbers):
        expected = f"{one_of(SIZES, size)}, or [width, height] in inches between 1 and 40"
        yield Mistake(where, f"found {size!r}", expected)


class _Table:
    """A table with valid keys and values, which is compared with an experiment's groups."""

    def __init__(self, kind: str, table: Mapping[str, object], shapes: Shapes, where: str):
        self.kind, self.table, self.where, self.shapes = kind, table, where, shapes
        held = table.get("at", {})
        self.selected: Mapping[str, object] = held if isinstance(held, Mapping) else {}
        self.of = names(table.get("of", ()))

    def mistakes(self) -> Iterator[Mistake]:
        if self.kind == "maps":
            mistakes = [*self._estimators(), *self._held()]
        else:
            mistakes = [*self._variables(), *self._held(), *self._axes()]
        yield from mistakes
        if not mistakes:
            yield from self._unsuitable()

    # --- names --------------------------------------------------------------------------------

    def _estimators(self) -> Iterator[Mistake]:
        """Mistakes in the two estimators of a map, and in its axes."""
        if len(self.of) != 2 or len(set(self.of)) != 2:
            yield Mistake(f"{self.where}.of", f"found {self.table['of']!r}", "two estimators")
            return
        for name in self.of:
            if name not in self.shapes:
                expected = one_of(self.shapes, name)
                yield Mistake(f"{self.where}.of", f"found the estimator {name!r}", expected)
        if not set(self.of) <= set(self.shapes):
            return
        pair = [self.shapes[name] for name in self.of]
        if not any(all(risk in shape.variables for shape in pair) for risk in RISKS):
            what = f"found no risk that {self.of[0]!r} and {self.of[1]!r} have in common"
            yield Mistake(self.where, what, one_of(RISKS, ""), "add a [[metric]]")
        shared = [d for d in pair[0].sweeps if d in pair[1].sweeps and pair[0].longer(d)]
        for key in ("x", "y"):
            if self.table[key] not in shared:
                what = f"found {self.table[key]!r}"
                yield Mistake(f"{self.where}.{key}", what, _dimension(shared, self.table[key]))
        if self.table["x"] == self.table["y"]:
            yield Mistake(f"{self.where}.y", f"found {self.table['y']!r}, which x is too")

    def _variables(self) -> Iterator[Mistake]:
        variables = sorted({name for shape in self.shapes.values() for name in shape.variables})
        for name in self.of:
            if name not in variables:
                what = f"found the variable {name!r}"
                yield Mistake(f"{self.where}.of", what, one_of(variables, name))

    def _held(self) -> Iterator[Mistake]:
        """Mistakes in the keys and values of `at`."""
        along = {self._axis(), self.table.get("by"), self.table.get("y")} - {None, ""}
        dims = dict.fromkeys(dim for shape in self.shapes.values() for dim in _dims(shape))
        for dim, value in self.selected.items():
            where = f"{self.where}.at.{dim}"
            if dim not in dims:
                yield Mistake(where, f"found the dimension {dim!r}", _dimension(dims, dim))
            elif dim in along:
                what = f"found {dim!r}, which is an axis of this figure"
                yield Mistake(where, what, "a dimension that is not drawn", "leave it out")
            else:
                yield from self._value(dim, value, where)

    def _value(self, dim: str, value: object, where: str) -> Iterator[Mistake]:
        if dim == "time" and value == ORACLE and self.kind in ("learning-curves", "facets", "maps"):
            return
        if isinstance(value, (Mapping, list, tuple)):
            yield Mistake(where, f"found {value!r}", "one value of the dimension")
            return
        coordinates = [shape.values(dim) for shape in self.shapes.values() if dim in _dims(shape)]
        values = list(dict.fromkeys(v for coordinate in coordinates for v in coordinate))
        if values and all(holds(dim, coordinate, value) is None for coordinate in coordinates):
            if dim == "time":
                expected = f"a recorded time, {values[0]:g} to {values[-1]:g}"
                what = f"found {value!r}"
                yield Mistake(where, what, expected, "or record it: add it to times")
            else:
                yield Mistake(where, f"found {value!r}", f"one of {_listed(values)}")

    # --- axes ---------------------------------------------------------------------------------

    def _axis(self) -> str:
        """The dimension on the horizontal axis, by the kind or the table; "" if neither names
        it."""
        fixed = {"paths": "time", "spectra": "mode"}
        return fixed.get(self.kind, "") or str(self.table.get("x", ""))

    def _axes(self) -> Iterator[Mistake]:
        drawn = self._drawn() or [(s, v) for s in self.shapes.values() for v in s.variables]
        dims = dict.fromkeys(dim for shape, name in drawn for dim in shape.variables[name])
        swept = [d for d in dims if any(shape.longer(d) for shape, _ in drawn) and d != "time"]
        allowed = [d for d in dims if d != "replicate"] if self.kind == "profiles" else swept
        for key, choice in (("x", allowed), ("by", swept), ("colour", ["estimator", *swept])):
            word = self.table.get(key)
            if key in self.table and word not in choice:
                yield Mistake(f"{self.where}.{key}", f"found {word!r}", _dimension(choice, word))
            elif key == "x" and key in self.table and self._worded(str(word)):
                what = f"found {word!r}, whose values are words"
                yield Mistake(f"{self.where}.{key}", what, "a dimension of numbers")
        if self.table.get("by") is not None and self.table.get("by") == self._axis():
            yield Mistake(f"{self.where}.by", f"found {self.table['by']!r}, which x is too")

    def _worded(self, dim: str) -> bool:
        values = [value for shape in self.shapes.values() for value in shape.values(dim)]
        return not all(isinstance(v, Real) and not isinstance(v, bool) for v in values)

    def _drawn(self) -> list[tuple[GroupShape, str]]:
        """The groups and variables that the figure shows."""
        return [
            (shape, name)
            for shape in self.shapes.values()
            for name in shape.variables
            if name in (self.of or default_variables(self.kind, shape))
        ]

    # --- suitability --------------------------------------------------------------------------

    def _unsuitable(self) -> Iterator[Mistake]:
        """Why the figure would be empty although every word of its table is valid."""
        if self.kind == "maps":
            return
        drawn = self._drawn()
        for name in self.of or [""]:
            these = [pair for pair in drawn if not name or pair[1] == name]
            reasons = [self._reason(shape, variable) for shape, variable in these]
            if not reasons or all(reasons):
                subject = f"the variable {name!r}" if name else "no variable"
                why = reasons[0] if reasons and reasons[0] else _NEEDS[self.kind]
                where = f"{self.where}.of" if name else f"{self.where}.kind"
                yield Mistake(where, f"found {subject} for kind = {self.kind!r}", why)

    def _reason(self, shape: GroupShape, name: str) -> str:
        """Why this kind cannot show a variable of a group; empty if it can."""
        dims = shape.variables[name]
        inner = [d for d in dims if d not in (*shape.sweeps, "time", "replicate", *self.selected)]
        if self.kind == "spectra":
            return "" if "mode" in inner else _NEEDS["spectra"]
        if self.kind == "profiles":
            return "" if len(inner) == 1 else _NEEDS["profiles"]
        if inner:
            hold = ", ".join(inner)
            return f"a variable without dimensions of its own, or {hold} held by at = {{ … }}"
        return self._reason_of_axes(shape, dims)

    def _reason_of_axes(self, shape: GroupShape, dims: Sequence[str]) -> str:
        if self.kind == "paths":
            return "" if "time" in dims and shape.longer("time") else _NEEDS["paths"]
        swept = [
            d for d in dims if d in shape.sweeps and shape.longer(d) and d not in self.selected
        ]
        along_time = "time" in dims and shape.longer("time") and "time" not in self.selected
        if self.kind == "sweeps" and along_time:
            return _NEEDS["sweeps"]
        axes = [self.table[key] for key in ("x", "by") if key in self.table]
        return "" if swept and set(axes) <= set(swept) else _NEEDS[self.kind]


_NEEDS = {
    "paths": "a variable recorded at two times or more",
    "learning-curves": "a variable with a swept dimension of numbers",
    "facets": "a variable with the dimensions x and by",
    "spectra": 'a variable with the dimension mode; add [[metric]] use = "eigenvalues"',
    "profiles": "a variable with one dimension of its own, such as a rank or a threshold",
    "sweeps": "a variable with a sweep, recorded at one time or held there by at = { time = … }",
}


def _dims(shape: GroupShape) -> list[str]:
    """All dimensions of a group that `at` may hold."""
    dims = dict.fromkeys([*shape.sweeps, *(d for dims in shape.variables.values() for d in dims)])
    return [dim for dim in dims if dim != "replicate"]


def _dimension(dims: Iterable[str], word: object) -> str:
    dims = list(dims)
    return f"a dimension, {one_of(dims, word)}" if dims else "a swept dimension (there is none)"


def _listed(values: Sequence[object], most: int = 12) -> str:
    shown = ", ".join(repr(value) for value in values[:most])
    return shown + (", …" if len(values) > most else "")
