"""Theories of sequence models, from a cell's parameters alone.

This module imports no model: it reads the declarations of the models that it predicts. It shares
only the scalar solution of one coordinate with them, through the quadrature.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple

import numpy as np
from attrs import frozen

from testbed import (
    Cell,
    DoesNotApply,
    Example,
    HasPowerDecay,
    HasPowerEigenvalues,
    IsSpectral,
    PowerEigenvalues,
    Problem,
    Theory,
    Variable,
    declared,
    sample_size,
    space_of,
    value_with,
)
from testbed_sequence.theories.quadrature import expected_risk, expected_risk_fixed

MISALIGNED = Example(
    {},
    {
        "design": {"use": "sequence.gaussian"},
        "target": {"use": "sequence.sparse-power"},
        "model": {"use": "sequence.diagonal"},
    },
)
"""A diagonal model of a misaligned signal, with which theories of sequences are tried."""


class Subject(NamedTuple):
    """A sequence model under gradient flow, as the theories describe it."""

    law: PowerEigenvalues
    modes: int  # J
    n: int
    variance: float  # ε² = σ²/n


def sequence(cell: Cell) -> Subject:
    """The cell as a Gaussian sequence under gradient flow; DoesNotApply if the cell is not one."""
    space = space_of(cell.design)
    if space.kind != "sequence" or space.law or space.dim is None:
        raise DoesNotApply(f"it covers Gaussian sequences, not {cell.design.name}")
    law = declared(cell.model, HasPowerEigenvalues).power_eigenvalues(space)
    name = declared(cell.optimizer, IsSpectral).algorithm().name
    if name != "flow":
        raise DoesNotApply(f"it covers gradient flow, not {name}")
    n, noise = sample_size(cell.design), value_with(cell.design, "noise", 0.0)
    return Subject(law, space.dim, n, noise**2 / n)


def expect_noise(subject: Subject) -> None:
    """DoesNotApply without noise."""
    if not subject.variance:
        raise DoesNotApply("it needs noise above 0")


@frozen(kw_only=True)
class ExpectedRisk(Theory):
    """E Σ (θ_j(t) − θ*_j)², the expectation over noise, which replicates estimate.

    Fixed features: Σ (e^{−λ_j t} θ*_j)² + ε² Σ (1 − e^{−λ_j t})² exactly. Diagonal models of any
    depth: coordinates are independent, so each is integrated over its own noise by quadrature.
    """

    name = "sequence.expected-risk"
    references = ("arXiv:2409.00894",)
    variables: ClassVar[Mapping[str, Variable]] = {
        "excess_risk": Variable("expected excess risk", predicts="excess_risk")
    }

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (MISALIGNED,)

    def predict(
        self, cell: Cell, times: Sequence[float], problem: Problem | None = None
    ) -> dict[str, np.ndarray]:
        subject = sequence(cell)
        if not len(times):
            return {"excess_risk": np.zeros(0)}
        law, variance = subject.law, subject.variance
        index = np.arange(1.0, subject.modes + 1)
        truth = np.asarray(cell.target.values(None, index))
        eigenvalue = index**-law.gamma
        if not law.learned:
            risk = expected_risk_fixed(truth, eigenvalue, variance, times)
        else:
            b0 = variance ** (0.5 / (law.depth + 2)) if law.start is None else law.start
            risk = expected_risk(truth, eigenvalue, variance, b0, law.depth, times)
        return {"excess_risk": np.asarray(risk)}


@frozen(kw_only=True)
class SpanBounds(Theory):
    """Bounds (d† − 1)ε² ≤ min_k [kε² + tail(k)] ≤ 2d†ε² of the oracle projection risk.

    d† = d†(ε²) is the span dimension of the initial order (arXiv:2509.20294): the bounds hold at
    time 0 for every model, and at all times for fixed features."""

    name = "sequence.span-bounds"
    references = ("arXiv:2509.20294",)
    variables: ClassVar[Mapping[str, Variable]] = {
        "lower": Variable("lower bound (d† − 1)ε² of the initial order", time=False),
        "upper": Variable("upper bound 2d†ε² of the initial order", time=False),
    }

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (MISALIGNED,)

    def predict(
        self, cell: Cell, times: Sequence[float], problem: Problem | None = None
    ) -> dict[str, np.ndarray]:
        subject = sequence(cell)
        expect_noise(subject)
        truth = np.asarray(cell.target.values(None, np.arange(1.0, subject.modes + 1)))
        variance = subject.variance
        tail = np.cumsum(truth[::-1] ** 2)[::-1]  # Σ_{i ≥ k}, k = 1 … J: λ_j decreases in j
        beyond = np.append(tail[1:], 0.0) / np.arange(1, len(truth) + 1)
        dimension = 1 + int(np.argmax(beyond <= variance))
        return {
            "lower": np.array((dimension - 1) * variance),
            "upper": np.array(2 * dimension * variance),
        }


@frozen(kw_only=True)
class Rates(Theory):
    """Exponents of the risk and of the best stopping time in n, up to logarithms.

    For the misaligned power signal (arXiv:2409.00894, Theorems 3.1, 3.2 and Corollary 3.3):

    fixed features n^{−p/(p+q)} at t ≍ n^{qγ/(p+q)}; diagonal ones n^{−p/(p+1)} at
    t ≍ n^{(D+1)/(D+2)}, for γ > 1 and γ ≥ (p+1)/(D+2).
    """

    name = "sequence.rates"
    references = ("arXiv:2409.00894",)
    variables: ClassVar[Mapping[str, Variable]] = {
        "risk_exponent": Variable("exponent of the risk at the best time in n", time=False),
        "time_exponent": Variable("exponent of the best stopping time in n", time=False),
    }

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(
                {},
                {
                    "design": {"use": "sequence.gaussian", "modes": 400},
                    "target": {"use": "sequence.sparse-power"},
                    "model": {"use": "sequence.diagonal"},
                },
            ),
        )

    def predict(
        self, cell: Cell, times: Sequence[float], problem: Problem | None = None
    ) -> dict[str, np.ndarray]:
        p, q = declared(cell.target, HasPowerDecay).power_decay()
        subject = sequence(cell)
        expect_noise(subject)
        law = subject.law
        if law.learned:
            expect_learnable(law, p)
        # last index with a visible truth: above ε for learned features, λ^{−1} < t* for fixed ones
        reach = subject.n ** (q / (p + 1 if law.learned else p + q))
        if subject.modes < reach:
            raise DoesNotApply(
                f"the truth is seen up to index {reach:.0f}; the sequence has {subject.modes} modes"
            )
        if not law.learned:
            risk, time = -p / (p + q), q * law.gamma / (p + q)
        else:
            risk, time = -p / (p + 1), (law.depth + 1) / (law.depth + 2)
        return {"risk_exponent": np.array(risk), "time_exponent": np.array(time)}


def expect_learnable(law: PowerEigenvalues, p: float) -> None:
    """DoesNotApply where γ is too small, or the start of the extra layers does not follow ε."""
    if law.gamma <= 1 or law.gamma < (p + 1) / (law.depth + 2):
        raise DoesNotApply(
            f"it needs γ > 1 and γ ≥ (p+1)/(D+2); found γ = {law.gamma:g}, p = {p:g}, "
            f"D = {law.depth}"
        )
    if law.depth and law.start is not None:
        raise DoesNotApply(
            f"it needs a start b₀ = ε^{{1/(D+2)}} of the extra layers, which shrinks as n grows; "
            f"found b₀ = {law.start:g}; leave b0 out"
        )
