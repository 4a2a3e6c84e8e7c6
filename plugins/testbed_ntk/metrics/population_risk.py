"""The exact risk of kernel regression, for designs and truths with known expansions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from attrs import frozen

from testbed import (
    Cell,
    DoesNotApply,
    Example,
    Metric,
    Problem,
    Risk,
    Variable,
    lacks_in_expansion,
)
from testbed_ntk.models.base import population
from testbed_ntk.theories.subject import spectrum_of

if TYPE_CHECKING:
    from torch import Tensor

PARTS = {
    "sphere": (("directions", "weights", "degree", "energy"), "source and gegenbauer"),
    "torus": (("frequencies", "sine", "cosine", "energy"), "source and trigonometric"),
}
"""Names that a target's expansion must have under each law, and the targets that have them."""


@frozen(kw_only=True)
class PopulationRisk(Metric):
    """∫ (f − f*)² under the design's own law, without test points: `excess-risk` is its mean over
    such points, and scatters around it.

    On the sphere for kernels of the inner product, on the torus for ntk.torus, if the target gives
    its expansion. `population_risk_error` bounds what is left open: degrees of the kernel
    beyond those that are summed (1e−7 on the circle, 1e−9 on S²), and rounding. Both grow towards
    interpolation, rounding with (Σ|α_i|)²: smooth kernels lose the digits that they lose there.

    It is a separate metric, not an alternative within `excess-risk`: whether it applies depends on
    design, target and model together, which the choice among alternatives does not consider, and
    one scenario may measure both.
    """

    name = "ntk.population-risk"
    references = ("doi:10.1007/BFb0094775",)
    needs = ("population_risk",)
    variables: ClassVar[Mapping[str, Variable]] = {
        "population_risk": Variable("excess risk ‖f − f*‖² under the design's law"),
        "population_risk_error": Variable("largest possible error of population_risk"),
    }

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(
                {},
                {
                    "design": {"use": "sphere"},
                    "target": {"use": "source"},
                    "model": {"use": "ntk.relu"},
                    "optimizer": {"use": "spectral-filter"},
                },
            ),
        )

    def applies(self, cell: Cell) -> str | None:
        if population(cell.design) not in PARTS:
            return f"it covers uniform points of sphere and torus, not {cell.design.name}"
        try:
            spectrum_of(cell.model, cell)
        except DoesNotApply as reason:
            return str(reason)
        return _truth_objection(cell)

    def measure(self, problem: Problem, population_risk: Risk) -> dict[str, Tensor]:
        return {
            "population_risk": population_risk.value,
            "population_risk_error": population_risk.error,
        }


def _truth_objection(cell: Cell) -> str | None:
    """Why the target's coefficients are unknown; None if they are known."""
    needed, targets = PARTS[population(cell.design) or ""]
    reason = lacks_in_expansion(cell.target, cell.design, *needed)
    return f"{reason}; {targets} have it" if reason else None
