"""What makes a well-typed scenario untrainable."""

from __future__ import annotations

from testbed.cells import Cell
from testbed.plan import Plan
from testbed_basics.optimizers.sgd import Sgd


def objections(plan: Plan) -> list[str]:
    """Reasons against a plan, each once."""
    reasons = (_oversized(cell) for cell in plan.cells)
    return list(dict.fromkeys(reason for reason in reasons if reason))


def _oversized(cell: Cell) -> str | None:
    """Batches larger than the sample."""
    count = cell.design.sizes()["train"]
    if not isinstance(cell.optimizer, Sgd) or not 0 < count < cell.optimizer.batch_size:
        return None
    return (
        f"found batches of {cell.optimizer.batch_size} points in the estimator "
        f"{cell.estimator!r}, but only {count} training points; lower batch_size"
    )
