"""Kernel regression: what all kernels share once their values are known."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from attrs import frozen
from torch import Tensor

from testbed.contract.capabilities import (
    HasBasis,
    HasEigensystem,
    HasFilterPath,
    HasFlow,
    HasGram,
    HasPopulationRisk,
    HasPopulationSpectrum,
    HasProfile,
    HasSpectrum,
)
from testbed.contract.components import Design, Eigensystem, Model, PopulationSpectrum
from testbed.contract.facts import ModelFacts
from testbed.contract.parameters import parameter
from testbed.contract.spaces import POINTS
from testbed.contract.values import Fit, Problem, Risk, Spectrum
from testbed.errors import UnsuitableError
from testbed.numerics.eigendecomposition import Eigendecomposition
from testbed.numerics.filters import spectral_filter
from testbed.numerics.krylov import krylov_path
from testbed.numerics.products import symmetric_product
from testbed.numerics.spans import resolution
from testbed_ntk.numerics.exact_risk import TorusForms, ZonalForms
from testbed_ntk.numerics.gram import cross_matrix, gram_matrix
from testbed_ntk.numerics.kernels import Kernel
from testbed_ntk.numerics.operator import WeightedGram, columnwise
from testbed_ntk.numerics.profiles import Profile
from testbed_ntk.numerics.random_start import RandomStart
from testbed_ntk.numerics.sphere import SphereSpectrum, sphere_spectrum

Prepared = dict[str, Any]
"""`root`: W^{1/2}; `gram`: the WeightedGram of the training points; `forms`: what gives the risk
under the design's law; `initial`: the random f₀, or None. They compute when they are asked."""

LARGEST_BY_PAIRS = 2048  # points up to which an eigendecomposition is a matter of a second
RELIABLE = 1e-3  # relative error beyond which a degree's eigenvalue is left out
NOT_KRYLOV = ("cutoff",)  # jumps between eigenvalues, which no small space resolves


