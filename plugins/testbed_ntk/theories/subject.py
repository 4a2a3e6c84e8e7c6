"""What a cell of kernel regression is about: its algorithm, the truth's energies, the kernels'
spectra and their decay.

Nothing here imports the kernels: components are told apart by name and asked for their population
spectrum, which has its own second route in the tests.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np

from testbed.contract.capabilities import (
    HasPopulationSpectrum,
    HasProfile,
    HasRandomStart,
    has,
    lack,
)
from testbed.contract.cells import Cell
from testbed.contract.components import Design, Model, Target
from testbed.contract.parameters import value_with
from testbed.contract.seeds import Streams
from testbed.contract.values import Sample
from testbed.errors import UnsuitableError

Energies = dict[float, float]  # degree → ‖P_k f*‖²
DRAWS = 64  # of a target whose energies are random

# --- algorithm and energies -----------------------------------------------------------------------


def algorithm(cell: Cell) -> str:
    """The spectral filter of the cell's optimizer; the optimizer's name if it is none."""
    name = cell.optimizer.name
    if name == "spectral-filter":
        return value_with(cell.optimizer, "filter", name)
    return {"gradient-flow": "flow", "gradient-descent": "descent"}.get(name, name)


QUALIFICATION = {
    "ridge": 1.0,
    "flow": math.inf,
    "descent": math.inf,
    "heavy-ball": math.inf,
    "cutoff": math.inf,
}


def qualification(cell: Cell) -> float | str:
    """q of the cell's spectral algorithm: 1 for ridge, its order for iterated ridge, else infinite;
    or why it has none."""
    name = algorithm(cell)
    if name == "iterated-ridge":
        return float(getattr(cell.optimizer, "qualification", 1.0))
    return QUALIFICATION.get(name, f"it is about spectral algorithms, not {name}")


def start_objection(cell: Cell) -> str | None:
    """Why a random start is beyond a theory of kernel regression from f₀ = 0; None without one."""
    if has(cell.model, HasRandomStart):
        return "it is about paths that start at 0, not at a random function"
    return None


def energies(cell: Cell) -> Energies | None:
    """E ‖P_k f*‖² by degree k, where the target knows it.

    Most random targets have it fixed. Where two draws differ it is the mean over the targets of the
    replicates 0 to 63, however many the scenario has: risks given the inputs are linear in it.
    They belong to the law of the points, and are found once for all sample sizes and noises.
    """
    design: Any = cell.design
    fields = attrs.fields_dict(type(design))
    same = {"n": 1, "gamma": None, "n_test": 1, "noise": 0.0}
    if {"dim", *same} <= set(fields):
        design = attrs.evolve(design, **same)
    found = _energies(cell.target, design, cell.seed)
    return None if found is None else dict(found)


@functools.lru_cache(maxsize=64)
def _energies(target: Target, design: Design, seed: int) -> Energies | None:
    first = _drawn_energies(target, design, seed, 0)
    second = _drawn_energies(target, design, seed, 1) if first else first
    if first is None or second is None or _equal(first, second):
        return first
    rest = (_drawn_energies(target, design, seed, r) or {} for r in range(2, DRAWS))
    drawn = [first, second, *rest]
    degrees = sorted(set().union(*drawn))
    return {degree: sum(one.get(degree, 0.0) for one in drawn) / DRAWS for degree in degrees}


def drawn_expansion(target: Target, design: Design, seed: int, replicate: int) -> Mapping[str, Any]:
    """What the target of a replicate knows of itself, on no points at all."""
    nothing = np.zeros((1, int(getattr(design, "dim", 1))))
    one, zero = np.ones(1), np.zeros(1)
    sample = Sample(nothing, one, zero, 0.0, nothing, one, zero, design=design)
    return target.expansion(target.draw(Streams(seed, replicate), sample), sample)


def _drawn_energies(target: Target, design: Design, seed: int, replicate: int) -> Energies | None:
    known = drawn_expansion(target, design, seed, replicate)
    if "energy" not in known or "degree" not in known:
        return None
    pairs = zip(np.ravel(known["degree"]), np.ravel(known["energy"]), strict=True)
    found: Energies = {}
    for degree, energy in pairs:
        found[float(degree)] = found.get(float(degree), 0.0) + float(energy)
    return found


def _equal(one: Energies, other: Energies) -> bool:
    """Whether two draws have the same energies, to rounding of the largest."""
    allowed = 1e-9 * max(one.values(), default=0.0)
    return all(abs(one.get(k, 0.0) - other.get(k, 0.0)) <= allowed for k in {*one, *other})


def energy_objection(cell: Cell) -> str | None:
    """Why the target's energies are unknown; None if they are known."""
    try:
        known = energies(cell)
    except UnsuitableError as error:
        return str(error)
    if known is None:
        return f"the target {cell.target.name} does not know its energy by degree"
    return None


