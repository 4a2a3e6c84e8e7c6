"""Theories of kernel regression, from a cell's parameters alone.

This module imports no kernels: it reads what they declare, including their population spectrum,
which the tests compute by a second route.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
from attrs import frozen

from testbed import (
    Cell,
    DoesNotApply,
    Example,
    HasPopulationSpectrum,
    HasSourceCondition,
    Model,
    PopulationSpectrum,
    Problem,
    Theory,
    Variable,
    declared,
    parameter,
)
from testbed_ntk.theories.deterministic_equivalent import Levels, resolved, ridge_errors
from testbed_ntk.theories.exponents import (
    best_in_dimension,
    best_regularisation,
    minimax_in_dimension,
)
from testbed_ntk.theories.subject import (
    Energies,
    algorithm,
    decay_exponent,
    energies,
    expect_cosine_kernel,
    expect_fixed_profile,
    expect_learnable,
    expect_noise,
    expect_ridge,
    expect_zero_start,
    noise_of,
    source_smoothness,
    spectrum_of,
    sphere_dim,
)

ACCURACY = 0.02  # of the deterministic equivalent where it was compared with simulations
VANISHING = 0.1  # value taken for the o(1) of the barrier
LEAST_QUALIFICATION = 0.5  # of the exponents in high dimension
LEAST_DIM, LEAST_SAMPLES = 5, 3  # below which statements for growing d are not given


def levels_of(spectrum: PopulationSpectrum, trace: float, energies: Energies) -> Levels:
    """Spectrum and truth on the same eigenspaces; `tail` and `outside` hold the unlisted parts."""
    energy = np.array([energies.get(float(degree), 0.0) for degree in spectrum.degree])
    beyond = float((spectrum.eigenvalue * spectrum.multiplicity).sum())
    tail = max(trace - beyond, 0.0)
    outside = max(sum(energies.values()) - float(energy.sum()), 0.0)
    return Levels(spectrum.eigenvalue, spectrum.multiplicity, energy, tail, outside)


# --- theories -------------------------------------------------------------------------------------


@frozen(kw_only=True)
class DeterministicEquivalent(Theory):
    """Test and training error of kernel ridge regression from the kernel's population spectrum and
    the target's energy in each eigenspace (arXiv:2110.03922); the ridge is δ = n/t.

    NaN at times at which the effective ridge is not well above the unknown eigenvalues.
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

    def predict(
        self, cell: Cell, times: Sequence[float], problem: Problem | None = None
    ) -> dict[str, np.ndarray]:
        expect_ridge(cell)
        expect_zero_start(cell)
        spectrum = spectrum_of(cell.model, cell)
        trace = declared(cell.model, HasPopulationSpectrum).trace(cell.design)
        levels = levels_of(spectrum, trace, energies(cell))
        n, noise = cell.design.sizes()["train"], noise_of(cell)
        ridges = [n / time if time else math.inf for time in times]
        errors_at = [ridge_errors(levels, n, ridge, noise) for ridge in ridges]
        reliable = [resolved(levels, n, errors.kappa) for errors in errors_at]
        test = np.where(reliable, [errors.test for errors in errors_at], np.nan)
        train = np.where(reliable, [errors.train for errors in errors_at], np.nan)
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

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(
                {},
                {
                    "design": {"use": "sphere"},
                    "target": {"use": "source"},
                    "model": {"use": "ntk.laplace"},
                    "optimizer": {"use": "spectral-filter"},
                },
            ),
        )

    def predict(
        self, cell: Cell, times: Sequence[float], problem: Problem | None = None
    ) -> dict[str, np.ndarray]:
        order, source = algorithm(cell).qualification, source_smoothness(cell)
        expect_noise(cell)
        expect_zero_start(cell)
        expect_learnable(cell)
        risk, time = best_regularisation(source, decay_exponent(cell.model, cell), order)
        return {"risk_exponent": np.array(risk), "time_exponent": np.array(time)}


def growth(cell: Cell) -> float:
    """γ of n = d^γ."""
    return math.log(cell.design.sizes()["train"]) / math.log(sphere_dim(cell))


def expect_large_dimension(cell: Cell) -> int:
    """d; DoesNotApply unless points lie on a sphere, the kernel depends on their cosine alone, and
    d and n are no smaller than a statement for growing d and n needs."""
    dim = sphere_dim(cell)
    expect_cosine_kernel(cell.model, dim)
    expect_zero_start(cell)
    n = cell.design.sizes()["train"]
    if dim < LEAST_DIM or n < LEAST_SAMPLES:
        raise DoesNotApply(
            f"it holds as n and d grow; found d = {dim}, n = {n}, expected at least "
            f"d = {LEAST_DIM} and n = {LEAST_SAMPLES}"
        )
    return dim


def _expect_low_degrees(kernel: Model, cell: Cell) -> None:
    """DoesNotApply unless a kernel has μ_k ≍ d^{−k} for the degrees up to the first that is not
    learned."""
    gamma = growth(cell)
    first = spectrum_of(kernel, cell).eigenvalue[: math.ceil(gamma) + 2]
    if (first <= 0).any():
        raise DoesNotApply(f"{kernel.name} has degrees up to γ whose eigenvalues vanish")
    if len(first) <= gamma + 1:
        raise DoesNotApply(
            f"the eigenvalues of {kernel.name} are known below degree {len(first)} only"
        )


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

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(
                {},
                {
                    "design": {"use": "sphere", "dim": 6},
                    "target": {"use": "source", "kernel": {"use": "ntk.laplace"}},
                    "model": {"use": "ntk.laplace"},
                    "optimizer": {"use": "spectral-filter"},
                },
            ),
        )

    def predict(
        self, cell: Cell, times: Sequence[float], problem: Problem | None = None
    ) -> dict[str, np.ndarray]:
        order = algorithm(cell).qualification
        if order < LEAST_QUALIFICATION:
            raise DoesNotApply(
                f"it covers qualifications of at least {LEAST_QUALIFICATION}, not {order:g}"
            )
        kernel, source = declared(cell.target, HasSourceCondition).source_condition()
        expect_noise(cell)
        dim, gamma = expect_large_dimension(cell), growth(cell)
        expect_fixed_profile(cell.model, dim)
        try:
            expect_cosine_kernel(kernel, dim)
            expect_fixed_profile(kernel, dim)
        except DoesNotApply as reason:
            raise DoesNotApply(f"of the target's kernel: {reason}") from reason
        _expect_low_degrees(cell.model, cell)
        _expect_low_degrees(kernel, cell)
        best = best_in_dimension(source, gamma, order)
        minimax = minimax_in_dimension(source, gamma)
        return {"dimension_exponent": np.array(-best), "minimax_exponent": np.array(-minimax)}


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

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(
                {},
                {
                    "design": {"use": "sphere", "dim": 6},
                    "target": {"use": "gegenbauer"},
                    "model": {"use": "ntk.relu"},
                },
            ),
        )

    def predict(
        self, cell: Cell, times: Sequence[float], problem: Problem | None = None
    ) -> dict[str, np.ndarray]:
        expect_large_dimension(cell)
        gamma = growth(cell)
        if min(gamma % 1, -gamma % 1) < self.delta:
            raise DoesNotApply(f"γ = {gamma:.3g} is within {self.delta:g} of a whole number")
        learned, energy_of = math.floor(gamma), energies(cell)
        expect_learnable(cell, learned)
        beyond = sum(energy for degree, energy in energy_of.items() if degree > learned)
        return {"barrier": np.array(beyond)}