@frozen(kw_only=True)
class KernelModel(
    Model,
    HasFlow,
    HasEigensystem,
    HasFilterPath,
    HasSpectrum,
    HasBasis,
    HasGram,
    HasPopulationSpectrum,
    HasPopulationRisk,
    HasProfile,
):
    """f_t = f₀ + k(·, X) α_t: α̇ = W(y − f₀ − Kα), W the loss weights, 1/n for regression.

    With A = W^{1/2} K W^{1/2} = U diag(s) Uᵀ (A = K/n for regression) every filter is
    α_t = W^{1/2} U φ_t(s) Uᵀ W^{1/2} (y − f₀). f₀ = 0 but for random starts of wide networks. Not
    offered itself: its subclasses give the kernel.
    """

    references: ClassVar[tuple[str, ...]] = ("arXiv:1806.07572",)

    route: str = parameter(
        "auto",
        help='"eigen" factorises, "krylov" builds one Krylov space for each observation and '
        'factorises where it does not converge; "auto" factorises up to 2048 points',
        choices=("auto", "eigen", "krylov"),
        role="route",
    )

    def facts(self) -> ModelFacts:
        return ModelFacts(batching="loop", threads="all", reads="inputs", coordinates="function")

    def kernel(self, dim: int) -> Kernel:
        """The kernel on inputs of `dim` numbers."""
        raise NotImplementedError

    def profile(self, dim: int) -> Profile | None:
        """k as a function of the cosine on the unit sphere of R^dim; None where it is none."""
        return None

    # --- training ---------------------------------------------------------------------------------

    defined_on = POINTS

    def prepare(self, drawn: Any, problem: Problem) -> Prepared:
        data = problem.train
        self._expect_finite(data.x, "training inputs")
        root = data.weight.sqrt()
        gram = WeightedGram(self.name, self.kernel(data.x[0].numel()), data.x, root)
        initial = None if drawn is None else self.initial_function(drawn, problem)
        forms = self.forms(gram.kernel, data.x)
        return {"root": root, "gram": gram, "forms": forms, "initial": initial}

    def initial_function(self, drawn: Any, problem: Problem) -> RandomStart:
        """f₀ at the training and test points, from what was drawn."""
        raise NotImplementedError

    def forms(self, kernel: Kernel, x: Tensor) -> ZonalForms | TorusForms:
        """What `population_risk` is computed from."""
        profile = functools.partial(self.profile, x[0].numel())
        return ZonalForms(self.name, profile, kernel, x)

    def _expect_finite(self, values: Tensor, what: str) -> None:
        count = int((~torch.isfinite(values)).sum())
        if count:
            raise UnsuitableError(
                f"{self.name}: found {count} numbers among the {what} that are NaN or infinite, "
                "expected finite ones; mend or leave out these points"
            )

    def start(self, drawn: Any, prepared: Prepared, problem: Problem) -> Tensor:
        self._expect_finite(problem.train.y, "observations")
        return torch.zeros_like(problem.train.y)

    def probe(self, prepared: Prepared, x: Tensor) -> Tensor | WeightedGram:
        gram: WeightedGram = prepared["gram"]
        if x.shape == gram.x.shape and torch.equal(x, gram.x):
            return gram  # the training points: their exact, symmetric matrix, held once
        if prepared["initial"] is not None:
            prepared["initial"].expect_test(x)
        self._expect_finite(x, "test inputs")
        return cross_matrix(gram.kernel, x, gram.x)

    def predict(self, prepared: Prepared, params: Tensor, probe: Tensor | WeightedGram) -> Tensor:
        values = probe.values(params) if isinstance(probe, WeightedGram) else probe @ params
        initial: RandomStart | None = prepared["initial"]
        return values if initial is None else initial.added(values, isinstance(probe, WeightedGram))

    def gradient(
        self, prepared: Prepared, params: Tensor, problem: Problem, rows: Tensor | None = None
    ) -> Tensor:
        """W(f₀ + Kα − y): minus the velocity of the dual coefficients, not the gradient in them."""
        data = problem.train
        rest = self.predict(prepared, params, prepared["gram"]) - data.y
        slope = columnwise(data.weight, rest) * rest
        if rows is None:
            return slope
        share = len(data.weight) / len(rows)
        return torch.zeros_like(slope).index_add(0, rows, share * slope[rows])

    def flow(self, fit: Fit, last: Any, since: float, times: Sequence[float]) -> Tensor:
        return self.path(fit, "flow", times)

    def path(self, fit: Fit, name: str, times: Sequence[float], **options: Any) -> Tensor:
        """Dual coefficients of one replicate along a filter's path, (times, n) or (times, n,
        outputs), by the route that this model takes."""
        gram: WeightedGram = fit.prepared["gram"]
        rest = fit.problem.train.y
        if fit.prepared["initial"] is not None:
            rest = rest - fit.prepared["initial"].added(torch.zeros_like(rest), True)
        y = columnwise(gram.root, rest) * rest

        def phi(eigenvalue: Tensor) -> Tensor:
            return spectral_filter(name, eigenvalue, times, **options)

        found = None
        finite = math.isfinite(times[-1])
        if self.by_krylov(len(y)) and name not in NOT_KRYLOV and finite:
            found = krylov_path(functools.partial(symmetric_product, gram.matrix()), y, phi)
        if found is not None:
            return columnwise(gram.root, y) * found.values
        ridges = times if name == "ridge" and finite else None
        values = _by_decomposition(gram.decomposition(), phi, y, ridges)
        return columnwise(gram.root, y) * values

    def by_krylov(self, count: int) -> bool:
        """Whether paths on this many points are tried in a Krylov space."""
        return self.route == "krylov" or (self.route == "auto" and count > LARGEST_BY_PAIRS)

    # --- spectra ----------------------------------------------------------------------------------

    def eigensystem(self, prepared: Prepared) -> Eigensystem:
        """The start is f₀ of one output; filters of several outputs take `path`."""
        value, vectors = prepared["gram"].pairs()
        start = torch.zeros_like(value)
        if prepared["initial"] is not None:
            start = prepared["initial"].added(start, True)
        return Eigensystem(value, vectors, start)

    def spectrum(
        self, prepared: Prepared, params: Tensor, problem: Problem, kernel: str, points: str
    ) -> Spectrum:
        """Eigenpairs of the kernel under the empirical law of the points, largest first.

        Eigenfunctions are normalised to the weights, Σ w e_j² = 1: at the points e_j = U_j/√w, and
        a coefficient is Σ w e_j g. As many as there are points, so that nothing is outside.
        """
        data = problem.train if points == "train" else problem.test
        if points == "train":
            gram = prepared["gram"]
            fitted = self.predict(prepared, params, gram)
        else:
            gram = WeightedGram(self.name, prepared["gram"].kernel, data.x, data.weight.sqrt())
            fitted = self.predict(prepared, params, self.probe(prepared, data.x))
        root, (value, vectors) = gram.root, gram.pairs()

        def seen(values: Tensor) -> Tensor:
            return (vectors.mT @ (columnwise(root, values) * values)).flip(0)

        outside = torch.zeros_like(root[0])
        parts = (value.flip(0), seen(data.truth), seen(fitted), seen(data.y), outside)
        return Spectrum(*parts, resolution(value))

    def spectrum_length(self, design: Design, points: str) -> int:
        return design.sizes()[points]

    def basis(self, prepared: Prepared, params: Tensor) -> Tensor:
        vectors: Tensor = prepared["gram"].pairs()[1]
        return vectors.flip(1)

    def gram(self, prepared: Prepared, params: Tensor, x: Tensor, kernel: str) -> Tensor:
        return gram_matrix(prepared["gram"].kernel, x)

    def population_spectrum(self, design: Design) -> PopulationSpectrum:
        """Eigenvalues under the design's law, by degree, as far as they are known to three digits;
        `trace` says how much the degrees beyond hold.

        UnsuitableError where the first is not known, or one is negative: no kernel then.
        """
        self._profile_on(design)
        return _on_sphere(self, design_dim(design))

    def population_risk(self, prepared: Prepared, params: Tensor, problem: Problem) -> Risk:
        forms: ZonalForms | TorusForms = prepared["forms"]
        return forms.risk(params, problem.expansion)

    def trace(self, design: Design) -> float:
        """∫ k(x, x), the sum of all eigenvalues under the design's law."""
        profile = self._profile_on(design)
        return float(profile.value(np.ones(1))[0])

    def _profile_on(self, design: Design) -> Profile:
        profile = self.profile(design_dim(design)) if design.name == "sphere" else None
        if profile is None:
            raise UnsuitableError(
                f"{self.name}: found the design {design.name}, expected one whose population "
                f"spectrum is known for this kernel: {self.known_on}"
            )
        return profile

    @property
    def known_on(self) -> str:
        """The designs that `population_spectrum` knows."""
        return "sphere"


