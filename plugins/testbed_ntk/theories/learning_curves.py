"""What theory says about kernel regression, from a cell's parameters alone.

Nothing here imports the kernels it predicts: components are told apart by name and asked for their
population spectrum, which has its own second route in the tests.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from attrs import frozen

from testbed.contract.capabilities import HasPopulationSpectrum, has, lack
from testbed.contract.cells import Cell
from testbed.contract.components import Model, PopulationSpectrum, Theory, Variable
from testbed.contract.parameters import parameter, value_with
from testbed.contract.values import Problem
from testbed.errors import UnsuitableError
from testbed_ntk.theories.deterministic_equivalent import Levels, resolved, ridge_errors
from testbed_ntk.theories.exponents import (
    best_in_dimension,
    best_regularisation,
    minimax_in_dimension,
)
from testbed_ntk.theories.subject import (
    Energies,
    algorithm,
    cosine_objection,
    decay_exponent,
    energies,
    energy_objection,
    never_learned,
    qualification,
    source_kernel,
    source_smoothness,
    spectrum_objection,
    start_objection,
    stated_smoothness,
)

ACCURACY = 0.02  # of the deterministic equivalent where it was compared with simulations
VANISHING = 0.1  # what o(1) of the barrier stands for
LEAST_QUALIFICATION = 0.5  # of the exponents in high dimension


def levels_of(spectrum: PopulationSpectrum, trace: float, known: Energies) -> Levels:
    """Spectrum and truth on the same eigenspaces; what the spectrum does not list is apart."""
    energy = np.array([known.get(float(degree), 0.0) for degree in spectrum.degree])
    beyond = float((spectrum.eigenvalue * spectrum.multiplicity).sum())
    tail = max(trace - beyond, 0.0)
    outside = max(sum(known.values()) - float(energy.sum()), 0.0)
    return Levels(spectrum.eigenvalue, spectrum.multiplicity, energy, tail, outside)


# --- theories -------------------------------------------------------------------------------------


@frozen(kw_only=True)
class DeterministicEquivalent(Theory):
    """Test and training error of kernel ridge regression from the kernel's population spectrum and
    the target's energy in each eigenspace (arXiv:2110.03922); the ridge is δ = n/t.

    NaN at times at which the effective ridge comes down to eigenvalues beyond those that are known.
    """

    name = "ntk.deterministic-equivalent"
    references = ("arXiv:2110.03922", "arXiv:2006.13198")
    variables: ClassVar[Mapping[str, Variable]] = {
        "excess_risk": Variable("expected excess risk", predicts="excess_risk", accuracy=ACCURACY),
        "test_error": Variable(
            "expected mean square against noisy labels", predicts="test_error", accuracy=ACCURACY
        ),
        "training_loss": Variable(
            "expected training loss", predicts="training_loss", accuracy=ACCURACY
        ),
    }

    def applies(self, cell: Cell) -> str | None:
        if algorithm(cell) != "ridge":
            return f"it is about ridge regression, not {algorithm(cell)}"
        return start_objection(cell) or spectrum_objection(cell) or energy_objection(cell)

    def predict(
        self, cell: Cell, times: Sequence[float], problem: Problem | None = None
    ) -> dict[str, np.ndarray]:
        assert isinstance(cell.model, HasPopulationSpectrum)  # as `applies` found
        spectrum = cell.model.population_spectrum(cell.design)
        levels = levels_of(spectrum, cell.model.trace(cell.design), energies(cell) or {})
        n, noise = cell.design.sizes()["train"], value_with(cell.design, "noise", 0.0)
        ridges = [n / time if time else math.inf for time in times]
        found = [ridge_errors(levels, n, ridge, noise) for ridge in ridges]
        known = [resolved(levels, n, errors.kappa) for errors in found]
        test = np.where(known, [errors.test for errors in found], np.nan)
        train = np.where(known, [errors.train for errors in found], np.nan)
        return {"excess_risk": test - noise**2, "test_error": test, "training_loss": train / 2}


@frozen(kw_only=True)
class Rates(Theory):
    """Exponents in n of the risk at the best training time, and of that time, in fixed dimension:
    f* ∈ [H]^s, λ_j ≍ j^{−β}, noise above 0; an algorithm of qualification q sees min(s, 2q).

    H is the space of the model's kernel. A target in [H]^s of another one, λ_j ≍ j^{−β'}, counts as
    one of smoothness sβ'/β.
    """

    name = "ntk.rates"
    references = ("arXiv:2412.18756",)
    variables: ClassVar[Mapping[str, Variable]] = {
        "risk_exponent": Variable("exponent of the risk at the best time in n", time=False),
        "time_exponent": Variable("exponent of the best training time in n", time=False),
    }

    def applies(self, cell: Cell) -> str | None:
        order, source = qualification(cell), source_smoothness(cell)
        if isinstance(order, str):
            return order
        if isinstance(source, str):
            return source
        if not getattr(cell.design, "noise", 0.0):
            return "it needs noise above 0"
        return start_objection(cell) or never_learned(cell)

    def predict(
        self, cell: Cell, times: Sequence[float], problem: Problem | None = None
    ) -> dict[str, np.ndarray]:
        order, source = qualification(cell), source_smoothness(cell)
        decay = decay_exponent(cell.model, cell.design)
        assert not isinstance(order, str)  # as `applies` found
        assert not isinstance(source, str) and not isinstance(decay, str)
        risk, time = best_regularisation(source, decay, order)
        return {"risk_exponent": np.array(risk), "time_exponent": np.array(time)}


def growth(cell: Cell) -> float:
    """γ of n = d^γ."""
    design: Any = cell.design
    return math.log(design.sizes()["train"]) / math.log(design.dim)


def _inner_product_objection(cell: Cell) -> str | None:
    if cell.design.name != "sphere":
        return f"it is about the sphere, not {cell.design.name}"
    design: Any = cell.design
    return cosine_objection(cell.model, design.dim) or start_objection(cell)


def _low_degrees_objection(kernel: Model, cell: Cell) -> str | None:
    """Why a kernel has not μ_k ≍ d^{−k} for the degrees up to the first that is not learned."""
    gamma = growth(cell)
    if not has(kernel, HasPopulationSpectrum):
        return lack(kernel, HasPopulationSpectrum)
    try:
        first = kernel.population_spectrum(cell.design).eigenvalue[: math.ceil(gamma) + 2]
    except UnsuitableError as error:
        return str(error)
    if (first <= 0).any():
        return f"{kernel.name} has degrees up to γ whose eigenvalues vanish"
    if len(first) <= gamma + 1:
        return f"the eigenvalues of {kernel.name} are known below degree {len(first)} only"
    return None


@frozen(kw_only=True)
class LargeDimension(Theory):
    """Exponent −r of the risk d^{−r} at the best training time, n = d^γ, for a target in [H]^s with
    ‖P_k f*‖² ≍ d^{−ks} and noise above 0 (arXiv:2309.04268, arXiv:2401.01270).

    All inner-product kernels with eigenvalues at low degrees have μ_k ≍ d^{−k}, so that H may be
    that of another one than the model's. Algorithms of finite qualification attain the minimax
    exponent up to s = q, and saturate above.

    Asymptotic in d: at d of 10 to 40 off by up to .13 inside the plateaus' intervals and .25 at
    their ends; `ntk.deterministic-equivalent` has the value at finite d.
    """

    name = "ntk.large-dimension"
    references = ("arXiv:2309.04268", "arXiv:2401.01270")
    variables: ClassVar[Mapping[str, Variable]] = {
        "dimension_exponent": Variable("exponent of the risk at the best time in d", time=False),
        "minimax_exponent": Variable("exponent of the minimax risk in d", time=False),
    }

    def applies(self, cell: Cell) -> str | None:
        order, kernel = qualification(cell), source_kernel(cell)
        if isinstance(order, str):
            return order
        if order < LEAST_QUALIFICATION:
            return f"it is about qualifications of at least {LEAST_QUALIFICATION}, not {order:g}"
        if kernel is None:
            return f"it is about targets in [H]^s (source), not {cell.target.name}"
        if not getattr(cell.design, "noise", 0.0):
            return "it needs noise above 0"
        reason = _inner_product_objection(cell)
        if reason:
            return reason
        design: Any = cell.design
        reason = cosine_objection(kernel, design.dim)
        if reason:
            return f"of the target's kernel: {reason}"
        return _low_degrees_objection(cell.model, cell) or _low_degrees_objection(kernel, cell)

    def predict(
        self, cell: Cell, times: Sequence[float], problem: Problem | None = None
    ) -> dict[str, np.ndarray]:
        source, gamma, order = stated_smoothness(cell), growth(cell), qualification(cell)
        assert not isinstance(order, str)  # as `applies` found
        own = best_in_dimension(source, gamma, order)
        minimax = minimax_in_dimension(source, gamma)
        return {"dimension_exponent": np.array(-own), "minimax_exponent": np.array(-minimax)}


@frozen(kw_only=True)
class PolynomialBarrier(Theory):
    """‖P_{>ℓ} f*‖²: what no inner-product kernel method learns from n samples,
    d^{ℓ+δ} ≤ n ≤ d^{ℓ+1−δ}, up to a factor 1 − o(1), and what ridge attains (arXiv:1904.12191)."""

    name = "ntk.polynomial-barrier"
    references = ("arXiv:1904.12191", "arXiv:2006.13409")
    variables: ClassVar[Mapping[str, Variable]] = {
        "barrier": Variable(
            "energy of the truth beyond the learnable degrees",
            predicts="excess_risk",
            time=False,
            states="lower bound",
            accuracy=VANISHING,
        )
    }

    delta: float = parameter(
        0.1, help="least distance δ of γ, n = d^γ, from a whole number", gt=0, lt=0.5
    )

    def applies(self, cell: Cell) -> str | None:
        reason = _inner_product_objection(cell)
        if reason:
            return reason
        gamma = growth(cell)
        if min(gamma % 1, -gamma % 1) < self.delta:
            return f"γ = {gamma:.3g} is within {self.delta:g} of a whole number"
        return energy_objection(cell)

    def predict(
        self, cell: Cell, times: Sequence[float], problem: Problem | None = None
    ) -> dict[str, np.ndarray]:
        learned = math.floor(growth(cell))
        known = energies(cell) or {}
        beyond = sum(energy for degree, energy in known.items() if degree > learned)
        return {"barrier": np.array(beyond)}
