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

from testbed.cells import Cell
from testbed.components import Model, PopulationSpectrum, Theory, Variable
from testbed.errors import UnsuitableError
from testbed.parameters import parameter
from testbed.seeds import Streams
from testbed.values import Problem, Sample
from testbed_ntk.deterministic_equivalent import Levels, ridge_errors
from testbed_ntk.exponents import best_regularisation, minimax_in_dimension, ridge_in_dimension

Energies = dict[float, float]  # degree → ‖P_k f*‖²

# --- what a cell is about -------------------------------------------------------------------------


def algorithm(cell: Cell) -> str:
    """The spectral filter of the cell's optimizer; the optimizer's name if it is none."""
    name = cell.optimizer.name
    if name == "spectral-filter":
        return str(getattr(cell.optimizer, "filter", name))
    return {"gradient-flow": "flow", "gradient-descent": "descent"}.get(name, name)


def qualification(cell: Cell) -> float:
    """Of the cell's algorithm: 1 for ridge, its order for iterated ridge, else infinite."""
    name = algorithm(cell)
    if name == "iterated-ridge":
        return float(getattr(cell.optimizer, "qualification", 1.0))
    return 1.0 if name == "ridge" else math.inf


def energies(cell: Cell) -> Energies | None:
    """‖P_k f*‖² by degree k, where the target knows it; random targets have it fixed."""
    nothing = np.zeros((1, int(getattr(cell.design, "dim", 1))))
    one, zero = np.ones(1), np.zeros(1)
    sample = Sample(nothing, one, zero, 0.0, nothing, one, zero, design=cell.design)
    drawn = cell.target.draw(Streams(cell.seed, 0), sample)
    known = cell.target.expansion(drawn, sample)
    if "energy" not in known or "degree" not in known:
        return None
    pairs = zip(np.ravel(known["degree"]), np.ravel(known["energy"]), strict=True)
    found: Energies = {}
    for degree, energy in pairs:
        found[float(degree)] = found.get(float(degree), 0.0) + float(energy)
    return found


def _energy_objection(cell: Cell) -> str | None:
    try:
        known = energies(cell)
    except UnsuitableError as error:
        return str(error)
    if known is None:
        return f"the target {cell.target.name} does not know its energy by degree"
    return None


def spectrum_objection(cell: Cell) -> str | None:
    """Why the population spectrum of the cell's kernel is unknown; None if it is known."""
    if type(cell.model).population_spectrum is Model.population_spectrum:
        return f"{cell.model.name} has no population spectrum"
    try:
        cell.model.population_spectrum(cell.design)
    except UnsuitableError as error:
        return str(error)
    return None


def levels_of(spectrum: PopulationSpectrum, trace: float, known: Energies) -> Levels:
    """Spectrum and truth on the same eigenspaces; what the spectrum does not list is apart."""
    energy = np.array([known.get(float(degree), 0.0) for degree in spectrum.degree])
    beyond = float((spectrum.eigenvalue * spectrum.multiplicity).sum())
    tail = max(trace - beyond, 0.0)
    outside = max(sum(known.values()) - float(energy.sum()), 0.0)
    return Levels(spectrum.eigenvalue, spectrum.multiplicity, energy, tail, outside)


