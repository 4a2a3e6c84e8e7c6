"""Capabilities: small abstract classes that a component inherits for what it can do.

A model that can solve its flow exactly inherits `HasFlow` and writes the method `flow`. If the
method is missing or misspelt, core refuses the component when it loads the plugin, and names the
method. `withheld()` returns the capabilities that certain parameter values take away. `has(model,
HasFlow)` tests for a capability; `lack(model, HasFlow)` gives the reason why it is missing.

A plugin may bring a capability of its own: a subclass of `Capability` whose methods are marked with
`per_replicate`, so that core can map them over replicates.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Protocol, TypeVar

from attrs import frozen

from testbed.contract.values import Parameters, Prepared, Probe

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor
    from typing_extensions import TypeIs

    from testbed.contract.components import Design
    from testbed.contract.values import (
        Eigensystem,
        Fit,
        PopulationSpectrum,
        Problem,
        Risk,
        Spectrum,
    )

Method = TypeVar("Method", bound=Callable[..., object])
Able = TypeVar("Able")


# --- members that core maps over replicates -------------------------------------------------------


@frozen
class Member:
    """A method of one replicate's tensors, which core maps over replicates.

    Arguments named in `static` are the same for all replicates; core does not map them.
    """

    name: str
    defaults: Mapping[str, object]
    """The method's arguments in order, each with its default; `**options` are left out."""
    static: frozenset[str]


def per_replicate(*static: str) -> Callable[[Method], Method]:
    """Mark a method of a capability as a function of one replicate's tensors.

    `static` names the arguments that are not tensors: words, times, counts.
    """

    def mark(method: Method) -> Method:
        _, *arguments = inspect.signature(method).parameters.values()
        defaults = {
            argument.name: argument.default
            for argument in arguments
            if argument.kind is not argument.VAR_KEYWORD
        }
        setattr(method, "member", Member(method.__name__, defaults, frozenset(static)))  # noqa: B010
        return method

    return mark


@cache
def mapped_members(component: type) -> Mapping[str, Member]:
    """The methods of a class that core maps over replicates, as its bases declare them."""
    members: dict[str, Member] = {}
    for base in component.__mro__:
        for name, value in vars(base).items():
            member = getattr(value, "member", None)
            if isinstance(member, Member):
                members.setdefault(name, member)
    return members


# --- capabilities ---------------------------------------------------------------------------------


class Capability(ABC):
    """Base of all capabilities. `words` names the capability in messages."""

    words: ClassVar[str]


class HasPredictions(Capability):
    """f(x) at any points. Every model inherits it."""

    words = "predictions"

    @per_replicate()
    def probe(self, prepared: Prepared, x: Tensor) -> Probe:
        """The part of `predict` that depends on x alone, computed once for each x: K(x, X), or
        basis values; x itself by default."""
        return x

    @per_replicate()
    @abstractmethod
    def predict(self, prepared: Prepared, params: Parameters, probe: Probe) -> Tensor:
        """f(x), shape (n,) or (n, outputs)."""


class HasGradient(Capability):
    """The gradient of the loss. Every model inherits it; the default is autograd."""

    words = "gradient"

    @per_replicate()
    def gradient(
        self,
        prepared: Prepared,
        params: Parameters,
        problem: Problem,
        rows: Tensor | None = None,
    ) -> Parameters:
        """The gradient ∇ ½ Σ weight·(y − f)², shaped like params; gradient flow moves against it.

        Default: autograd through `predict`. `rows` restricts the sum to a batch, rescaled to keep
        its expectation. Riemannian, width-scaled or hand-derived gradients override this.
        """
        from testbed.contract.losses import loss_gradient

        return loss_gradient(self, prepared, params, problem, rows)


class HasFlow(Capability):
    """Gradient flow in closed form."""

    words = "exact flow"

    @per_replicate("since", "times")
    @abstractmethod
    def flow(self, fit: Fit, last: Parameters, since: float, times: Sequence[float]) -> Parameters:
        """Exact gradient flow: parameters with leading axis len(times), from `last` at `since`."""


class HasEigensystem(Capability):
    """The factorisation of the weighted Gram matrix, on which every spectral filter acts."""

    words = "eigensystem"

    @per_replicate()
    @abstractmethod
    def eigensystem(self, prepared: Prepared) -> Eigensystem:
        """The factorisation that spectral filters act on."""


class HasFilterPath(Capability):
    """Spectral filters that the model computes itself, for instance in a Krylov space."""

    words = "filter path"

    @per_replicate("name", "times")
    @abstractmethod
    def path(self, fit: Fit, name: str, times: Sequence[float], **options: float) -> Parameters:
        """Parameters along a spectral filter's path, leading axis len(times), computed without
        `eigensystem`. `name` and `options` are those of `testbed.numerics.filters`."""


class HasSpectrum(Capability):
    """Eigenvalues of the learned kernel, and coefficients on its eigenfunctions."""

    words = "feature spectrum"

    @per_replicate("kernel", "points")
    @abstractmethod
    def spectrum(
        self, prepared: Prepared, params: Parameters, problem: Problem, kernel: str, points: str
    ) -> Spectrum:
        """The feature spectrum of a state; `kernel` is "features" or "tangent", `points` "train" or
        "test"."""

    def spectrum_length(self, design: Design, points: str) -> int | None:
        """The number of modes that `spectrum` has on a design's points, "train" or "test"; None if
        only a run can tell."""
        return None


