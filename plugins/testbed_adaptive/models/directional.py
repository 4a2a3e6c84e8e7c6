"""Directional features: the model learns a direction, or a frame of several directions."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import torch
from attrs import frozen

from testbed import (
    DirectionalFeatures,
    Example,
    HasDirectionalFeatures,
    HasExactSpectrum,
    HasGram,
    Mistake,
    Model,
    ModelFacts,
    ParameterError,
    Problem,
    Rng,
    Space,
    Spectrum,
    UnsuitableError,
    batch_of,
    drawn_expansion,
    lacks_in_expansion,
    narrow_misfit,
    parameter,
)
from testbed_adaptive.numerics.hermite_features import (
    by_mode,
    features,
    index_coefficients,
    lowering,
)
from testbed_adaptive.numerics.stiefel import orthonormal, tangent, tilted, uniform_frame

if TYPE_CHECKING:
    from torch import Tensor

Params: TypeAlias = "dict[str, Tensor]"
NEEDED = ("directions", "hermite", "deviation")  # entries of the target's expansion


@frozen(kw_only=True)
class Directional(Model, HasExactSpectrum, HasGram, HasDirectionalFeatures):
    """f(x) = Σ_m λ_{|m|}^{1/2} β_m h_m(Wᵀx/σ_x), the frame W ∈ R^{d×q}, WᵀW = I, and β trained.

    h_m are products of normalised Hermite polynomials with |m| ≤ R; with one direction
    f = Σ_r λ_r^{1/2} β_r h_r(⟨w, x⟩) (directional model of arXiv:2511.09425, §3). Inputs are
    Gaussian and the target is `single-index` or `multi-index`: the features are then orthonormal
    and the spectrum is the population's, eigenvalues λ_{|m|} with the truth's coefficients
    (g_r ρ^r for one direction, ρ = ⟨w, w*⟩), so that risks are exact.

    β starts at 0, W at products ⟨w_i, w*_i⟩ = d^{−1/2} exactly, others 0: random starts have
    heavy-tailed escape times. β follows the gradient, W the Riemannian gradient
    P(G) = G − W sym(WᵀG). What is trained is a matrix V = WR, R upper triangular with a positive
    diagonal (V = W‖V‖ for one direction), and V moves along P(G)R. The flow then keeps R and turns
    W along P(G); a step of size η takes W to the frame of W − ηP(G), the retraction of Riemannian
    descent, whatever R; errors that leave the manifold change R, on which predictions do not
    depend.
    """

    name = "adaptive.directional"
    references = ("arXiv:2511.09425", "arXiv:2003.10431")

    eigenvalues: tuple[float, ...] = parameter(
        (1.0, 1.0, 1.0, 1.0), help="λ₀, λ₁, …, λ_R: eigenvalue of the features of each degree"
    )
    directions: int | None = parameter(
        None, help="number q of directions; the target's unless given", ge=1
    )
    initial_overlap: float | None = parameter(
        None, help="start ⟨w_i, w*_i⟩; d^{−1/2} unless given", ge=0, le=1
    )
    random_start: bool = parameter(
        False, help="start at a uniform frame, instead of at the initial overlap"
    )

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(
                {"eigenvalues": [1.0, 1.0]},
                {
                    "design": {"use": "gaussian", "dim": 8},
                    "target": {"use": "single-index"},
                    "optimizer": {"use": "gradient-descent"},
                },
                {
                    "gradient_is_that_of_the_loss": "the frame follows the Riemannian gradient, "
                    "which is the projection of the loss's to the tangent space",
                },
            ),
        )

    def __attrs_post_init__(self) -> None:
        if min(self.eigenvalues, default=-1.0) < 0 or not any(self.eigenvalues[1:]):
            raise ParameterError(
                f"found {list(self.eigenvalues)}",
                "no negative number, and at least one above 0 after the first",
                parameter="eigenvalues",
            )

    def facts(self) -> ModelFacts:
        return ModelFacts(batching="batch", time_batching="loop", outputs="one")

    @property
    def degree(self) -> int:
        """The largest degree R of a feature."""
        return len(self.eigenvalues) - 1

    # --- the start ------------------------------------------------------------------------------

    def draw(self, rng: Rng, problem: Problem) -> np.ndarray:
        """The initial frame, (d, q)."""
        expansion = problem.expansion
        if "hermite" not in expansion:
            raise UnsuitableError(
                f"{self.name}: found a target or a design without Hermite coefficients, expected "
                "single-index or multi-index on gaussian inputs"
            )
        truth = expansion["directions"].double().cpu().numpy().T  # (d, q*)
        dim, count = truth.shape[0], self.directions or truth.shape[1]
        if self.random_start:
            needed, beside = count, None
        else:
            needed, beside = count + truth.shape[1], truth
        if needed > dim:
            raise UnsuitableError(
                f"{self.name}: found {count} directions besides the target's {truth.shape[1]} in "
                f"dimension {dim}, expected a dimension of at least {needed}"
            )
        drawn = uniform_frame(rng("model"), dim, count, beside)
        if beside is None:
            return drawn
        overlap = dim**-0.5 if self.initial_overlap is None else self.initial_overlap
        return tilted(truth, drawn, overlap)

    defined_on = ("euclidean",)

    def misfit(self, space: Space) -> Mistake | None:
        count = self.directions or 1
        narrow = narrow_misfit(space, count, f"{count} directions", "directions")
        return self.kind_misfit(space) or narrow or self._truth_misfit(space)

    def _truth_misfit(self, space: Space) -> Mistake | None:
        """The mistake of a target without Hermite coefficients, or of too many directions."""
        if space.target is None or space.design is None:
            return None
        reason = lacks_in_expansion(space.target, space.design, *NEEDED)
        if reason:
            advice = "take the target single-index or multi-index, and the design gaussian"
            return Mistake("", f"found {self.name}, but {reason}", "Hermite coefficients", advice)
        truth = len(drawn_expansion(space.target, space.design)["directions"])
        count = self.directions or truth
        needed = count if self.random_start else count + truth
        text = f"{count} directions besides the target's {truth}"
        return narrow_misfit(space, needed, text, "directions", "raise the design's dim")

    def directional_features(self) -> DirectionalFeatures:
        return DirectionalFeatures(
            self.eigenvalues, self.directions, self.initial_overlap, self.random_start
        )

    def prepare(self, drawn: Tensor, problem: Problem) -> Params:
        scale = problem.expansion["deviation"][:, None, None]  # σ_x
        root = torch.tensor(self.eigenvalues, dtype=drawn.dtype, device=drawn.device).sqrt()
        root = by_mode(root, drawn.shape[-1])
        return {"scale": scale, "root": root.expand(drawn.shape[0], -1)}

    def start(self, drawn: Tensor, prepared: Params, problem: Problem) -> Params:
        return {"frame": drawn, "beta": torch.zeros_like(prepared["root"])}

    # --- the function and its gradient ------------------------------------------------------------

    def _features(self, prepared: Params, frame: Tensor, x: Tensor) -> Tensor:
        """h_m(Wᵀx/σ_x), (R, modes, n)."""
        return features(frame.mT @ x.mT / prepared["scale"], self.degree)

    def _slopes(self, coefficients: Tensor, directions: int) -> Tensor:
        """Coefficients of f and of its slopes ∂f/∂z_j on the features, (R, 1 + q, modes)."""
        lower = lowering(directions, self.degree).to(coefficients)  # (q, modes, modes)
        slopes = (lower @ coefficients[:, None, :, None]).squeeze(-1)
        return torch.cat([coefficients[:, None], slopes], 1)

    def predict(self, prepared: Params, params: Params, probe: Tensor) -> Tensor:
        features = self._features(prepared, orthonormal(params["frame"]), probe)
        coefficients = prepared["root"] * params["beta"]
        return (coefficients.unsqueeze(-2) @ features).squeeze(-2)

    def gradient(
        self, prepared: Params, params: Params, problem: Problem, rows: Tensor | None = None
    ) -> Params:
        """∂β_m = λ^{1/2} Σ e h_m, ∂V = P(Xᵀ(e ∘ ∇_z f)/σ_x) R, e = weight·(f − y)."""
        data, frame = batch_of(problem.train, rows), orthonormal(params["frame"])
        inner = frame.mT @ params["frame"]  # the R of V = WR (R, q, q)
        features = self._features(prepared, frame, data.x)  # (R, modes, n)
        outputs = self._slopes(prepared["root"] * params["beta"], frame.shape[-1]) @ features
        residual = data.weight * (outputs[:, 0] - data.y)  # (R, n)
        pull = residual[:, None] * outputs[:, 1:]  # (R, q, n)
        toward = (pull @ data.x).mT / prepared["scale"]  # (R, d, q)
        readout = prepared["root"] * (features @ residual[:, :, None]).squeeze(-1)
        return {"frame": tangent(frame, toward) @ inner, "beta": readout}

    # --- the learned kernel -----------------------------------------------------------------------

    def spectrum(
        self, prepared: Params, params: Params, problem: Problem, kernel: str, points: str
    ) -> Spectrum:
        if kernel != "features":
            raise UnsuitableError(
                f"{self.name}: found kernel = {kernel!r}, expected 'features', whose "
                "eigenfunctions are known"
            )
        frame, data = orthonormal(params["frame"]), problem.train
        truth = self._truth(frame, problem)
        features = self._features(prepared, frame, data.x)
        observed = (features @ (data.weight * data.y).unsqueeze(-1)).squeeze(-1)
        outside = _energy(problem) - truth.square().sum(-1)
        estimate = prepared["root"] * params["beta"]
        return Spectrum(
            prepared["root"].square(), truth, estimate, observed, outside.clamp_min(0.0)
        )

    def _truth(self, frame: Tensor, problem: Problem) -> Tensor:
        """The truth's coefficients on the features, (R, modes)."""
        coefficients = problem.expansion["hermite"]  # (R, degrees)
        missing = self.degree + 1 - coefficients.shape[-1]
        if missing > 0:
            coefficients = torch.cat(
                [coefficients, coefficients.new_zeros(coefficients.shape[0], missing)], -1
            )
        overlaps = frame.mT @ problem.expansion["directions"].mT  # (R, q, q*)
        return index_coefficients(overlaps, coefficients[:, : self.degree + 1])

    def gram(self, prepared: Params, params: Params, x: Tensor, kernel: str) -> Tensor:
        """Σ λ h_m h_m'; "tangent" adds the frame's part ⟨P(∇_W f), P(∇_W f')⟩.

        ∇_W f(x) = x ∇_z fᵀ/σ_x; its part off the manifold is W sym(z ∇_z fᵀ), z = Wᵀx/σ_x.
        """
        frame = orthonormal(params["frame"])
        features = self._features(prepared, frame, x)
        scaled = prepared["root"].unsqueeze(-1) * features
        result = scaled.mT @ scaled
        if kernel == "features":
            return result
        slopes = self._slopes(prepared["root"] * params["beta"], frame.shape[-1])[:, 1:] @ features
        z = frame.mT @ x.mT / prepared["scale"]  # (R, q, n)
        outer = z.unsqueeze(-2) * slopes.unsqueeze(-3)  # (R, q, q, n)
        off = ((outer + outer.transpose(-2, -3)) / 2).flatten(-3, -2)  # (R, q², n)
        inputs = x @ x.mT / prepared["scale"].square()
        return result + inputs * (slopes.mT @ slopes) - off.mT @ off


def _energy(problem: Problem) -> Tensor:
    """‖f*‖² = Σ_{r ≥ 1} g_r² + q* g_0², (R,)."""
    coefficients, count = problem.expansion["hermite"], problem.expansion["directions"].shape[-2]
    return coefficients[:, 1:].square().sum(-1) + count * coefficients[:, 0].square()
