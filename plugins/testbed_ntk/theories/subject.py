"""The subject of the theories of kernel regression: the algorithm of a cell, the truth's energies,
the kernels' spectra and their decay.

This module imports no kernels: it reads what they declare, including their population spectrum,
which the tests compute by a second route.
"""

from __future__ import annotations

import functools
from typing import Any

import attrs
import numpy as np

from testbed import (
    Algorithm,
    Cell,
    Design,
    DoesNotApply,
    HasEigenvalueDecay,
    HasPopulationSpectrum,
    HasProfile,
    HasRandomStart,
    HasSourceCondition,
    IsSpectral,
    Model,
    PopulationSpectrum,
    Target,
    UnsuitableError,
    declared,
    drawn_expansion,
    has,
    space_of,
    value_with,
)

Energies = dict[float, float]  # degree → ‖P_k f*‖²
DRAWS = 64  # of a target whose energies are random

# --- algorithm and energies -----------------------------------------------------------------------


def algorithm(cell: Cell) -> Algorithm:
    """The spectral algorithm that the cell trains by; DoesNotApply if it has none."""
    return declared(cell.optimizer, IsSpectral).algorithm()


def expect_ridge(cell: Cell) -> None:
    """DoesNotApply unless the cell trains by ridge regression."""
    name = algorithm(cell).name
    if name != "ridge":
        raise DoesNotApply(f"it covers ridge regression, not {name}")


def expect_noise(cell: Cell) -> float:
    """The noise level σ; DoesNotApply if it is 0."""
    noise = noise_of(cell)
    if not noise:
        raise DoesNotApply("it needs noise above 0")
    return noise


COSINES = np.linspace(-0.9, 0.9, 7)


def noise_of(cell: Cell) -> float:
    """The noise level σ of an observation."""
    return value_with(cell.design, "noise", 0.0)


def expect_zero_start(cell: Cell) -> None:
    """DoesNotApply where training starts at a random function."""
    if has(cell.model, HasRandomStart):
        raise DoesNotApply("it covers paths that start at 0, not at a random function")


def energies(cell: Cell) -> Energies:
    """E ‖P_k f*‖² by degree k; DoesNotApply where the target does not give it.

    Most random targets have it fixed. Where two draws differ it is the mean over the targets of the
    replicates 0 to 63, however many the scenario has: risks given the inputs are linear in it.
    They belong to the law of the points, and are found once for all sample sizes and noises.
    """
    design: Any = cell.design
    fields = attrs.fields_dict(type(design))
    same = {"n": 1, "gamma": None, "n_test": 1, "noise": 0.0}
    if {"dim", *same} <= set(fields):
        design = attrs.evolve(design, **same)
    try:
        mean = _energies(cell.target, design, cell.seed)
    except UnsuitableError as error:
        raise DoesNotApply(str(error)) from error
    if mean is None:
        raise DoesNotApply(f"the target {cell.target.name} does not give its energy by degree")
    return dict(mean)


@functools.lru_cache(maxsize=64)
def _energies(target: Target, design: Design, seed: int) -> Energies | None:
    first = _drawn_energies(target, design, seed, 0)
    second = _drawn_energies(target, design, seed, 1) if first else first
    if first is None or second is None or _equal(first, second):
        return first
    later = (_drawn_energies(target, design, seed, r) or {} for r in range(2, DRAWS))
    drawn = [first, second, *later]
    degrees = sorted(set().union(*drawn))
    return {
        degree: sum(energies.get(degree, 0.0) for energies in drawn) / DRAWS for degree in degrees
    }


def _drawn_energies(target: Target, design: Design, seed: int, replicate: int) -> Energies | None:
    expansion = drawn_expansion(target, design, seed, replicate)
    if "energy" not in expansion or "degree" not in expansion:
        return None
    pairs = zip(np.ravel(expansion["degree"]), np.ravel(expansion["energy"]), strict=True)
    energies: Energies = {}
    for degree, energy in pairs:
        energies[float(degree)] = energies.get(float(degree), 0.0) + float(energy)
    return energies


def _equal(first: Energies, second: Energies) -> bool:
    """Whether two draws have the same energies, to rounding of the largest."""
    allowed = 1e-9 * max(first.values(), default=0.0)
    return all(abs(first.get(k, 0.0) - second.get(k, 0.0)) <= allowed for k in {*first, *second})


