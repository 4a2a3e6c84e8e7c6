"""A linear regression written as a sequence model (arXiv:2509.20294, Figure 3)."""

from __future__ import annotations

from typing import Any

import numpy as np
from attrs import frozen

from testbed import (
    SEQUENCES,
    Design,
    Example,
    Mistake,
    Rng,
    Sample,
    Space,
    Target,
    UnsuitableError,
    parameter,
)

SPECTRA = ("exponential", "logarithmic")


def feature_variances(spectrum: str, features: int) -> np.ndarray:
    """Variances of the columns of X: 0.95^j from j = 0, or 1/log(j + 1) from j = 1."""
    if spectrum == "exponential":
        return 0.95 ** np.arange(features)
    return 1 / np.log(np.arange(1, features + 1) + 1)


def alignment_scales(alignment: float, features: int) -> np.ndarray:
    """Diagonal of A = diag(exp(α t_i)), t evenly spaced on [−½, ½]."""
    return np.exp(alignment * np.linspace(-0.5, 0.5, features))


LINEAR_MODEL = "linear model"


@frozen(kw_only=True)
class LinearModel(Design):
    """y = Xβ + noise with X → XA, β → A^{−1}β, A = diag(e^{α t}), so that predictions Xβ do
    not change, while the order of the spectrum becomes less aligned with the signal as α grows.

    With the SVD X/√n = U diag(s) Vᵀ the regression is the sequence model z = s∘(Vᵀβ) + ξ,
    ξ ~ N(0, σ²/n), of eigenvalues s². Rows of the inputs are (index, s², s∘Vᵀ), which the target
    and the models read.
    """

    name = "sequence.linear-model"
    references = ("arXiv:2509.20294",)

    n: int = parameter(300, help="rows of X", ge=1, role="sample_size")
    features: int = parameter(400, help="columns of X", ge=1)
    spectrum: str = parameter(
        "exponential", help="variances of the columns: 0.95^j or 1/log(j + 1)", choices=SPECTRA
    )
    alignment: float = parameter(0.0, help="alignment strength α of A = diag(exp(α t))")
    noise: float = parameter(1.0, help="noise level σ", ge=0, role="noise")

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(
                {"n": 20, "features": 12},
                {
                    "target": {"use": "sequence.linear-coefficients"},
                    "model": {"use": "sequence.fixed"},
                },
            ),
        )

    def draw(self, rng: Rng) -> Sample:
        gaussian = rng("inputs").standard_normal((self.n, self.features))
        scales = alignment_scales(self.alignment, self.features)
        matrix = gaussian * np.sqrt(feature_variances(self.spectrum, self.features)) * scales
        _, s, rows = np.linalg.svd(matrix / np.sqrt(self.n), full_matrices=False)
        index, ones = np.arange(1.0, len(s) + 1), np.ones(len(s))
        x = np.column_stack([index, s**2, s[:, None] * rows])
        noise = self.noise / np.sqrt(self.n) * rng("noise").standard_normal(len(s))
        zeros = np.zeros(len(s))
        return Sample(x, ones, noise, self.noise**2 / self.n, x, ones, zeros)

    def space(self) -> Space:
        return Space("sequence", min(self.n, self.features), LINEAR_MODEL)

    def sizes(self) -> dict[str, int]:
        modes = min(self.n, self.features)
        return {"train": modes, "test": modes}


@frozen(kw_only=True)
class LinearCoefficients(Target):
    """β of a linear model: j^{−0.2} or 1/log(j + 1), multiplied by A^{−1} so that Xβ does not
    change."""

    name = "sequence.linear-coefficients"
    references = ("arXiv:2509.20294",)

    decay: str = parameter(
        "power", help="β_j = j^{−exponent}, or 1/log(j + 1)", choices=("power", "logarithmic")
    )
    exponent: float = parameter(0.2, help="exponent of the power decay", ge=0)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example({}, {"design": {"use": "sequence.linear-model"}}),)

    defined_on = SEQUENCES

    def misfit(self, space: Space) -> Mistake | None:
        if space.law == LINEAR_MODEL:
            return None
        return Mistake("", f"found {self.name} on {space}", "the design sequence.linear-model")

    def draw(self, rng: Rng, sample: Sample) -> Any:
        if not isinstance(sample.design, LinearModel):
            raise UnsuitableError(
                f"sequence.linear-coefficients: found the design {sample.design.name}, expected "
                "sequence.linear-model; use its coefficients on that design"
            )
        design = sample.design
        j = np.arange(1.0, design.features + 1)
        beta = j**-self.exponent if self.decay == "power" else 1 / np.log(j + 1)
        return beta / alignment_scales(design.alignment, design.features)

    def values(self, drawn: Any, x: np.ndarray) -> np.ndarray:
        return x[:, 2:] @ drawn

    def expansion(self, drawn: Any, sample: Sample) -> dict[str, np.ndarray]:
        return {"coefficients": self.values(drawn, sample.x)}