def spectrum_objection(cell: Cell) -> str | None:
    """Why the population spectrum of the cell's kernel is unknown; None if it is known."""
    if not has(cell.model, HasPopulationSpectrum):
        return lack(cell.model, HasPopulationSpectrum)
    try:
        cell.model.population_spectrum(cell.design)
    except UnsuitableError as error:
        return str(error)
    return None


def decay_exponent(model: Model, design: Design) -> float | str:
    """β of λ_j ≍ j^{−β}, or why there is none.

    On S^{d−1} a kernel that behaves like (1 − t)^ν near t = 1 has μ_k ≍ k^{−(d−1+2ν)}, each with
    ≍ k^{d−2} modes, hence β = (d − 1 + 2ν)/(d − 1): ν = ½ for the NTK of any depth and the Laplace
    kernel, 3/2 for the NNGP kernel of ReLU, its own for Matérn. On the torus β = 2r/d.
    """
    own: Any = model
    dim = int(getattr(design, "dim", 0))
    if own.name == "ntk.torus":
        return 2 * own.smoothness / dim if design.name == "torus" else _wrong_design(own, design)
    activation = getattr(own, "activation", "relu")
    if activation != "relu":
        return (
            f"it is about kernels whose eigenvalues decay like a power, not {activation} networks"
        )
    orders = {"ntk.relu": 0.5, "ntk.network": 0.5, "ntk.laplace": 0.5, "ntk.nngp": 1.5}
    order = getattr(own, "nu", None) if own.name == "ntk.matern" else orders.get(own.name)
    if order is None:
        return f"it is about kernels whose eigenvalues decay like a power, not {own.name}"
    if design.name != "sphere":
        return _wrong_design(own, design)
    return cosine_objection(own, dim) or (dim - 1 + 2 * order) / (dim - 1)


def cosine_objection(model: Model, dim: int) -> str | None:
    """Why a model is no kernel of this plugin that depends on unit inputs by their cosine alone."""
    try:
        known = has(model, HasProfile) and model.profile(dim) is not None
    except UnsuitableError:
        return None  # it is one, whose spectrum alone is out of reach
    return None if known else f"it is about inner-product kernels, not {_called(model)}"


def _called(model: Model) -> str:
    """The name, and what keeps its kernel from being a function of the cosine."""
    if isinstance(getattr(model, "bandwidth", None), tuple):
        return f"{model.name} with a length for each coordinate"
    norm = getattr(model, "norm", None)
    return f"{model.name} with the norm {norm}" if norm else model.name


def _wrong_design(model: Model, design: Design) -> str:
    return f"the eigenvalues of {model.name} on {design.name} are not known"


# --- what a target in [H]^s is to the model -------------------------------------------------------


def source_kernel(cell: Cell) -> Model | None:
    """H's kernel of a target in [H]^s; None of other targets."""
    kernel: object = value_with(cell.target, "truth_kernel", None)
    return kernel if cell.target.name == "source" and isinstance(kernel, Model) else None


def stated_smoothness(cell: Cell) -> float:
    """s of a target in [H]^s, H that of the target's own kernel."""
    target: Any = cell.target
    return float(target.smoothness)


def source_smoothness(cell: Cell) -> float | str:
    """s' of a target's [H]^s in the space of the model's kernel; or why it is not known.

    With λ_j ≍ j^{−β} of its own kernel the target has f_j² ≍ λ_j^s/j, and Σ f_j² μ_j^{−s'} of the
    model's μ_j ≍ j^{−β'}, on the same eigenfunctions, is finite for s' < sβ/β'.
    """
    kernel = source_kernel(cell)
    if kernel is None:
        return f"it is about targets in [H]^s (source), not {cell.target.name}"
    own, decay = decay_exponent(cell.model, cell.design), decay_exponent(kernel, cell.design)
    if isinstance(own, str):
        return own
    if isinstance(decay, str):
        return f"of the target's kernel: {decay}"
    return stated_smoothness(cell) * decay / own


def never_learned(cell: Cell) -> str | None:
    """Why the risk stays above 0: the target has energy where the kernel has no eigenvalue."""
    reason = spectrum_objection(cell) or energy_objection(cell)
    if reason:
        return reason
    assert isinstance(cell.model, HasPopulationSpectrum)
    spectrum = cell.model.population_spectrum(cell.design)
    listed = dict(zip(spectrum.degree.tolist(), spectrum.eigenvalue.tolist(), strict=True))
    beyond = 0.0 if cell.design.name == "torus" else 1.0  # the torus lists all that there are
    missed = sum(
        energy
        for degree, energy in (energies(cell) or {}).items()
        if listed.get(degree, beyond) <= 0
    )
    if not missed:
        return None
    return f"{cell.model.name} never learns {missed:.3g} of ‖f*‖², where its eigenvalues vanish"
