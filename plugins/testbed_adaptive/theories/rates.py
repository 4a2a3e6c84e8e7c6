"""Rates of kernels whose eigenvalues are learned, from a cell's parameters alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
from attrs import frozen

from testbed.contract.cells import Cell
from testbed.contract.components import Theory, Variable
from testbed.contract.parameters import parameter
from testbed.contract.values import Problem

MODELS = ("adaptive.diagonal", "adaptive.sequence-twin")


class Signal(NamedTuple):
    """Sorted coefficients of size j^{−(p+1)/2}, the j-th at index j^q of the basis."""

    p: float
    q: float


class Kernel(NamedTuple):
    """Eigenvalues of size index^{−gamma}, and what is learned of them."""

    gamma: float
    depth: int
    fixed: bool


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

    def applies(self, cell: Cell) -> str | None:
        model: Any = cell.model
        if model.name not in MODELS:
            return f"it is about {' and '.join(MODELS)}, not {model.name}"
        if model.name == MODELS[1] and model.of.name not in ("sequence.fixed", "sequence.diagonal"):
            return f"it is about fixed and diagonal sequence models, not {model.of.name}"
        if cell.optimizer.name != "gradient-flow":
            return f"it is about gradient flow, not {cell.optimizer.name}"
        signal = self._signal(cell)
        if isinstance(signal, str):
            return signal
        kernel = _kernel(cell)
        if isinstance(kernel, str):
            return kernel
        if not kernel.fixed and (
            kernel.gamma <= 1 or kernel.gamma < (signal.p + 1) / (kernel.depth + 2)
        ):
            return (
                f"it needs eigenvalues index^(−γ), γ > 1 and γ ≥ (p+1)/(D+2); found "
                f"γ = {kernel.gamma:g}, p = {signal.p:g}, D = {kernel.depth}"
            )
        return None

    def predict(
        self, cell: Cell, times: Sequence[float], problem: Problem | None = None
    ) -> dict[str, np.ndarray]:
        signal, kernel = self._signal(cell), _kernel(cell)
        assert isinstance(signal, Signal) and isinstance(kernel, Kernel)  # it applies
        p, q = signal
        if kernel.fixed:
            risk, time = -p / (p + q), q * kernel.gamma / (p + q)
        else:
            risk, time = -p / (p + 1), (kernel.depth + 1) / (kernel.depth + 2)
        return {"risk_exponent": np.array(risk), "time_exponent": np.array(time)}

    def _signal(self, cell: Cell) -> Signal | str:
        """The signal's p and q, or why they are not known."""
        if self.p is not None and self.q is not None:
            return Signal(self.p, self.q)
        target: Any = cell.target
        model: Any = cell.model
        if target.name != "trigonometric" or model.basis_name != "torus":
            return "it needs p and q, which are known of trigonometric truths on the torus alone"
        waves = [[part for part in wave if part] for wave in target.frequencies]
        if any(len(wave) != 1 or wave[0] == round(wave[0]) for wave in waves):
            return "it needs waves along one axis, of frequencies that are no whole numbers"
        if target.cosine is not None and any(target.cosine):
            return "it needs sines: cosines of such frequencies are continuous and fall faster"
        return Signal(1.0, float(_dim(cell)))


def _kernel(cell: Cell) -> Kernel | str:
    """The decay in the index, or why it is not known."""
    model: Any = cell.model
    of = getattr(model, "of", model)
    gamma = float(of.gamma)
    if model.order == "level":
        if model.basis_name in ("sphere", "hermite"):
            return 'it needs eigenvalues that decay in the index; give order = "index"'
        if model.basis_name == "torus":
            gamma *= 2 / _dim(cell)
    fixed = of.name == "sequence.fixed" or getattr(of, "learn", "eigenvalues") == "none"
    return Kernel(gamma, int(getattr(of, "depth", 0)), fixed)


def _dim(cell: Cell) -> int:
    return int(getattr(cell.design, "dim", 1))