def decay_exponent(cell: Cell) -> float | str:
    """β of λ_j ≍ j^{−β}, or why there is none.

    On S^{d−1} a kernel that behaves like (1 − t)^ν near t = 1 has μ_k ≍ k^{−(d−1+2ν)}, each with
    ≍ k^{d−2} modes, hence β = (d − 1 + 2ν)/(d − 1): ν = ½ for the NTK of any depth and the Laplace
    kernel, 3/2 for the NNGP kernel of ReLU, its own for Matérn. On the torus β = 2r/d.
    """
    model: Any = cell.model
    dim = int(getattr(cell.design, "dim", 0))
    if model.name == "ntk.torus":
        return 2 * model.smoothness / dim if cell.design.name == "torus" else _wrong_design(cell)
    activation = getattr(model, "activation", "relu")
    if activation != "relu":
        return (
            f"it is about kernels whose eigenvalues decay like a power, not {activation} networks"
        )
    orders = {"ntk.relu": 0.5, "ntk.network": 0.5, "ntk.laplace": 0.5, "ntk.nngp": 1.5}
    order = getattr(model, "nu", None) if model.name == "ntk.matern" else orders.get(model.name)
    if order is None:
        return f"it is about kernels whose eigenvalues decay like a power, not {model.name}"
    if cell.design.name != "sphere":
        return _wrong_design(cell)
    return _cosine_objection(model, dim) or (dim - 1 + 2 * order) / (dim - 1)


def _cosine_objection(model: Model, dim: int) -> str | None:
    """Why a model is no kernel of this plugin that depends on unit inputs by their cosine alone."""
    profile = getattr(model, "profile", None) if model.name.startswith("ntk.") else None
    try:
        known = profile is not None and profile(dim) is not None
    except UnsuitableError:
        return None  # it is one, whose spectrum alone is out of reach
    return None if known else f"it is about inner-product kernels, not {_called(model)}"


def _called(model: Model) -> str:
    """The name, and what keeps its kernel from being a function of the cosine."""
    if isinstance(getattr(model, "bandwidth", None), tuple):
        return f"{model.name} with a length for each coordinate"
    norm = getattr(model, "norm", None)
    return f"{model.name} with the norm {norm}" if norm else model.name


def _wrong_design(cell: Cell) -> str:
    return f"the eigenvalues of {cell.model.name} on {cell.design.name} are not known"


def source_smoothness(cell: Cell) -> float | None:
    """s of a target in [H]^s."""
    found = getattr(cell.target, "smoothness", getattr(cell.target, "s", None))
    return float(found) if cell.target.name == "source" and found is not None else None


# --- theories -------------------------------------------------------------------------------------


@frozen(kw_only=True)
class DeterministicEquivalent(Theory):
    """Test and training error of kernel ridge regression from the kernel's population spectrum and
    the target's energy in each eigenspace (arXiv:2110.03922); the ridge is δ = n/t."""

    name = "ntk.deterministic-equivalent"
    references = ("arXiv:2110.03922", "arXiv:2006.13198")
    variables: ClassVar[Mapping[str, Variable]] = {
        "excess_risk": Variable("expected excess risk", predicts="excess_risk"),
        "test_error": Variable("expected mean square against noisy labels", predicts="test_error"),
        "training_loss": Variable("expected training loss", predicts="training_loss"),
    }

    def applies(self, cell: Cell) -> str | None:
        if algorithm(cell) != "ridge":
            return f"it is about ridge regression, not {algorithm(cell)}"
        return spectrum_objection(cell) or _energy_objection(cell)

    def predict(
        self, cell: Cell, times: Sequence[float], problem: Problem | None = None
    ) -> dict[str, np.ndarray]:
        model: Any = cell.model
        spectrum = cell.model.population_spectrum(cell.design)
        listed = float((spectrum.eigenvalue * spectrum.multiplicity).sum())
        trace = model.trace(cell.design) if hasattr(model, "trace") else listed
        levels = levels_of(spectrum, trace, energies(cell) or {})
        n, noise = cell.design.sizes()["train"], float(getattr(cell.design, "noise", 0.0))
        ridges = [n / time if time else math.inf for time in times]
        found = [ridge_errors(levels, n, ridge, noise) for ridge in ridges]
        test = np.array([errors.test for errors in found])
        train = np.array([errors.train for errors in found])
        return {"excess_risk": test - noise**2, "test_error": test, "training_loss": train / 2}


