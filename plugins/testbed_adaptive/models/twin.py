"""The bridge from regression to sequences: a sequence model fitted to the same problem."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from attrs import evolve, frozen

from testbed import (
    Batched,
    Data,
    Example,
    Fit,
    HasExactSpectrum,
    HasFlow,
    HasGradient,
    HasPowerEigenvalues,
    HasPredictions,
    HasSpectrum,
    Mistake,
    Model,
    ModelFacts,
    PowerEigenvalues,
    Problem,
    Rng,
    Space,
    Spectrum,
    UnsuitableError,
    Withheld,
    batch_of,
    declared,
    inner_misfit,
    lacks,
    parameter,
)
from testbed.numerics.trees import index, stack
from testbed_adaptive.models.basis_model import (
    BasisModel,
    Prepared,
    combine,
    effective_noise,
    project,
)

if TYPE_CHECKING:
    from torch import Tensor

PASSED = (HasPredictions, HasGradient, HasFlow, HasSpectrum, HasExactSpectrum)


@frozen(kw_only=True)
class SequenceTwin(BasisModel, HasFlow, HasPowerEigenvalues):
    """The sequence model that reads from a regression problem only z_j = (1/n) Σ_i y_i e_j(x_i),
    j = 1 … J, and fits f(x) = Σ θ_j e_j(x) by ½‖z − θ‖².

    z observes the coefficients θ*_j = ⟨f*, e_j⟩ with variance near ε² = (σ² + ‖f*‖²)/n each, since
    random inputs spread f* too; ε² is estimated by Σ y²/n², as the adaptive kernel does for its
    start b₀, and errors are correlated across j. The sequence's index is the level of e_j (or j,
    see `order`), so that λ_j = index^{−γ} are the adaptive kernel's eigenvalues. The distance
    of the two paths as n grows is the first open question of arXiv:2412.18756.
    """

    name = "adaptive.sequence-twin"
    references = ("arXiv:2412.18756", "arXiv:2501.08679")

    of: Model = parameter(help="the sequence model")

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(
                {"of": {"use": "sequence.diagonal"}, "basis": "torus", "modes": 9},
                {"design": {"use": "torus"}, "target": {"use": "trigonometric"}},
                dict.fromkeys(
                    ("gradient_descends", "gradient_is_that_of_the_loss"),
                    "it descends the loss of the sequence of empirical coefficients, which differs "
                    "from that of the points",
                ),
            ),
        )

    def withheld(self) -> Withheld:
        return {**lacks(self.of, *PASSED), **super().withheld()}

    def facts(self) -> ModelFacts:
        """The sequence model's facts, except that the twin reads the observations of a problem."""
        return evolve(
            self.of.facts(), batching="batch", reads="problem", threads="one", outputs="one"
        )

    def draw(self, rng: Rng, problem: Problem) -> Any:
        if type(self.of).draw is Model.draw:
            return None
        sequence = self._sequence(stack([problem]), None)
        with self._fits():
            drawn: dict[str, np.ndarray] | None = self.of.draw(rng, index(sequence, 0))
        return drawn

    @contextmanager
    def _fits(self) -> Iterator[None]:
        """Report the objections of `of` in terms of the regression, whose user does not know z."""
        try:
            yield
        except UnsuitableError as error:
            raise UnsuitableError(
                f"{self.name}: found {self.of.name}, which cannot fit the observed coefficients "
                f"({error}), expected a sequence model that can"
            ) from error

    def power_eigenvalues(self, space: Space) -> PowerEigenvalues:
        inner = declared(self.of, HasPowerEigenvalues).power_eigenvalues(Space("sequence"))
        return inner._replace(gamma=self.index_power(inner.gamma, space))

    def misfit(self, space: Space) -> Mistake | None:
        inner = inner_misfit(self.of, Space("sequence", self.modes), "of")
        return self.basis_misfit(space) or inner or self.truth_misfit(space)

    def _sequence(self, problem: Problem, rows: Tensor | None) -> Problem:
        """z as a sequence problem, with the truth's coefficients where they are known."""
        data = batch_of(problem.train, rows)
        basis = self.basis_of(data.x)
        z = project(basis.values(data.x), data.weight * data.y)
        truth, outside = self.truth_in_basis(basis, problem)
        place = self.indices(basis, z).expand_as(z)
        train = Data(place, z, truth, torch.ones_like(z))
        return Problem(train, train, effective_noise(problem), {"outside": outside})

    def prepare(self, drawn: Any, problem: Problem) -> Prepared:
        sequence = self._sequence(problem, None)
        with self._fits():
            inner = Batched(self.of).prepare(drawn, sequence)
        return {"sequence": sequence, "inner": inner}

    def start(self, drawn: Any, prepared: Prepared, problem: Problem) -> Any:
        return Batched(self.of).start(drawn, prepared["inner"], prepared["sequence"])

    def probe(self, prepared: Prepared, x: Tensor) -> dict[str, Any]:
        inner = Batched(self.of).probe(prepared["inner"], prepared["sequence"].train.x)
        return {"values": self.basis_of(x).values(x), "inner": inner}

    def predict(self, prepared: Prepared, params: Any, probe: dict[str, Any]) -> Tensor:
        fitted = Batched(self.of).predict(prepared["inner"], params, probe["inner"])
        return combine(probe["values"], fitted)

    def gradient(
        self, prepared: Prepared, params: Any, problem: Problem, rows: Tensor | None = None
    ) -> Any:
        """The gradient of ½‖z − θ‖², the sequence's loss; a batch of rows gives another z."""
        sequence = prepared["sequence"] if rows is None else self._sequence(problem, rows)
        return Batched(self.of).gradient(prepared["inner"], params, sequence)

    def flow(self, fit: Fit, last: Any, since: float, times: Sequence[float]) -> Any:
        prepared, of = fit.prepared, Batched(self.of)
        assert isinstance(of, HasFlow)
        inner = Fit(of, prepared["inner"], fit.start, prepared["sequence"], fit.draws)
        return of.flow(inner, last, since, times)

    def spectrum(
        self, prepared: Prepared, params: Any, problem: Problem, kernel: str, points: str
    ) -> Spectrum:
        sequence = prepared["sequence"]
        of = Batched(self.of)
        assert isinstance(of, HasSpectrum)
        inner = of.spectrum(prepared["inner"], params, sequence, kernel, points)
        return inner._replace(outside=inner.outside + sequence.expansion["outside"])