def spectrum_of(model: Model, cell: Cell) -> PopulationSpectrum:
    """A kernel's population spectrum under the cell's design; DoesNotApply if it is not known."""
    try:
        return declared(model, HasPopulationSpectrum).population_spectrum(cell.design)
    except UnsuitableError as error:
        raise DoesNotApply(str(error)) from error


def expect_cosine_kernel(model: Model, dim: int) -> None:
    """DoesNotApply unless a kernel of unit inputs depends on their cosine alone."""
    try:
        zonal = declared(model, HasProfile).profile(dim) is not None
    except UnsuitableError:
        zonal = True  # it has a profile, but no computable spectrum
    if not zonal:
        raise DoesNotApply(
            f"it covers kernels that depend on the cosine alone; {model.name} with these "
            "parameters does not"
        )


def expect_fixed_profile(model: Model, dim: int) -> None:
    """DoesNotApply where a kernel of unit inputs is another function of the cosine, up to a factor,
    in higher dimensions: its eigenvalues then fall faster with d than d^{−k}."""
    if not _has_fixed_profile(model, dim):
        raise DoesNotApply(
            f"it needs a kernel that is one function of the cosine for all d; {model.name} with "
            "these parameters changes with d, as networks do whose first layer is divided by d; "
            "give first_variance"
        )


@functools.lru_cache(maxsize=64)
def _has_fixed_profile(model: Model, dim: int) -> bool:
    try:
        curves = [declared(model, HasProfile).profile(d) for d in (dim, 4 * dim)]
    except UnsuitableError:
        return True  # it has a profile, but no computable spectrum
    low, high = (
        curve.value(COSINES) / curve.value(np.ones(1)) for curve in curves if curve is not None
    )
    return np.allclose(low, high, rtol=1e-6, atol=1e-9)


def sphere_dim(cell: Cell) -> int:
    """d of the sphere S^{d−1} that the points lie on; DoesNotApply if they do not."""
    space = space_of(cell.design)
    if space.kind != "sphere" or space.dim is None:
        raise DoesNotApply(f"it covers points of the sphere, not {cell.design.name}")
    return space.dim


# --- the smoothness of a target for the model -----------------------------------------------------


def source_smoothness(cell: Cell) -> float:
    """s' of a target's [H]^s in the space of the model's kernel; DoesNotApply if it is not known.

    With λ_j ≍ j^{−β} of its own kernel the target has f_j² ≍ λ_j^s/j, and Σ f_j² μ_j^{−s'} of the
    model's μ_j ≍ j^{−β'}, on the same eigenfunctions, is finite for s' < sβ/β'.
    """
    source = declared(cell.target, HasSourceCondition).source_condition()
    decay = decay_exponent(cell.model, cell)
    try:
        decay_of_truth = decay_exponent(source.kernel, cell)
    except DoesNotApply as reason:
        raise DoesNotApply(f"of the target's kernel: {reason}") from reason
    return source.smoothness * decay_of_truth / decay


def decay_exponent(model: Model, cell: Cell) -> float:
    """β of λ_j ≍ j^{−β} under the cell's design; DoesNotApply if it is not known."""
    return declared(model, HasEigenvalueDecay).eigenvalue_decay(space_of(cell.design))


def expect_learnable(cell: Cell, last: int | None = None) -> None:
    """DoesNotApply where the risk stays above 0 because the target has energy at a degree whose
    eigenvalue is 0; `last` limits the check to the degrees up to it."""
    spectrum, energy_of = spectrum_of(cell.model, cell), energies(cell)
    listed = dict(zip(spectrum.degree.tolist(), spectrum.eigenvalue.tolist(), strict=True))
    beyond = (
        0.0 if space_of(cell.design).kind == "torus" else 1.0
    )  # on the torus the list is complete
    missed = sum(
        energy
        for degree, energy in energy_of.items()
        if (last is None or degree <= last) and listed.get(degree, beyond) <= 0
    )
    if missed:
        raise DoesNotApply(
            f"{cell.model.name} never learns {missed:.3g} of ‖f*‖², where its eigenvalues vanish"
        )
