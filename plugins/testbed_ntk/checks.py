"""Why a scenario of kernels cannot run although its types are right: matrices larger than the
memory it allows, or kernels that cannot be used on the design's inputs. And a note on its results:
the target was made with another kernel."""

from __future__ import annotations

import math

from testbed import (
    Cell,
    Finding,
    HasRandomStart,
    Mistake,
    Plan,
    UnsuitableError,
    foreign_kernel,
    has,
    in_words,
    mistake,
    place,
    value_with,
)
from testbed.numerics.weighted_gram import NOT_KRYLOV
from testbed_ntk.models.base import FormulaKernel, design_dim, population

GIB = 2**30
FORMED = ("spectrum", "basis")  # needs for which eigenvectors are formed
MATRICES = {  # measured maximum of n×n matrices at a time, by the route and by what metrics need
    ("krylov", ""): 1.1,
    ("krylov", "spectrum"): 2.9,
    ("krylov", "leverage"): 3.8,
    ("eigen", ""): 2.6,
    ("eigen", "spectrum"): 3.8,
    ("eigen", "leverage"): 4.8,
}
INITIAL = 2.1  # of float64, all points by all points, for a random start
FORMS = 2  # of float64 in addition, for the risk under the law of the sphere


def objections(plan: Plan) -> list[Mistake]:
    """Reasons against a plan, without repetition."""
    cells = [cell for cell in plan.cells if cell.replicates]
    points = {(cell.estimator, cell.index): cell for cell in cells}  # replicates need the same
    reasons = [_oversized(plan, cell) for cell in points.values()]
    distinct = {(id(cell.model), design_dim(cell.design)): cell for cell in cells}
    reasons += [_misfit(plan, cell) for cell in distinct.values()]
    return list(dict.fromkeys(reason for reason in reasons if reason))


def _misfit(plan: Plan, cell: Cell) -> Mistake | None:
    """Why the kernel cannot be used on inputs of the design's dimension; None if it can."""
    dim = design_dim(cell.design)
    if not isinstance(cell.model, FormulaKernel) or not dim:
        return None
    try:
        cell.model.kernel(dim)
    except UnsuitableError as error:
        return mistake(place(plan, cell, "model"), error)
    return None


def _oversized(plan: Plan, cell: Cell) -> Mistake | None:
    """An objection where Gram matrices and their factors need more than `[compute] memory`."""
    if not isinstance(cell.model, FormulaKernel):
        return None
    count = cell.design.sizes()["train"]
    route, need = _route(cell, cell.model, count), _need(cell)
    number = MATRICES[route, need] * count**2 * (4 if cell.compute.dtype == "float32" else 8) / GIB
    needs = [request.name for planned in cell.metrics for request in planned.needs]
    if population(cell.design) == "sphere" and "population_risk" in needs:
        number += FORMS * count**2 * 8 / GIB
    if has(cell.model, HasRandomStart):
        number += INITIAL * sum(cell.design.sizes().values()) ** 2 * 8 / GIB
    if number <= cell.compute.memory:
        return None
    extra = f" with the {need} that metrics ask for" if need else ""
    return Mistake(
        place(plan, cell, "design"),
        f"found n = {count} in the estimator {cell.estimator!r}, whose matrices take "
        f"{number:.3g} GiB by the route {route!r}{extra}",
        f"at most {cell.compute.memory:g} GiB",
        "lower n, leave the numbers to theory (simulate), or raise memory in [compute]",
    )


def findings(plan: Plan) -> list[Finding]:
    """Targets that were built with another kernel than the model's, one finding per estimator."""
    notes = (_foreign(plan, estimator.name) for estimator in plan.estimators)
    return [finding for finding in notes if finding]


def _foreign(plan: Plan, name: str) -> Finding | None:
    cells = [
        cell
        for cell in plan.cells
        if cell.estimator == name and isinstance(cell.model, FormulaKernel)
    ]
    points = {cell.index: cell for cell in cells}.values()
    mismatched = [cell for cell in points if foreign_kernel(cell.target, cell.model)]
    if not mismatched:
        return None
    return Finding(
        check="foreign-kernel",
        severity="note",
        estimator=name,
        cell=in_words(mismatched[0].point),
        points=len(mismatched),
        judged=len(points),
        observation=str(foreign_kernel(mismatched[0].target, mismatched[0].model)),
        advice="read the target's smoothness or norm in the space of its own kernel, or build it "
        'with the model\'s kernel: kernel = "estimator:NAME"',
    )


def _route(cell: Cell, model: FormulaKernel, count: int) -> str:
    """The route of the path: some filters, and the limit t = ∞, always factorise."""
    name = value_with(cell.optimizer, "filter", "")
    factorised = name in NOT_KRYLOV or math.isinf(cell.times[-1])
    return "krylov" if model.by_krylov(count) and not factorised else "eigen"


def _need(cell: Cell) -> str:
    """The need of metrics that takes the most memory, in addition to the path."""
    needs = {request.need.name for planned in cell.metrics for request in planned.needs}
    if "leverage" in needs:
        return "leverage"
    return "spectrum" if needs & set(FORMED) else ""
