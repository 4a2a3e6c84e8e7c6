"""The learned kernel: eigenvalues, eigenvectors, and the truth's coefficients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from attrs import frozen

from testbed import Grid, Metric, Needs, Problem, Spectrum, Variable, parameter
from testbed.numerics.spans import eigenspace, order, ordered_tails, ranked_energy
from testbed_basics.metrics.modes import chosen

if TYPE_CHECKING:
    from torch import Tensor

KERNELS = ("features", "tangent")
POINTS = ("train", "test")


@frozen(kw_only=True)
class SpectrumMetric(Metric):
    """Base of metrics that read the feature spectrum; no scenario can name it."""

    needs: ClassVar[Needs] = ("spectrum",)

    kernel: str = parameter(
        "features",
        help="kernel of the learned features, or the tangent kernel",
        choices=KERNELS,
        role="kernel",
    )
    points: str = parameter(
        "train",
        help="points on which an empirical kernel's spectrum is taken",
        choices=POINTS,
        role="points",
    )


@frozen(kw_only=True)
class Eigenvalues(SpectrumMetric):
    """Eigenvalues of the learned kernel in the model's own order, and the truth's coefficients on
    their eigenfunctions at the first recorded time. On eigenfunctions that a solver has found these
    are sizes without signs, the root mean square within an eigenspace of several."""

    name = "eigenvalues"
    variables: ClassVar[Mapping[str, Variable]] = {
        "eigenvalue": Variable("eigenvalue of the learned kernel", ("mode",)),
        "truth_coefficient": Variable(
            "coefficient of the truth on the eigenfunction", ("mode",), time=False
        ),
    }

    modes: Grid | None = parameter(
        None, help="modes kept; all up to 100, else 100 log-spaced ones", sweepable=False
    )

    def coordinates(self, sizes: Mapping[str, int]) -> dict[str, np.ndarray]:
        return {"mode": chosen(self.modes, sizes["modes"], "modes")}

    def measure(self, problem: Problem, spectrum: Spectrum) -> dict[str, Tensor]:
        positions = torch.from_numpy(chosen(self.modes, spectrum.eigenvalue.shape[-1], "modes") - 1)
        positions = positions.to(spectrum.eigenvalue.device)
        return {
            "eigenvalue": spectrum.eigenvalue[positions],
            "truth_coefficient": _truth(spectrum)[positions],
        }


def _truth(spectrum: Spectrum) -> Tensor:
    """The truth's coefficients, (modes,); on eigenvectors of a solver, whose signs are arbitrary,
    their sizes, which are equal within an eigenspace."""
    if spectrum.resolution is None:
        return spectrum.truth
    size = ranked_energy(spectrum, spectrum.truth.square()).sqrt()
    return torch.zeros_like(size).scatter(-1, order(spectrum), size)


@frozen(kw_only=True)
class Eigenvectors(SpectrumMetric):
    """Overlaps ⟨u_k(t), u_l(0)⟩² of the learned eigenvectors with the initial ones, both ordered by
    decreasing eigenvalue; the mean over all pairs of their eigenspaces, where a solver has found
    several eigenvectors of equal eigenvalue."""

    name = "eigenvectors"
    needs = ("basis", "spectrum", "initial_basis", "initial_spectrum")
    variables: ClassVar[Mapping[str, Variable]] = {
        "eigenvector_overlap": Variable(
            "squared overlap of learned and initial eigenvectors", ("k", "initial_k")
        )
    }

    k: Grid = parameter(
        Grid(range(1, 11)), help="ranks of the eigenvectors compared", sweepable=False
    )

    def coordinates(self, sizes: Mapping[str, int]) -> dict[str, np.ndarray]:
        ranks = chosen(self.k, sizes["modes"], "ranks k")
        return {"k": ranks, "initial_k": ranks}

    def measure(
        self,
        problem: Problem,
        basis: Tensor,
        spectrum: Spectrum,
        initial_basis: Tensor,
        initial_spectrum: Spectrum,
    ) -> dict[str, Tensor]:
        ranks = torch.from_numpy(chosen(self.k, basis.shape[-1], "ranks k") - 1).to(basis.device)
        if spectrum.resolution is None:
            now = basis[:, order(spectrum)[ranks]]
            then = initial_basis[:, order(initial_spectrum)[ranks]]
            return {"eigenvector_overlap": (now.mT @ then).square()}
        now, then = basis[:, order(spectrum)], initial_basis[:, order(initial_spectrum)]
        overlap = (now.mT @ then).square()
        left, right = _shares(spectrum, ranks), _shares(initial_spectrum, ranks)
        return {"eigenvector_overlap": left @ overlap @ right.mT}


def _shares(spectrum: Spectrum, ranks: Tensor) -> Tensor:
    """Weights (ranks, modes) of the mean over the eigenspace that each rank is in."""
    space = eigenspace(spectrum)
    same = (space[ranks].unsqueeze(-1) == space).to(spectrum.eigenvalue.dtype)
    return same / same.sum(-1, keepdim=True)


@frozen(kw_only=True)
class TopProjection(SpectrumMetric):
    """Share of the truth's energy in the top-k learned eigenspaces (arXiv:2412.18756, §4.3.3):
    p_k(t) = Σ_{j≤k} ⟨u_j(t), f*⟩² / ‖f*‖², eigenvectors by decreasing eigenvalue, ties as in
    `testbed.numerics.spans`."""

    name = "top-projection"
    variables: ClassVar[Mapping[str, Variable]] = {
        "top_projection": Variable("share of the truth in the top-k eigenspaces", ("k",))
    }

    k: Grid = parameter(Grid([1, 2, 5, 10]), help="numbers of eigenspaces", sweepable=False)

    def coordinates(self, sizes: Mapping[str, int]) -> dict[str, np.ndarray]:
        return {"k": chosen(self.k, sizes["modes"], "ranks k")}

    def measure(self, problem: Problem, spectrum: Spectrum) -> dict[str, Tensor]:
        tail = ordered_tails(spectrum)
        ranks = torch.from_numpy(chosen(self.k, tail.shape[-1] - 1, "ranks k")).to(tail.device)
        return {"top_projection": 1 - tail[ranks] / tail[0]}