@functools.lru_cache(maxsize=64)
def _on_sphere(model: KernelModel, dim: int) -> PopulationSpectrum:
    """The population spectrum on S^{dim − 1}, found once and not to be written to."""
    profile = model.profile(dim)
    assert profile is not None  # as the model has made sure
    value, multiplicity = known_eigenvalues(sphere_spectrum(profile, dim))
    if not len(value):
        raise UnsuitableError(
            f"{model.name}: found an eigenvalue of degree 0 that is not known to three digits on "
            f"the sphere in {dim} dimensions, expected one above the rounding of k(x, x): the "
            "kernel is narrow beside the distances there; widen it (bandwidth) or lower dim"
        )
    degree = int(value.argmin())
    if value[degree] < 0:
        raise UnsuitableError(
            f"{model.name}: found the eigenvalue {value[degree]:.3g} of degree {degree} on the "
            f"sphere in {dim} dimensions, expected none below 0: it is no positive semidefinite "
            "kernel there; change its parameters"
        )
    found = PopulationSpectrum(value, multiplicity, np.arange(float(len(value))))
    for array in found:
        array.flags.writeable = False
    return found


def known_eigenvalues(found: SphereSpectrum) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues and multiplicities up to the first degree whose eigenvalue is not known.

    Odd degrees of a kernel that has none show rounding alone. As 0 they are known if what they may
    be is nothing beside the next known eigenvalue: those of a true kernel fall from a degree to the
    second next (Schoenberg), so that a hidden one would be no smaller.

    >>> rounding = np.array([1e-16, 1e-16, 1e-16, 1e-16])
    >>> spectrum = SphereSpectrum(np.array([0.5, 0, 0.1, 0]), np.ones(4), rounding * 5, rounding)
    >>> known_eigenvalues(spectrum._replace(error=np.array([0.0, 1.0, 0.0, 1.0])))[0]
    array([0.5, 0. , 0.1])
    """
    known = found.error < RELIABLE
    following = np.append(np.where(known, found.eigenvalue, 0.0), 0.0)
    for k in range(len(known) - 1, -1, -1):  # of the known, positive ones
        following[k] = following[k] if following[k] > 0 else following[k + 1]
    hidden = np.maximum(found.bound, np.abs(found.eigenvalue))
    listed = known | (hidden < RELIABLE * following[1:])
    count = len(listed) if listed.all() else int(listed.argmin())
    value = np.where(known, found.eigenvalue, 0.0)
    return value[:count], found.multiplicity[:count]


def design_dim(design: Design) -> int:
    """The dimension of a design's inputs."""
    return int(getattr(design, "dim", 0))


def _by_decomposition(
    found: Eigendecomposition, phi: Any, y: Tensor, ridges: Sequence[float] | None
) -> Tensor:
    """U φ_t(s) Uᵀ y at every time, (T, n) or (T, n, outputs); `ridges` are the times of ridge
    regression, which needs no U."""
    columns = y.reshape(len(y), -1)  # (n, outputs)
    values = None if ridges is None else found.ridge(columns, ridges)  # (n, T, outputs)
    if values is None:
        weighted = phi(found.value).mT[:, :, None] * found.coordinates(columns)[:, None]
        values = found.combine(weighted.flatten(1)).reshape(weighted.shape)
    return values.transpose(0, 1).reshape(-1, *y.shape)