@frozen(kw_only=True)
class Rates(Theory):
    """Exponents in n of the risk at the best training time, and of that time, in fixed dimension:
    f* ∈ [H]^s, λ_j ≍ j^{−β}, noise above 0; an algorithm of qualification q sees min(s, 2q)."""

    name = "ntk.rates"
    references = ("arXiv:2412.18756",)
    variables: ClassVar[Mapping[str, Variable]] = {
        "risk_exponent": Variable("exponent of the risk at the best time in n", time=False),
        "time_exponent": Variable("exponent of the best training time in n", time=False),
    }

    def applies(self, cell: Cell) -> str | None:
        if source_smoothness(cell) is None:
            return f"it is about targets in [H]^s (source), not {cell.target.name}"
        if not getattr(cell.design, "noise", 0.0):
            return "it needs noise above 0"
        decay = decay_exponent(cell)
        return decay if isinstance(decay, str) else None

    def predict(
        self, cell: Cell, times: Sequence[float], problem: Problem | None = None
    ) -> dict[str, np.ndarray]:
        source, decay = source_smoothness(cell), decay_exponent(cell)
        assert source is not None and isinstance(decay, float)  # as `applies` found
        risk, time = best_regularisation(source, decay, qualification(cell))
        return {"risk_exponent": np.array(risk), "time_exponent": np.array(time)}


def growth(cell: Cell) -> float:
    """γ of n = d^γ."""
    design: Any = cell.design
    return math.log(design.sizes()["train"]) / math.log(design.dim)


def _inner_product_objection(cell: Cell) -> str | None:
    if cell.design.name != "sphere":
        return f"it is about the sphere, not {cell.design.name}"
    design: Any = cell.design
    return _cosine_objection(cell.model, design.dim)


@frozen(kw_only=True)
class LargeDimension(Theory):
    """Exponent −r of the risk d^{−r} at the best training time, n = d^γ, for a target in [H]^s with
    ‖P_k f*‖² ≍ d^{−ks} and noise above 0 (arXiv:2309.04268, arXiv:2401.01270).

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
        if source_smoothness(cell) is None:
            return f"it is about targets in [H]^s (source), not {cell.target.name}"
        if not getattr(cell.design, "noise", 0.0):
            return "it needs noise above 0"
        reason = _inner_product_objection(cell)
        if reason is None and self._vanishing(cell):
            return f"{cell.model.name} has degrees up to γ whose eigenvalues vanish"
        return reason

    @staticmethod
    def _vanishing(cell: Cell) -> bool:
        first = cell.model.population_spectrum(cell.design).eigenvalue[
            : math.ceil(growth(cell)) + 2
        ]
        return bool((first <= 0).any())

    def predict(
        self, cell: Cell, times: Sequence[float], problem: Problem | None = None
    ) -> dict[str, np.ndarray]:
        source, gamma = source_smoothness(cell), growth(cell)
        assert source is not None  # as `applies` found
        minimax = minimax_in_dimension(source, gamma)
        own = ridge_in_dimension(source, gamma) if algorithm(cell) == "ridge" else minimax
        return {"dimension_exponent": np.array(-own), "minimax_exponent": np.array(-minimax)}


@frozen(kw_only=True)
class PolynomialBarrier(Theory):
    """‖P_{>ℓ} f*‖²: what no inner-product kernel method learns from n samples,
    d^{ℓ+δ} ≤ n ≤ d^{ℓ+1−δ}, up to a factor 1 − o(1), and what ridge attains (arXiv:1904.12191)."""

    name = "ntk.polynomial-barrier"
    references = ("arXiv:1904.12191", "arXiv:2006.13409")
    variables: ClassVar[Mapping[str, Variable]] = {
        "barrier": Variable(
            "energy of the truth beyond the learnable degrees", predicts="excess_risk", time=False
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
        return _energy_objection(cell)

    def predict(
        self, cell: Cell, times: Sequence[float], problem: Problem | None = None
    ) -> dict[str, np.ndarray]:
        learned = math.floor(growth(cell))
        known = energies(cell) or {}
        beyond = sum(energy for degree, energy in known.items() if degree > learned)
        return {"barrier": np.array(beyond)}
