"""Declarations that components inherit and that theories read.

A theory calls `declared(cell.model, HasPowerEigenvalues)` and never looks at names, so it works for
components of any plugin. A declaration describes a component in the words of the theory; it
computes nothing that the simulation computes.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeVar

from testbed.contract.capabilities import Capability, lack
from testbed.errors import DoesNotApply

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from testbed.contract.components import Design, Model
    from testbed.contract.spaces import Space
    from testbed.contract.values import Prepared

Declared = TypeVar("Declared", bound=Capability)


def declared(component: object, declaration: type[Declared]) -> Declared:
    """The component, typed as the declaration; DoesNotApply with the reason if it lacks it."""
    reason = lack(component, declaration)
    if reason or not isinstance(component, declaration):
        raise DoesNotApply(reason or "")
    return component


def space_of(design: Design) -> Space:
    """Where a design's points lie; DoesNotApply if it does not say."""
    space = design.space()
    if space is None:
        raise DoesNotApply(f"the design {design.name} does not say where its points lie")
    return space


# --- optimizers -----------------------------------------------------------------------------------


class Algorithm(NamedTuple):
    """The spectral algorithm that training performs on a fixed kernel."""

    name: Literal["flow", "descent", "heavy-ball", "ridge", "iterated-ridge", "cutoff"]
    qualification: float  # q: 1 for ridge, its order for iterated ridge, else infinite
    learning_rate: float | None = None  # of descent; None where replicates differ in it
    momentum: float = 0.0


class IsSpectral(Capability):
    """For optimizers: training is a spectral algorithm."""

    words = "spectral algorithm"

    @abstractmethod
    def algorithm(self) -> Algorithm:
        """The spectral algorithm."""


# --- targets --------------------------------------------------------------------------------------


class PowerDecay(NamedTuple):
    """Sorted coefficients of size j^{−(p+1)/2}, the j-th at index j^q."""

    p: float
    q: float


class HasPowerDecay(Capability):
    """A truth whose sorted coefficients decay like a power."""

    words = "power law of coefficients"

    @abstractmethod
    def power_decay(self) -> PowerDecay:
        """p and q; DoesNotApply where parameter values break the law."""


class IndexForm(NamedTuple):
    """f* = q^{−1/2} Σ_i Σ_r g_r h_r(⟨w_i, x⟩), h_r normalised Hermite polynomials."""

    coefficients: tuple[float, ...]  # g_0, g_1, …
    directions: int  # q


class HasIndexForm(Capability):
    """A truth that depends on a few directions."""

    words = "form of a single- or multi-index function"

    @abstractmethod
    def index_form(self) -> IndexForm:
        """Its coefficients and its number of directions."""


class Waves(NamedTuple):
    """Σ_i s_i sin(π⟨a_i, x⟩) + c_i cos(π⟨a_i, x⟩)."""

    frequencies: np.ndarray  # (terms, coordinates) the a_i; further coordinates are 0
    sine: np.ndarray  # (terms,)
    cosine: np.ndarray  # (terms,)


class HasWaves(Capability):
    """A truth that is a finite sum of sines and cosines."""

    words = "form of sines and cosines"

    @abstractmethod
    def waves(self) -> Waves:
        """Its frequencies and coefficients."""


class SourceCondition(NamedTuple):
    """f* ∈ [H]^s, H the space of `kernel`."""

    kernel: Model
    smoothness: float  # s


class HasSourceCondition(Capability):
    """A truth of stated smoothness with respect to a kernel."""

    words = "stated smoothness in [H]^s"

    @abstractmethod
    def source_condition(self) -> SourceCondition:
        """The kernel, and s."""


# --- models ---------------------------------------------------------------------------------------


class PowerEigenvalues(NamedTuple):
    """Eigenvalues index^{−gamma} of coordinates, fixed or learned through `depth` extra layers."""

    gamma: float
    learned: bool
    depth: int = 0
    start: float | None = None  # b₀ of the extra layers; None: ε^{1/(D+2)}, ε² the noise


class HasPowerEigenvalues(Capability):
    """The model fits each coordinate separately, with eigenvalues that decay like a power."""

    words = "power law of eigenvalues"

    @abstractmethod
    def power_eigenvalues(self, space: Space) -> PowerEigenvalues:
        """The power law in the index; DoesNotApply where parameter values break it."""


class HasEigenvalueDecay(Capability):
    """A kernel whose eigenvalues decay like a power of their index under a design's law."""

    words = "known decay of eigenvalues"

    @abstractmethod
    def eigenvalue_decay(self, space: Space) -> float:
        """β of λ_j ≍ j^{−β}; DoesNotApply where it is not known."""


class HasKernelMatrix(Capability):
    """Kernel regression: the parameters are dual coefficients, f(x) = Σ_i α_i k(x, x_i)."""

    words = "fixed kernel"

    @abstractmethod
    def kernel_matrix(self, prepared: Prepared, x: Tensor) -> Tensor:
        """k(x, x_i) at any points and the training points, (m, n)."""


class RandomFeatures(NamedTuple):
    """Features σ(⟨w, x⟩ + b), w ~ N(0, I), b ~ N(0, 1) or 0."""

    width: int
    activation: str
    bias: bool


class HasRandomFeatures(Capability):
    """A linear readout on random features of a network."""

    words = "random features"

    @abstractmethod
    def random_features(self) -> RandomFeatures:
        """Their number, activation and biases."""


class DirectionalFeatures(NamedTuple):
    """f = Σ_m λ_{|m|}^{1/2} β_m h_m(Wᵀx), frame W and β trained."""

    eigenvalues: tuple[float, ...]  # λ_0, λ_1, …
    directions: int | None  # of W; None: as many as the target has
    initial_overlap: float | None  # ⟨w_i, w*_i⟩ at the start; None: d^{−1/2}
    random_start: bool


class HasDirectionalFeatures(Capability):
    """Hermite features of a trained frame."""

    words = "Hermite features of a trained frame"

    @abstractmethod
    def directional_features(self) -> DirectionalFeatures:
        """Their eigenvalues, directions and start."""


class HasTrainedNumbers(Capability):
    """A model whose number of trained parameters is known beforehand, for the plan's forecast."""

    words = "known number of parameters"

    @abstractmethod
    def trained_numbers(self, space: Space) -> float | None:
        """The number of trained parameters; None if only the data tell."""
