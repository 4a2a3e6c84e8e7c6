"""What crosses between components: NamedTuples of tensors, each for ONE replicate.

Core stacks replicates along a new leading axis and maps over it, so these containers hold nothing
but tensors, dicts of tensors and static values. Shapes: n training points, m test points.
Targets fill a Problem with NumPy arrays; core casts them, so that models see tensors only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


class Sample(NamedTuple):
    """What a design draws: inputs, weights and noise, as float64 NumPy arrays."""

    x: np.ndarray  # (n, …) inputs, or the indices of a sequence
    weight: np.ndarray  # (n,) loss weights: 1 for sequences, 1/n for regression
    noise: np.ndarray  # (n,) or (n, outputs): added to the truth at x
    variance: float  # ε², the noise of one coefficient: σ²/n
    test_x: np.ndarray  # (m, …)
    test_weight: np.ndarray  # (m,)
    test_noise: np.ndarray  # (m,) or (m, outputs): added to the truth at test_x
    label: np.ndarray | None = None  # (n,) or (n, outputs): real data only
    test_label: np.ndarray | None = None
    design: Any = None  # filled in by core: the design that drew it, for targets of a known law


Array = Any
"""A tensor, as models and metrics see it; a NumPy array, as targets make it; None where a model
that reads inputs only must not look."""


class Data(NamedTuple):
    """Points with their observations; the loss is ½ Σ weight·(y − f(x))²."""

    x: Array  # (n, …)
    y: Array  # (n,) or (n, outputs)
    truth: Array  # like y: f*(x), NaN where nobody knows it
    weight: Array  # (n,)


class Problem(NamedTuple):
    """One replicate's regression problem."""

    train: Data
    test: Data
    noise: Array  # () ε² = σ²/n
    expansion: dict[str, Array]  # the target's own coefficients, where it has some


class Spectrum(NamedTuple):
    """Eigenvalues of the learned kernel, and coefficients on its eigenfunctions.

    All of shape (modes,), in the model's own order, which does not change over time.
    `outside` is ‖f*‖² − Σ truth²: the truth's energy that no listed eigenfunction carries.
    `resolution` belongs to eigenvalues that a solver has found in a matrix with rounding: those
    that differ by no more are one eigenspace, whose eigenvectors, and so whose coefficients one by
    one, are arbitrary. Without it eigenvalues are exact, and ties are ordered by index.
    """

    eigenvalue: Tensor  # (modes,)
    truth: Tensor  # (modes,) coefficients of f*
    estimate: Tensor  # (modes,) coefficients of the fitted function
    observed: Tensor  # (modes,) coefficients of the observations y
    outside: Tensor  # ()
    resolution: Tensor | None = None  # ()


class Risk(NamedTuple):
    """∫ (f − f*)² under a design's law, and the most it may be off by truncation and rounding."""

    value: Tensor  # ()
    error: Tensor  # ()


class Fit(NamedTuple):
    """A model on its problem, as an optimizer sees it."""

    model: Any
    prepared: Any
    start: Any  # parameters at time 0
    problem: Problem
    draws: Any  # what the optimizer drew (SGD batches), or None
