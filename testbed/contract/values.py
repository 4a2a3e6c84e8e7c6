"""Values that pass between components: NamedTuples of tensors, each for ONE replicate.

Core stacks replicates along a new leading axis and maps over it, so these containers hold nothing
but tensors, dicts of tensors and static values. Shapes: n training points, m test points.
Targets fill a Problem with NumPy arrays; core casts them, so that models see tensors only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from testbed.contract.components import Model

Tree: TypeAlias = "Tensor | np.ndarray | float | str | Mapping[str, Tree] | Sequence[Tree] | None"
"""Nested tuples and dicts of tensors (before they are cast: of NumPy arrays) and static values."""

Drawn: TypeAlias = Any
"""A tree that a component's `draw` returned; only this component looks into it."""
Prepared: TypeAlias = Any
"""A tree that a model's `prepare` returned; only this model looks into it."""
Parameters: TypeAlias = Any
"""A tree of tensors that training moves: a tensor, or a dict of them."""
Probe: TypeAlias = Any
"""A tree that a model's `probe` returned; only this model looks into it."""
Carry: TypeAlias = Any
"""The state from which an optimizer continues; only this optimizer looks into it."""
Array: TypeAlias = Any
"""A tensor for models and metrics, a NumPy array from targets; None where a model that reads only
inputs must not look."""


class Sample(NamedTuple):
    """The draw of a design: inputs, weights and noise, as float64 NumPy arrays."""

    x: np.ndarray  # (n, …) inputs, or the indices of a sequence
    weight: np.ndarray  # (n,) loss weights: 1 for sequences, 1/n for regression
    noise: np.ndarray  # (n,) or (n, outputs): added to the truth at x
    variance: float  # ε², the noise of one coefficient: σ²/n
    test_x: np.ndarray  # (m, …)
    test_weight: np.ndarray  # (m,)
    test_noise: np.ndarray  # (m,) or (m, outputs): added to the truth at test_x
    label: np.ndarray | None = None  # (n,) or (n, outputs): real data only
    test_label: np.ndarray | None = None
    design: Any = None  # core adds the design that drew it, for targets of a known law


class Data(NamedTuple):
    """Points with their observations; the loss is ½ Σ weight·(y − f(x))²."""

    x: Array  # (n, …)
    y: Array  # (n,) or (n, outputs)
    truth: Array  # like y: f*(x), NaN where it is unknown
    weight: Array  # (n,)


class Problem(NamedTuple):
    """One replicate's regression problem."""

    train: Data
    test: Data
    noise: Array  # () ε² = σ²/n
    expansion: dict[str, Array]  # the target's own coefficients, where it has some


class Spectrum(NamedTuple):
    """Eigenvalues of the learned kernel, and coefficients on its eigenfunctions.

    All of shape (modes,), in the model's own order, which does not change over time. `outside` is
    ‖f*‖² − Σ truth²: the truth's energy that no listed eigenfunction carries. `resolution` is the
    rounding error of eigenvalues that a solver computed from a matrix. Eigenvalues that differ by
    no more count as one eigenspace: its eigenvectors are arbitrary, and so is each of its
    coefficients. Without `resolution` eigenvalues are exact, and ties are ordered by index.
    """

    eigenvalue: Tensor  # (modes,)
    truth: Tensor  # (modes,) coefficients of f*
    estimate: Tensor  # (modes,) coefficients of the fitted function
    observed: Tensor  # (modes,) coefficients of the observations y
    outside: Tensor  # ()
    resolution: Tensor | None = None  # ()


class Eigensystem(NamedTuple):
    """The eigensystem of the weighted Gram matrix at training: K·diag(weight) = U diag(s) Uᵀ."""

    eigenvalue: Tensor  # (k,) s ≥ 0
    vectors: Tensor  # (rows, k) U, orthonormal columns
    start: Tensor  # (rows,) or (rows, outputs): f₀ at the rows
    rows: Tensor | None = None  # the training rows that are fitted; None: all


class PopulationSpectrum(NamedTuple):
    """Eigenvalues of a kernel's integral operator, each with its multiplicity, by degree."""

    eigenvalue: np.ndarray  # (levels,)
    multiplicity: np.ndarray  # (levels,) float64: exact up to 2⁵³
    degree: np.ndarray  # (levels,) label of the eigenspace (degree k on the sphere)


class Risk(NamedTuple):
    """∫ (f − f*)² under a design's law, and a bound on its error by truncation and rounding."""

    value: Tensor  # ()
    error: Tensor  # ()


class Fit(NamedTuple):
    """A model on its problem, as an optimizer sees it."""

    model: Model
    prepared: Prepared
    start: Parameters  # parameters at time 0
    problem: Problem
    draws: Drawn  # what the optimizer drew (SGD batches), or None


class Advance(NamedTuple):
    """The states and records of a block of recorded times, as an optimizer returns them."""

    carry: Carry
    parameters: Parameters  # leading axis len(times)
    record: Mapping[str, Tensor] = {}  # variables that the optimizer declares, each (len(times),)
