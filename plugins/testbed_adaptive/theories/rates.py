"""Rates of kernels whose eigenvalues are learned, from a cell's parameters alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
from attrs import frozen

from testbed import (
    Cell,
    DoesNotApply,
    Example,
    HasPowerEigenvalues,
    HasWaves,
    IsSpectral,
    PowerDecay,
    PowerEigenvalues,
    Problem,
    Space,
    Theory,
    Variable,
    declared,
    parameter,
    space_of,
    value_with,
)


@frozen(kw_only=True)
class Rates(Theory):
    """Exponents of the risk and of the best stopping time in n, up to logarithms, by the sequence
    model that the regression tends to (arXiv:2409.00894, Theorems 3.1, 3.2; arXiv:2501.08679).

    For coefficients of size j^{−(p+1)/2} at index j^q and eigenvalues of size index^{−γ}: the fixed
    kernel n^{−p/(p+q)} at t ≍ n^{qγ/(p+q)}, the learned one n^{−p/(p+1)} at t ≍ n^{(D+1)/(D+2)}
    for γ > 1 and γ ≥ (p+1)/(D+2).

    A wave of the torus [−1, 1)^d along one axis, of a frequency that is no whole number, is known:
    its coefficients fall like 1/m along one axis, p = 1, and |m| ≤ M holds about M^d functions,
    q = d; eigenvalues (1 + |m|²)^{−γ} fall like index^{−2γ/d}. Other signals need p and q.
    """

    name = "adaptive.rates"
    references = ("arXiv:2409.00894", "arXiv:2501.08679")
    variables: ClassVar[Mapping[str, Variable]] = {
        "risk_exponent": Variable("exponent of the risk at the best time in n", time=False),
        "time_exponent": Variable("exponent of the best stopping time in n", time=False),
    }

    p: float | None = parameter(None, help="decay p of the sorted signal; known if not given", gt=0)
    q: float | None = parameter(None, help="misalignment q of the signal; known if not given", ge=1)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(
                {"p": 1.0, "q": 2.0},
                {
                    "design": {"use": "torus"},
                    "target": {"use": "trigonometric"},
                    "model": {"use": "adaptive.diagonal"},
                },
            ),
        )

    def predict(
        self, cell: Cell, times: Sequence[float], problem: Problem | None = None
    ) -> dict[str, np.ndarray]:
        space = space_of(cell.design)
        if space.kind == "sequence":
            raise DoesNotApply("it covers regressions on points, not sequences")
        law = declared(cell.model, HasPowerEigenvalues).power_eigenvalues(space)
        name = declared(cell.optimizer, IsSpectral).algorithm().name
        if name != "flow":
            raise DoesNotApply(f"it covers gradient flow, not {name}")
        if not value_with(cell.design, "noise", 0.0):
            raise DoesNotApply("it needs noise above 0")
        p, q = self._signal(cell, space)
        if not law.learned:
            risk, time = -p / (p + q), q * law.gamma / (p + q)
        else:
            _expect_learnable(law, p)
            risk, time = -p / (p + 1), (law.depth + 1) / (law.depth + 2)
        return {"risk_exponent": np.array(risk), "time_exponent": np.array(time)}

    def _signal(self, cell: Cell, space: Space) -> PowerDecay:
        """The signal's p and q; DoesNotApply if they are not known."""
        if self.p is not None and self.q is not None:
            return PowerDecay(self.p, self.q)
        if not isinstance(cell.target, HasWaves) or space.kind != "torus":
            raise DoesNotApply(
                "it needs p and q, which are known of trigonometric truths on the torus alone"
            )
        waves = cell.target.waves()
        axes = [[part for part in row if part] for row in waves.frequencies.tolist()]
        if any(len(axis) != 1 or axis[0] == round(axis[0]) for axis in axes):
            raise DoesNotApply(
                "it needs waves along one axis, with frequencies that are not whole numbers"
            )
        if waves.cosine.any():
            raise DoesNotApply(
                "it needs sines: cosines of such frequencies are continuous and fall faster"
            )
        return PowerDecay(1.0, float(space.dim or 1))


def _expect_learnable(law: PowerEigenvalues, p: float) -> None:
    """DoesNotApply where γ is too small, or the start of the extra layers does not follow ε."""
    if law.gamma <= 1 or law.gamma < (p + 1) / (law.depth + 2):
        raise DoesNotApply(
            f"it needs eigenvalues index^(−γ), γ > 1 and γ ≥ (p+1)/(D+2); found "
            f"γ = {law.gamma:g}, p = {p:g}, D = {law.depth}"
        )
    if law.depth and law.start is not None:
        raise DoesNotApply(
            f"it needs a start b₀ = ε^{{1/(D+2)}} of the extra layers, which shrinks as n grows; "
            f"found b₀ = {law.start:g}; leave b0 out"
        )
