"""What makes a well-typed scenario of sequences unsound."""

from __future__ import annotations

from testbed import Cell, Plan
from testbed_sequence.designs.gaussian import GaussianSequence
from testbed_sequence.models.diagonal import Diagonal


def objections(plan: Plan) -> list[str]:
    """Reasons against a plan, each once."""
    reasons = (_frozen(cell) for cell in plan.cells)
    return list(dict.fromkeys(reason for reason in reasons if reason))


def _frozen(cell: Cell) -> str | None:
    """Noise 0 makes the default b₀ = ε^{1/(D+2)} zero, and a model of depth D ≥ 1 never moves."""
    model, design = cell.model, cell.design
    if not (isinstance(model, Diagonal) and isinstance(design, GaussianSequence)):
        return None
    if model.depth and model.b0 is None and design.noise == 0:
        return (
            f"found noise 0 for the estimator {cell.estimator!r} of depth {model.depth}, whose "
            "default b0 = ε^{1/(D+2)} is then 0 and freezes it; give b0"
        )
    return None
