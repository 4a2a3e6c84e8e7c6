"""Mistakes in the claims of a scenario, judged by the shape of its result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from numbers import Real
from typing import TYPE_CHECKING

from attrs import evolve, frozen

from testbed.contract.claims import DIVERGED, FINDINGS, ClaimKind
from testbed.contract.figures import ORACLE, GroupShape, Shapes, holds, position
from testbed.contract.published import PublishedTable
from testbed.errors import LISTED, Mistake, one_of
from testbed.planning.shapes import shapes_of

if TYPE_CHECKING:
    from testbed.planning.plan import Plan
    from testbed.scenario.tables import ClaimTable


def unsuitable_claims(
    plan: Plan, kinds: Mapping[str, ClaimKind], published: Mapping[str, PublishedTable]
) -> list[Mistake]:
    """The mistakes of every `[[claim]]`."""
    shapes = {name: _with_diverged(shape) for name, shape in shapes_of(plan).items()}
    catalogue = _Catalogue(shapes, kinds, published)
    mistakes = []
    names: dict[str, int] = {}
    for place, claim in enumerate(plan.scenario.claims):
        where = f"$.claim[{place}]"
        if claim.name in names:
            text = f"found the name {claim.name!r}, which $.claim[{names[claim.name]}] has"
            mistakes.append(Mistake(f"{where}.name", text, "each name once"))
        names.setdefault(claim.name, place)
        mistakes += catalogue.mistakes(claim, where)
    return mistakes


def _with_diverged(shape: GroupShape) -> GroupShape:
    """The shape with the variable that claims on a share may name."""
    return evolve(shape, variables={DIVERGED: tuple(shape.sweeps), **shape.variables})


@frozen
class _Catalogue:
    """The variables, kinds and published tables that claims may name."""

    shapes: Shapes
    kinds: Mapping[str, ClaimKind]
    published: Mapping[str, PublishedTable]

    def mistakes(self, claim: ClaimTable, where: str) -> Iterator[Mistake]:
        """The mistakes of a claim."""
        kind = self.kinds.get(claim.that)
        if kind is None:
            yield Mistake(f"{where}.that", f"found {claim.that!r}", one_of(self.kinds, claim.that))
            return
        for key in kind.requires:
            if getattr(claim, key) in (None, ""):
                text = f"found no {key!r}, which that = {claim.that!r} needs"
                yield Mistake(where, text, "", f"add {key} = …")
        if claim.that in FINDINGS:
            name = claim.of.split("/")[0]
            if name not in self.shapes:
                yield Mistake(f"{where}.of", f"found {name!r}", one_of(self.shapes, name))
            return
        yield from self._expected(claim, where)
        yield from _sided(claim, where)
        sides = [("of", claim.of, claim.at)]
        sides += [("than", claim.than, {**claim.at, **claim.than_at})] if claim.than else []
        for key, text, held in sides:
            wrong = list(self._variable(text, f"{where}.{key}"))
            yield from wrong or self._dims(claim, key, text, held, where)
        if claim.range and not claim.along:
            yield Mistake(f"{where}.range", "found no 'along'", "the dimension that it cuts")
        if claim.than_at and not claim.than:
            yield Mistake(f"{where}.than_at", "found no 'than'", "the variable that it concerns")

    def _variable(self, text: str, where: str) -> Iterator[Mistake]:
        estimator, _, variable = text.partition("/")
        if estimator not in self.shapes:
            expected = one_of(self.shapes, estimator)
            yield Mistake(where, f"found the estimator {estimator!r}", expected)
        elif variable not in self.shapes[estimator].variables:
            expected = one_of(self.shapes[estimator].variables, variable)
            yield Mistake(where, f"found the variable {variable!r}", expected)

    # --- what is expected ------------------------------------------------------------------------

    def _expected(self, claim: ClaimTable, where: str) -> Iterator[Mistake]:
        where = f"{where}.expect"
        if not isinstance(claim.expect, str):
            if claim.that == "agrees" and claim.expect is not None:
                yield Mistake(where, f"found {claim.expect!r}", "a theory's variable, or a key")
            return
        estimator = claim.of.partition("/")[0]
        shape = self.shapes.get(estimator)
        if claim.expect in self.published:
            yield from self._published(claim, where)
        elif shape is not None and claim.expect not in shape.variables:
            theories = [name for name in shape.variables if "__" in name]
            expected = one_of([*theories, *self.published], claim.expect)
            yield Mistake(where, f"found {claim.expect!r}", expected)

    def _published(self, claim: ClaimTable, where: str) -> Iterator[Mistake]:
        """Coordinates of a published number that the claim leaves open, or that it lacks."""
        table = self.published[claim.expect] if isinstance(claim.expect, str) else None
        if table is None:
            return
        open_dims = (claim.along,) if claim.that in ("agrees", "bound") else ()
        for dim in table.coordinates:
            values = tuple(dict.fromkeys(table.columns[dim]))
            points = [claim.at[dim]] if dim in claim.at else []
            if dim in claim.each and (shape := self.shapes.get(claim.of.partition("/")[0])):
                points += shape.values(dim)
            missing = [value for value in points if position(values, value) is None]
            if missing:
                text = f"found {dim} = {missing[0]!r}, for which nothing is published"
                yield Mistake(where, text, _one_value(values, missing[0]))
            elif dim not in {*claim.at, *claim.each, *open_dims} and claim.that != "agrees":
                text = f"found that its coordinate {dim!r} is left open"
                yield Mistake(where, text, "a value", "name it in at or each")

    # --- dimensions ------------------------------------------------------------------------------

    def _dims(
        self, claim: ClaimTable, key: str, text: str, held: Mapping[str, object], where: str
    ) -> Iterator[Mistake]:
        """Dimensions that the variable lacks, values they do not have, and those left open."""
        estimator, _, variable = text.partition("/")
        shape = self.shapes[estimator]
        dims = shape.variables[variable]
        table = "at" if key == "of" else "than_at"
        for dim, wanted in (claim.at if key == "of" else claim.than_at).items():
            place = f"{where}.{table}.{dim}"
            if dim not in dims:
                yield Mistake(place, f"found the dimension {dim!r}", one_of(dims, dim))
            elif dim == "time" and isinstance(wanted, str):
                if wanted != ORACLE and wanted not in shape.variables:
                    names = [ORACLE, *shape.variables]
                    yield Mistake(place, f"found {wanted!r}", one_of(names, wanted))
            elif holds(dim, shape.values(dim), wanted) is None:
                yield Mistake(place, f"found {wanted!r}", _one_value(shape.values(dim), wanted))
        if key == "of":
            for word, named in (("along", (claim.along,)), ("each", claim.each)):
                for dim in named:
                    if dim and dim not in dims:
                        text = f"found the dimension {dim!r}"
                        yield Mistake(f"{where}.{word}", text, one_of(dims, dim))
            yield from _repeated(claim, where)
        yield from _open(claim, self.kinds[claim.that], shape, dims, held, where)


def _sided(claim: ClaimTable, where: str) -> Iterator[Mistake]:
    """A side of another kind of claim, a two-sided slope without a margin, and divergence where no
    share is claimed."""
    monotone = claim.that == "monotone"
    sides = ("increasing", "decreasing") if monotone else ("above", "below")
    if claim.side and claim.side not in sides:
        yield Mistake(f"{where}.side", f"found {claim.side!r}", one_of(sides, claim.side))
    if claim.that == "slope" and not claim.side and claim.within is None:
        text = "found neither 'within' nor 'side', of which that = 'slope' needs one"
        yield Mistake(where, text, "a margin, or the side of `expect`")
    for key, variable in (("of", claim.of), ("than", claim.than)):
        if variable.partition("/")[2] == DIVERGED and claim.that != "share":
            yield Mistake(f"{where}.{key}", f"found {DIVERGED!r}", "that = 'share' to claim it")


def _repeated(claim: ClaimTable, where: str) -> Iterator[Mistake]:
    """Dimensions that a claim both holds and varies."""
    for dim in claim.at:
        if dim == claim.along or dim in claim.each:
            place = "along" if dim == claim.along else "each"
            text = f"found {dim!r} also in {place}"
            yield Mistake(f"{where}.at.{dim}", text, "one of the two")


def _open(
    claim: ClaimTable,
    kind: ClaimKind,
    shape: GroupShape,
    dims: tuple[str, ...],
    held: Mapping[str, object],
    where: str,
) -> Iterator[Mistake]:
    """The dimensions that are left open."""
    settled = {claim.along, *claim.each, *held, *kind.takes, *(dims if kind.everywhere else ())}
    for dim in dims:
        inner = dim != "time" and dim not in shape.sweeps
        if dim not in settled and (inner or shape.longer(dim)):
            value = '"oracle"' if dim == "time" else "…"
            advice = (
                f'hold it with at = {{ {dim} = {value} }}, or ask at each value: each = ["{dim}"]'
            )
            expected = (
                f"every dimension but {claim.along!r} settled" if claim.along else "it settled"
            )
            yield Mistake(where, f"found that {dim!r} is left open", expected, advice)


def _one_value(values: Sequence[object], wanted: object) -> str:
    """The values that `at` may name, or of many numbers the nearest."""
    if len(values) > LISTED and isinstance(wanted, Real):
        return one_of(values, wanted)
    return one_of([f"{v:g}" if isinstance(v, float) else str(v) for v in values], str(wanted))