class HasExactSpectrum(HasSpectrum):
    """A feature spectrum under the law of the inputs: Σ(estimate − truth)² + outside is the exact
    risk."""

    words = "spectrum of the population"


class HasBasis(Capability):
    """Eigenvectors of the learned kernel."""

    words = "eigenvectors"

    @per_replicate()
    @abstractmethod
    def basis(self, prepared: Prepared, params: Parameters) -> Tensor:
        """Eigenvectors as columns, (rows, modes), in the order of `spectrum`."""


class HasGram(Capability):
    """The Gram matrix of the learned kernel at any points."""

    words = "Gram matrix"

    @per_replicate("kernel")
    @abstractmethod
    def gram(self, prepared: Prepared, params: Parameters, x: Tensor, kernel: str) -> Tensor:
        """The learned kernel's Gram matrix on x, (n, n); `kernel` as for `spectrum`."""


class HasPopulationSpectrum(Capability):
    """The true eigenvalues of a fixed kernel under a design's law."""

    words = "population spectrum"

    @abstractmethod
    def population_spectrum(self, design: Design) -> PopulationSpectrum:
        """Eigenvalues under the design's law, with multiplicities; UnsuitableError where they are
        not known."""

    def trace(self, design: Design) -> float:
        """∫ k(x, x), the sum of all eigenvalues. Default: the sum of the listed ones."""
        spectrum = self.population_spectrum(design)
        return float((spectrum.eigenvalue * spectrum.multiplicity).sum())


class HasPopulationRisk(Capability):
    """The exact risk under the design's law, without test points."""

    words = "population risk"

    @per_replicate()
    @abstractmethod
    def population_risk(self, prepared: Prepared, params: Parameters, problem: Problem) -> Risk:
        """∫ (f − f*)² under the design's law, from the truth's `expansion`.

        The model knows neither design nor target: a metric that needs this checks them in
        `applies`.
        """


class Descent(NamedTuple):
    """The state after many steps of descent."""

    params: Parameters
    velocity: Parameters | None  # of the last step; None without momentum


class HasDescent(Capability):
    """Many steps of gradient descent in one call, faster than through `gradient`."""

    words = "descent of many steps"

    @per_replicate("learning_rate", "steps", "momentum")
    @abstractmethod
    def descend(
        self,
        prepared: Prepared,
        params: Parameters,
        problem: Problem,
        learning_rate: float,
        steps: int,
        momentum: float = 0.0,
        velocity: Parameters | None = None,
        batches: Tensor | None = None,
    ) -> Descent:
        """v ← μv − η·gradient, θ ← θ + v, `steps` times; `batches` (steps, batch) are the rows of
        each step, all rows if None."""


class Profile(Protocol):
    """A kernel on the unit sphere as a function of the cosine."""

    def value(self, cosine: np.ndarray) -> np.ndarray:
        """k at each cosine."""


class HasProfile(Capability):
    """A kernel of unit inputs that depends on their cosine alone."""

    words = "profile on the sphere"

    @abstractmethod
    def profile(self, dim: int) -> Profile | None:
        """k as a function of the cosine on the unit sphere of R^dim; None if k depends on more."""


class HasRandomStart(Capability):
    """A random start: the initial function f₀ is a Gaussian process."""

    words = "random start of known covariance"

    @abstractmethod
    def initial_covariance(self, problem: Problem) -> np.ndarray:
        """Covariance of f₀ at training and then test points, (n + m, n + m)."""


class HasLeverage(Capability):
    """For optimizers: the diagonal of the smoother, which maps observations to fitted values."""

    words = "leverage"

    @per_replicate("times")
    @abstractmethod
    def leverage(self, fit: Fit, times: Sequence[float]) -> Tensor:
        """Diagonal of the smoother at each time, (len(times), n), NaN at points that the model does
        not fit; needs the model's eigensystem."""


# --- asking ---------------------------------------------------------------------------------------

Withheld = Mapping[type[Capability], str]
"""Capabilities that a component's parameter values take away, each with the reason."""


def lack(component: object, capability: type[Capability]) -> str | None:
    """Why a component, with its parameter values, does not have a capability; None if it does."""
    if not isinstance(component, capability):
        return f"{getattr(component, 'name', component)} has no {capability.words}"
    withheld: Withheld = getattr(component, "withheld", dict)()  # only models have it
    return next((why for lost, why in withheld.items() if issubclass(capability, lost)), None)


def has(component: object, capability: type[Able]) -> TypeIs[Able]:
    """Whether a component, with its parameter values, has a capability."""
    assert issubclass(capability, Capability)
    return lack(component, capability) is None


def lacks(component: object, *capabilities: type[Capability]) -> dict[type[Capability], str]:
    """The capabilities that a component lacks, each with the reason. A model that wraps the
    component withholds them."""
    reasons = {capability: lack(component, capability) for capability in capabilities}
    return {capability: reason for capability, reason in reasons.items() if reason}
