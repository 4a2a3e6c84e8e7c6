"""The distance of an adaptive kernel, trained on a sample, to its sequence twin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from attrs import evolve, fields, frozen

from testbed import Estimator, Example, Metric, Model, Problem, Spectrum, Variable, parameter
from testbed_adaptive.models.basis_model import BasisModel
from testbed_adaptive.models.diagonal import DiagonalKernel
from testbed_adaptive.models.twin import SequenceTwin

if TYPE_CHECKING:
    from torch import Tensor


@frozen(kw_only=True)
class PathGap(Metric):
    """Distance of an adaptive kernel to its sequence twin at equal time, on the same draws.

    In function norm (Σ_j (θ_j − θ̃_j)²)^½, by coefficients where the basis is orthonormal under the
    inputs' law, at the test points elsewhere; by spectrum ‖λ − λ̃‖/‖λ̃‖, the relative
    Hilbert–Schmidt distance of the two learned kernels, whose eigenfunctions are the same. The
    largest of each over the recorded times is a variable too.
    """

    name = "adaptive.path-gap"
    references = ("arXiv:2412.18756",)
    needs = (
        ("exact_spectrum", "companion_exact_spectrum"),
        ("spectrum", "companion_spectrum", "predictions", "companion_predictions"),
    )
    variables: ClassVar[Mapping[str, Variable]] = {
        "path_gap": Variable("distance to the sequence twin ‖f − f̃‖"),
        "spectrum_gap": Variable("relative distance ‖λ − λ̃‖/‖λ̃‖ of the learned kernels"),
        "largest_path_gap": Variable("largest distance to the sequence twin", time=False),
        "largest_spectrum_gap": Variable("largest distance of the learned kernels", time=False),
    }
    concluded = ("largest_path_gap", "largest_spectrum_gap")

    sequence: Model = parameter(
        help="the twin's sequence model; its gamma, depth and b0 are the adaptive kernel's"
    )

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(
                {"sequence": {"use": "sequence.diagonal"}},
                {
                    "design": {"use": "torus"},
                    "target": {"use": "trigonometric"},
                    "model": {"use": "adaptive.diagonal"},
                },
            ),
        )

    def companion(
        self, estimator: Estimator, estimators: Mapping[str, Estimator]
    ) -> Estimator | None:
        model = estimator.model
        if not isinstance(model, DiagonalKernel):
            raise ValueError(f"{model.name} has no sequence twin")
        twin = twin_of(model, self.sequence)
        return Estimator(f"{estimator.name}: twin", twin, estimator.optimizer)

    def measure(self, problem: Problem, **needs: Any) -> dict[str, Tensor]:
        spectrum: Spectrum = needs["spectrum"]
        twin: Spectrum = needs["companion_spectrum"]
        if "predictions" in needs:
            weight = problem.test.weight
            gap = needs["predictions"] - needs["companion_predictions"]
        else:
            weight, gap = spectrum.eigenvalue.new_ones(()), spectrum.estimate - twin.estimate
        moved = (spectrum.eigenvalue - twin.eigenvalue).square().sum(-1)
        return {
            "path_gap": (weight * gap.square()).sum(-1).sqrt(),
            "spectrum_gap": (moved / twin.eigenvalue.square().sum(-1)).sqrt(),
        }

    def conclude(
        self, times: np.ndarray, measured: Mapping[str, np.ndarray]
    ) -> Mapping[str, np.ndarray]:
        return {
            f"largest_{name}": np.fmax.reduce(measured[name], 1)
            for name in ("path_gap", "spectrum_gap")
        }


def twin_of(model: DiagonalKernel, sequence: Model) -> SequenceTwin:
    """The twin of an adaptive kernel: the sequence model with the kernel's eigenvalues, depth and
    b₀, in the kernel's basis. ValueError if only one of the two learns its eigenvalues."""
    template: Any = sequence
    has = {attribute.name for attribute in fields(type(template))}
    if model.fixed == ("depth" in has):
        kind, wanted = (
            ("fixed", "sequence.fixed") if model.fixed else ("learned", "one that learns")
        )
        raise ValueError(f"found {sequence.name} for a kernel that is {kind}, expected {wanted}")
    parameters = {name: getattr(model, name) for name in ("gamma", "depth", "b0") if name in has}
    shared: dict[str, Any] = {
        str(field.alias): getattr(model, field.name) for field in fields(BasisModel)
    }
    return SequenceTwin(of=evolve(template, **parameters), **shared)
