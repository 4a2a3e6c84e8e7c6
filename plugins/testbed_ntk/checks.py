"""What makes a well-typed scenario of kernels impossible: matrices beyond the memory it allows, and
kernels that the design's inputs do not fit. What one should know of its results: targets of another
kernel."""

from __future__ import annotations

from typing import Any

from testbed.cells import Cell
from testbed.errors import UnsuitableError
from testbed.findings import Finding
from testbed.fitting import foreign_kernel
from testbed.names import in_words
from testbed.plan import Plan
from testbed_ntk.base import KernelModel, design_dim

GIB = 2**30
MATRICES = {"eigen": 2.1, "krylov": 1.1}  # n×n matrices held at a time, as measured


def objections(plan: Plan) -> list[str]:
    """Reasons against a plan, each once."""
    simulated = [cell for cell in plan.cells if cell.replicates]
    reasons = [_oversized(cell) for cell in simulated]
    kernels = [cell for cell in simulated if isinstance(cell.model, KernelModel)]
    pairs = dict.fromkeys((cell.model, design_dim(cell.design)) for cell in kernels)
    reasons += [_misfit(model, dim) for model, dim in pairs]
    return list(dict.fromkeys(reason for reason in reasons if reason))


def _misfit(model: Any, dim: int) -> str | None:
    """Why there is no such kernel on the design's inputs, where their dimension is known."""
    try:
        if dim:
            model.kernel(dim)
    except UnsuitableError as error:
        return str(error)
    return None


def _oversized(cell: Cell) -> str | None:
    """Gram matrices larger than `[compute] memory`."""
    if not isinstance(cell.model, KernelModel):
        return None
    count = cell.design.sizes()["train"]
    route = "krylov" if cell.model.by_krylov(count) else "eigen"
    needed = MATRICES[route] * count**2 * (4 if cell.compute.dtype == "float32" else 8) / GIB
    if needed <= cell.compute.memory:
        return None
    return (
        f"found n = {count} in the estimator {cell.estimator!r}, whose matrices take "
        f"{needed:.3g} GiB by the route {route!r}, expected at most {cell.compute.memory:g} GiB; "
        f"lower n, leave the numbers to theory (simulate), or raise memory in [compute]"
    )


def findings(plan: Plan) -> list[Finding]:
    """Targets that are made of another kernel than the one they are fitted with, an estimator
    each."""
    found = (_foreign(plan, estimator.name) for estimator in plan.estimators)
    return [finding for finding in found if finding]


def _foreign(plan: Plan, name: str) -> Finding | None:
    own = [
        one for one in plan.cells if one.estimator == name and isinstance(one.model, KernelModel)
    ]
    points = {cell.index: cell for cell in own}.values()
    apart = [cell for cell in points if foreign_kernel(cell.target, cell.model)]
    if not apart:
        return None
    return Finding(
        check="foreign-kernel",
        severity="note",
        estimator=name,
        cell=in_words(apart[0].point),
        points=len(apart),
        judged=len(points),
        seen=str(foreign_kernel(apart[0].target, apart[0].model)),
        advice="read the target's smoothness or norm as that of its own kernel's space, or give it "
        'the model\'s: kernel = "estimator:NAME"',
    )
