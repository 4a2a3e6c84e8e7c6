"""Fixed features on a sequence: the kernel stays as it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from attrs import frozen

from testbed import (
    SEQUENCES,
    Design,
    DoesNotApply,
    Example,
    Fit,
    HasExactSpectrum,
    HasFlow,
    HasPowerEigenvalues,
    Model,
    ModelFacts,
    PowerEigenvalues,
    Problem,
    Space,
    Spectrum,
    UnsuitableError,
    parameter,
)

if TYPE_CHECKING:
    from torch import Tensor


def power_spectrum(x: Tensor, gamma: float) -> Tensor:
    """λ_j = j^{−γ} at the indices of a batch of sequences, (replicates, modes).

    Sequences that come from a design matrix carry their index in the first column of x.
    """
    index = x if x.ndim == 2 else x[..., 0]
    return index**-gamma


def design_spectrum(x: Tensor) -> Tensor:
    """The eigenvalues s² of a design matrix, from the second column of x."""
    if x.ndim == 2:
        raise UnsuitableError(
            'found spectrum = "design" on a design without one, expected sequence.linear-model; '
            "give gamma instead"
        )
    return x[..., 1]


@frozen(kw_only=True)
class Fixed(Model, HasFlow, HasExactSpectrum, HasPowerEigenvalues):
    """θ_j = λ_j^{1/2} β_j with λ_j = j^{−γ}, or with the design's own eigenvalues:
    θ_j(t) = (1 − e^{−λ_j t}) z_j exactly."""

    name = "sequence.fixed"
    references = ("arXiv:2409.00894",)

    gamma: float = parameter(1.0, help="decay of the eigenvalues λ_j = j^{−γ}", gt=0)
    spectrum_from: str = parameter(
        "gamma",
        alias="spectrum",
        help='"design" takes the eigenvalues of the design and ignores gamma',
        choices=("gamma", "design"),
    )

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example({"gamma": 1.5}),)

    defined_on = SEQUENCES

    def facts(self) -> ModelFacts:
        return ModelFacts(batching="batch", coordinates="function")

    def power_eigenvalues(self, space: Space) -> PowerEigenvalues:
        if space.kind != "sequence":
            raise DoesNotApply(f"{self.name} is a model of sequences")
        if self.spectrum_from == "design":
            raise DoesNotApply(
                f"{self.name} takes its eigenvalues from the design, which follow no power law"
            )
        return PowerEigenvalues(self.gamma, learned=False)

    def prepare(self, drawn: Any, problem: Problem) -> Tensor:
        if self.spectrum_from == "design":
            return design_spectrum(problem.train.x)
        return power_spectrum(problem.train.x, self.gamma)

    def start(self, drawn: Any, prepared: Tensor, problem: Problem) -> Tensor:
        return torch.zeros_like(prepared)

    def predict(self, prepared: Tensor, params: Tensor, probe: Any) -> Tensor:
        return params

    def gradient(
        self, prepared: Tensor, params: Tensor, problem: Problem, rows: Tensor | None = None
    ) -> Tensor:
        return prepared * (params - problem.train.y)

    def flow(self, fit: Fit, last: Tensor, since: float, times: Sequence[float]) -> Tensor:
        clock = torch.tensor(times, dtype=fit.prepared.dtype, device=fit.prepared.device)
        grown = -torch.expm1(-fit.prepared.unsqueeze(1) * clock[:, None])
        return grown * fit.problem.train.y.unsqueeze(1)  # (replicates, times, modes)

    def spectrum_length(self, design: Design, points: str) -> int:
        return design.sizes()[points]

    def spectrum(
        self, prepared: Tensor, params: Tensor, problem: Problem, kernel: str, points: str
    ) -> Spectrum:
        data = problem.train
        outside = torch.zeros_like(problem.noise)
        return Spectrum(prepared, data.truth, params, data.y, outside)
