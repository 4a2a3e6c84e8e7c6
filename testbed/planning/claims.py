"""Mistakes in the claims of a scenario, judged by the shape of its result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from testbed.contract.claims import ClaimKind
from testbed.contract.figures import GroupShape, Shapes, holds
from testbed.errors import Mistake, one_of
from testbed.planning.shapes import shapes_of

if TYPE_CHECKING:
    from testbed.planning.plan import Plan
    from testbed.scenario.tables import ClaimTable


def unsuitable_claims(plan: Plan, kinds: Mapping[str, ClaimKind]) -> list[Mistake]:
    """The mistakes of every `[[claim]]`."""
    shapes = shapes_of(plan)
    mistakes = []
    for position, claim in enumerate(plan.scenario.claims):
        mistakes += _mistakes(claim, kinds, shapes, f"$.claim[{position}]")
    return mistakes


def _mistakes(
    claim: ClaimTable, kinds: Mapping[str, ClaimKind], shapes: Shapes, where: str
) -> list[Mistake]:
    kind = kinds.get(claim.that)
    if kind is None:
        return [Mistake(f"{where}.that", f"found {claim.that!r}", one_of(kinds, claim.that))]
    missing = [key for key in kind.requires if getattr(claim, key) in (None, "")]
    mistakes = [
        Mistake(where, f"found no {key}, which that = {claim.that!r} needs", kind.help)
        for key in missing
    ]
    if claim.that == "flagged":
        name = claim.of.split("/")[0]
        if name not in shapes:
            mistakes.append(Mistake(f"{where}.of", f"found {name!r}", one_of(shapes, name)))
        return mistakes
    if isinstance(claim.expect, str):
        mistakes += _variable(f"{claim.of.split('/')[0]}/{claim.expect}", shapes, f"{where}.expect")
    if claim.that == "agrees" and not isinstance(claim.expect, str):
        text = f"found {claim.expect!r}"
        mistakes.append(Mistake(f"{where}.expect", text, "the name of a theory's variable"))
    named = [("of", claim.of), *([("than", claim.than)] if claim.than else [])]
    for key, text in named:
        wrong = _variable(text, shapes, f"{where}.{key}")
        mistakes += wrong
        if not wrong:
            mistakes += _dims(claim, text, shapes, where)
    return mistakes


def _variable(text: str, shapes: Shapes, where: str) -> list[Mistake]:
    estimator, _, variable = text.partition("/")
    if estimator not in shapes:
        expected = one_of(shapes, estimator)
        return [Mistake(where, f"found the estimator {estimator!r}", expected)]
    if variable not in shapes[estimator].variables:
        expected = one_of(shapes[estimator].variables, variable)
        return [Mistake(where, f"found the variable {variable!r}", expected)]
    return []


def _dims(claim: ClaimTable, text: str, shapes: Shapes, where: str) -> Iterator[Mistake]:
    """The mistakes of dimensions that the variable lacks, and of those that are left open."""
    estimator, _, variable = text.partition("/")
    shape: GroupShape = shapes[estimator]
    dims = shape.variables[variable]
    for dim, wanted in claim.at.items():
        if dim not in dims:
            if text == claim.of:
                yield Mistake(f"{where}.at.{dim}", f"found {dim!r}", one_of(dims, dim))
        elif (dim, wanted) != ("time", "oracle") and holds(dim, shape.values(dim), wanted) is None:
            yield Mistake(f"{where}.at.{dim}", f"found {wanted!r}", f"a value of {dim}")
    if text == claim.of:
        for dim in (claim.along, *claim.each):
            if dim and dim not in dims:
                yield Mistake(where, f"found the dimension {dim!r}", one_of(dims, dim))
    settled = {claim.along, *claim.each, *claim.at}
    if claim.that in ("agrees", "collapse"):
        settled |= {"time"}
    if claim.that == "agrees":
        settled |= set(dims)
    for dim in dims:
        if dim not in settled and shape.longer(dim):
            advice = f"name it in at, each or along{', or say time = oracle' * (dim == 'time')}"
            yield Mistake(where, f"found that {dim!r} is left open", "one dimension, along", advice)
