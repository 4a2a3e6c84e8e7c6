"""The alignment of a kernel with the truth, and the truth's smoothness in the kernel's space."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from attrs import frozen

from testbed import Cell, Example, MetricFacts, Needs, Problem, Spectrum, Variable, parameter
from testbed.numerics.spans import order, ranked_energy
from testbed_basics.metrics.leakage import Decay, empirical_decay
from testbed_basics.metrics.spectra import SpectrumMetric

if TYPE_CHECKING:
    from torch import Tensor

AGAINST = ("truth", "observations")
ENDS = ("", "_error", "_modes")  # of the variables of a decay


@frozen(kw_only=True)
class TargetAlignment(SpectrumMetric):
    """Kernel–target alignment ⟨K, yyᵀ⟩/(‖K‖ ‖yyᵀ‖) in [0, 1], y the truth or the observations.

    In eigenpairs it is Σ s_k c_k²/((Σ s_k²)^½ Σ c_k²), c the coefficients of y; the last sum
    includes the energy outside the spectrum. `centred` subtracts the means of features and y
    (Cortes, Mohri, Rostamizadeh, arXiv:1203.0550) and needs the Gram matrix; without it the
    definition is that of Cristianini et al., NIPS 2001.
    """

    name = "target-alignment"
    references = ("arXiv:1203.0550",)
    variables: ClassVar[Mapping[str, Variable]] = {
        "target_alignment": Variable("alignment of the learned kernel with the target")
    }

    against: str = parameter("truth", help="what the kernel is aligned with", choices=AGAINST)
    centred: bool = parameter(False, help="subtract the means of features and target first")

    def needed(self) -> Needs:
        """The Gram matrix if means are subtracted, else the spectrum."""
        return ("gram",) if self.centred else ("spectrum",)

    def applies(self, cell: Cell) -> str | None:
        if self.against == "observations" or cell.target.facts().truth_known:
            return None
        advice = 'use against = "observations"'
        return f"the target {cell.target.name} has no known true function; {advice}"

    def measure(
        self, problem: Problem, spectrum: Spectrum | None = None, gram: Tensor | None = None
    ) -> dict[str, Tensor]:
        if gram is not None:
            data = problem.train if self.points == "train" else problem.test
            values = data.truth if self.against == "truth" else data.y
            return {"target_alignment": _centred(gram, values)}
        assert spectrum is not None
        coefficients, outside = spectrum.observed, torch.zeros_like(spectrum.outside)
        if self.against == "truth":
            coefficients, outside = spectrum.truth, spectrum.outside
        energy = _energy(coefficients)
        shared = (spectrum.eigenvalue * energy).sum()
        return {
            "target_alignment": shared / (spectrum.eigenvalue.norm() * (energy.sum() + outside))
        }


def _centred(gram: Tensor, values: Tensor) -> Tensor:
    """Alignment of HKH with Hyyᵀ H, H = I − 11ᵀ/n; of YYᵀ for several outputs."""
    columns = values.reshape(len(gram), -1)
    columns = columns - columns.mean(0)
    kernel = gram - gram.mean(0) - gram.mean(1, keepdim=True) + gram.mean()
    shared = (columns * (kernel @ columns)).sum()
    return shared / (kernel.norm() * (columns.mT @ columns).norm())


def _energy(coefficients: Tensor) -> Tensor:
    """Squares, summed over outputs; (modes,)."""
    squares = coefficients.square()
    return squares if squares.ndim == 1 else squares.sum(-1)


@frozen(kw_only=True)
class SourceCondition(SpectrumMetric):
    """The largest s with f* in [H]^s, Σ f_j² λ_j^{−s} < ∞, as the decay of the truth's coefficients
    on the learned eigenfunctions shows it, and its standard error.

    Where f_j² ≍ λ_j^s/j the energies of dyadic blocks of modes, ordered by eigenvalue, fall like
    λ^s: on a population's spectrum s is the slope of their logarithms, weighted by the number of
    modes, each block's own scatter being that of a χ² of as many degrees of freedom.

    On n points' eigenfunctions the energy of large modes leaks into high ones, where it falls like
    λ² whatever s is: a plain slope saturates near 2. There s is the likeliest one of
    f_j² ~ (A λ_j^s/j + leaked energy)·χ²₁ (see `testbed_basics.metrics.leakage`), and
    `source_smoothness_modes` counts the modes whose signal is above the leakage: of the order of
    n^{1/(1 + b(s − 2))} for s > 2 where λ_j ≍ j^{−b}. With Laplace and ReLU tangent kernels on S²
    (b = 3/2, `first` = 2, n = 400 and 1200) means of the estimate were within 0.05 of s = 0.5 and
    1, 2.13 to 2.28 at s = 2 and 3.07 to 3.4 at s = 3 from 7 to 15 modes, errors 0.8 to 1.2. With
    fewer than five such modes (polynomials; s = 4 in 46 of 72 samples, the others finding 3.2 to
    3.8) the plain slope is given as a lower bound, and its error is NaN. `last` bounds the modes
    used.
    """

    name = "source-condition"
    references = ("arXiv:2412.18756", "doi:10.2307/3318636")
    needs = (
        ("exact_spectrum",),
        ("spectrum", "parameters"),
    )  # the second marks an empirical spectrum
    variables: ClassVar[Mapping[str, Variable]] = {
        "source_smoothness": Variable(
            "largest s with the truth in [H]^s, by its decay",
            attrs={
                "comment": "a lower bound where its error alone is NaN; NaN itself with fewer "
                "than five modes, for example a quarter of fewer than 24 points"
            },
        ),
        "source_smoothness_error": Variable("standard error of the largest s"),
        "source_smoothness_modes": Variable("number of modes that show the largest s"),
    }

    first: int = parameter(2, help="first mode used, counted from 1 in the learned order", ge=1)
    last: int | None = parameter(None, help="last mode used; a quarter of all unless given", ge=8)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example({"first": 1, "last": 12}),)

    def facts(self) -> MetricFacts:
        return MetricFacts(batching="loop")

    def applies(self, cell: Cell) -> str | None:
        if cell.target.facts().truth_known:
            return None
        return f"the target {cell.target.name} has no known true function"

    def measure(
        self, problem: Problem, spectrum: Spectrum, parameters: Any = None
    ) -> dict[str, Tensor]:
        value = spectrum.eigenvalue[order(spectrum)]
        energy = ranked_energy(spectrum, _energy(spectrum.truth))
        last = min(self.last or len(value) // 4, len(value))
        if parameters is None:
            slope = _dyadic_slope(value, energy, self.first - 1, last)
        else:
            weight = (problem.train if self.points == "train" else problem.test).weight
            count = float(weight.sum() ** 2 / weight.square().sum())
            slope = empirical_decay(value[:last], energy[:last], self.first - 1, count)
        return {f"source_smoothness{end}": part for end, part in zip(ENDS, slope, strict=True)}


def _dyadic_slope(value: Tensor, energy: Tensor, first: int, last: int) -> Decay:
    """Weighted slope of log block energies on log eigenvalues, and its standard error: the larger
    of what the χ² scatter and what the residuals say. NaN with fewer than three blocks."""
    edges = [first]
    while 2 * edges[-1] + 1 <= last:
        edges.append(2 * edges[-1] + 1)
    edges[-1] = last if len(edges) > 1 else edges[-1]
    if len(edges) < 4:
        nothing = value.new_full((), math.nan)
        return Decay(nothing, nothing, torch.zeros_like(nothing))
    blocks = [slice(low, high) for low, high in pairwise(edges)]
    x = torch.stack([value[block].log().mean() for block in blocks])
    y = torch.stack([energy[block].sum().log() for block in blocks])
    weight = torch.tensor([(b.stop - b.start) / 2 for b in blocks]).to(x)  # 1/var of log χ²
    x = x - (weight * x).sum() / weight.sum()
    centred = y - (weight * y).sum() / weight.sum()
    spread = (weight * x.square()).sum()
    slope = (weight * x * centred).sum() / spread
    scatter = (weight * (centred - slope * x).square()).sum() / (len(blocks) - 2)
    error = (scatter.clamp_min(1) / spread).sqrt()
    return Decay(slope, error, torch.full_like(slope, last - first))
