"""What makes a well-typed scenario of kernels impossible: matrices beyond the memory it allows."""

from __future__ import annotations

from testbed.cells import Cell
from testbed.plan import Plan
from testbed_ntk.base import KernelModel

GIB = 2**30
MATRICES = {"eigen": 2.1, "krylov": 1.1}  # n×n matrices held at a time, as measured


def objections(plan: Plan) -> list[str]:
    """Reasons against a plan, each once."""
    reasons = (_oversized(cell) for cell in plan.cells if cell.replicates)
    return list(dict.fromkeys(reason for reason in reasons if reason))


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
