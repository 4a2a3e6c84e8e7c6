"""What theory says about sequence models, from a cell's parameters alone.

Nothing here imports the models it predicts: components are told apart by name, and only the scalar
solution of one coordinate is shared, through the quadrature.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from attrs import frozen

from testbed.contract.cells import Cell
from testbed.contract.components import Theory, Variable
from testbed.contract.values import Problem
from testbed_sequence.theories.quadrature import expected_risk, expected_risk_fixed

MODELS = ("sequence.fixed", "sequence.diagonal")


def _objection(cell: Cell) -> str | None:
    if cell.design.name != "sequence.gaussian":
        return f"it is about sequence.gaussian, not {cell.design.name}"
    if cell.model.name not in MODELS:
        return f"it is about {' and '.join(MODELS)}, not {cell.model.name}"
    if cell.optimizer.name != "gradient-flow":
        return f"it is about gradient flow, not {cell.optimizer.name}"
    return None


@frozen(kw_only=True)
class ExpectedRisk(Theory):
    """E Σ (θ_j(t) − θ*_j)², the expectation over noise that replicates only estimate.

    Fixed features: Σ (e^{−λ_j t} θ*_j)² + ε² Σ (1 − e^{−λ_j t})² exactly. Diagonal models of any
    depth: coordinates are independent, so each is integrated over its own noise by quadrature.
    """

    name = "sequence.expected-risk"
    references = ("arXiv:2409.00894",)
    variables: ClassVar[Mapping[str, Variable]] = {
        "excess_risk": Variable("expected excess risk", predicts="excess_risk")
    }

    def applies(self, cell: Cell) -> str | None:
        return _objection(cell)

    def predict(
        self, cell: Cell, times: Sequence[float], problem: Problem | None = None
    ) -> dict[str, np.ndarray]:
        design: Any = cell.design
        model: Any = cell.model
        index = np.arange(1.0, design.modes + 1)
        truth = np.asarray(cell.target.values(None, index))
        eigenvalue = index**-model.gamma
        variance = design.noise**2 / design.n
        if model.name == "sequence.fixed":
            risk = expected_risk_fixed(truth, eigenvalue, variance, times)
        else:
            b0 = variance ** (0.5 / (model.depth + 2)) if model.b0 is None else model.b0
            risk = expected_risk(truth, eigenvalue, variance, b0, model.depth, times)
        return {"excess_risk": np.asarray(risk)}


@frozen(kw_only=True)
class SpanBounds(Theory):
    """Bounds (d† − 1)ε² ≤ min_k [kε² + tail(k)] ≤ 2d†ε² of the oracle projection risk.

    d† = d†(ε²) is the span dimension of the initial order (arXiv:2509.20294): the bounds hold at
    time 0 for every model, and at all times for fixed features."""

    name = "sequence.span-bounds"
    references = ("arXiv:2509.20294",)
    variables: ClassVar[Mapping[str, Variable]] = {
        "lower": Variable("lower bound (d† − 1)ε² of the initial order", time=False),
        "upper": Variable("upper bound 2d†ε² of the initial order", time=False),
    }

    def applies(self, cell: Cell) -> str | None:
        if cell.design.name == "sequence.gaussian" and not getattr(cell.design, "noise", 1.0):
            return "it needs noise above 0"
        return _objection(cell)

    def predict(
        self, cell: Cell, times: Sequence[float], problem: Problem | None = None
    ) -> dict[str, np.ndarray]:
        design: Any = cell.design
        truth = np.asarray(cell.target.values(None, np.arange(1.0, design.modes + 1)))
        variance = design.noise**2 / design.n
        tail = np.cumsum(truth[::-1] ** 2)[::-1]  # Σ_{i ≥ k}, k = 1 … J: λ_j decreases in j
        beyond = np.append(tail[1:], 0.0) / np.arange(1, len(truth) + 1)
        dimension = 1 + int(np.argmax(beyond <= variance))
        return {
            "lower": np.array((dimension - 1) * variance),
            "upper": np.array(2 * dimension * variance),
        }


@frozen(kw_only=True)
class Rates(Theory):
    """Exponents of the risk and of the best stopping time in n, up to logarithms.

    For the misaligned power signal (arXiv:2409.00894, Theorems 3.1, 3.2 and Corollary 3.3):

    fixed features n^{−p/(p+q)} at t ≍ n^{qγ/(p+q)}; diagonal ones n^{−p/(p+1)} at
    t ≍ n^{(D+1)/(D+2)}, for γ > 1 and γ ≥ (p+1)/(D+2).
    """

    name = "sequence.rates"
    references = ("arXiv:2409.00894",)
    variables: ClassVar[Mapping[str, Variable]] = {
        "risk_exponent": Variable("exponent of the risk at the best time in n", time=False),
        "time_exponent": Variable("exponent of the best stopping time in n", time=False),
    }

    def applies(self, cell: Cell) -> str | None:
        if cell.target.name not in ("sequence.sparse-power", "sequence.power"):
            return f"it is about power-law truths, not {cell.target.name}"
        if getattr(cell.target, "nonzeros", None) is not None:
            return "it is about infinitely many coefficients; the target sets nonzeros"
        model: Any = cell.model
        if model.name == "sequence.diagonal":
            target: Any = cell.target
            if model.gamma <= 1 or model.gamma < (target.p + 1) / (model.depth + 2):
                return (
                    f"it needs γ > 1 and γ ≥ (p+1)/(D+2); found γ = {model.gamma:g}, "
                    f"p = {target.p:g}, D = {model.depth}"
                )
        return _objection(cell)

    def predict(
        self, cell: Cell, times: Sequence[float], problem: Problem | None = None
    ) -> dict[str, np.ndarray]:
        target: Any = cell.target
        model: Any = cell.model
        p, q = target.p, getattr(target, "q", 1.0)
        if model.name == "sequence.fixed":
            risk, time = -p / (p + q), q * model.gamma / (p + q)
        else:
            risk, time = -p / (p + 1), (model.depth + 1) / (model.depth + 2)
        return {"risk_exponent": np.array(risk), "time_exponent": np.array(time)}
