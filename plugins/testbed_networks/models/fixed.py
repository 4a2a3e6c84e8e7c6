"""Fixed features of networks: random features, and linearised networks, by their kernels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from attrs import evolve, frozen

from testbed import (
    POINTS,
    Data,
    Eigensystem,
    Example,
    Fit,
    HasBasis,
    HasEigensystem,
    HasFilterPath,
    HasGram,
    HasRandomFeatures,
    HasSpectrum,
    Mistake,
    Model,
    ModelFacts,
    ParameterError,
    Problem,
    RandomFeatures as Form,
    Rng,
    Space,
    Spectrum,
    UnsuitableError,
    inner_misfit,
    parameter,
)
from testbed.numerics.spectra import eigenpairs, empirical_spectrum
from testbed.numerics.spectral import by_eigensystem
from testbed_networks.models.foreign import Foreign, objection
from testbed_networks.models.network import Network
from testbed_networks.models.two_layer import TwoLayerNetwork
from testbed_networks.numerics.activations import ACTIVATIONS

if TYPE_CHECKING:
    from torch import Tensor

Prepared = dict[str, Any]


@frozen(kw_only=True)
class FixedFeatures(Model, HasEigensystem, HasFilterPath, HasSpectrum, HasBasis, HasGram):
    """Base of f = f₀ + Φ(x)ᵀθ with fixed features Φ, in dual coordinates θ = Σ_i α_i Φ(x_i):

        f(x) = f₀(x) + k(x, X) α,   α̇ = W(y − f(X)),   k(x, x') = ⟨Φ(x), Φ(x')⟩

    on the clock of the features' gradient flow; no scenario can name it. Its eigensystem gives
    every flow, descent and spectral filter in closed form.

    Several outputs either share one kernel, and then f₀ = 0, or every pair (point, output) has its
    own features: then f₀ is (R, n, outputs), and kernels have a row for each pair, outputs fastest.
    """

    def facts(self) -> ModelFacts:
        return ModelFacts(
            batching="batch", time_batching="loop", reads="inputs", coordinates="function"
        )

    @property
    def features(self) -> Network | Foreign:
        """The network that has these features."""
        raise NotImplementedError

    def kernel(self, drawn: Any, x: Tensor, second: Tensor | None) -> Tensor:
        """k(x, second) of every replicate, (R, n, n'), or (R, n·outputs, n'·outputs)."""
        raise NotImplementedError

    def initial(self, drawn: Any, x: Tensor) -> Tensor:
        """f₀(x), (R, n) or (R, n, outputs)."""
        raise NotImplementedError

    # --- the contract of models ---------------------------------------------------------------

    defined_on = POINTS

    def draw(self, rng: Rng, problem: Problem) -> dict[str, np.ndarray]:
        drawn: dict[str, np.ndarray] = self.features.draw(rng, problem)
        return drawn  # of one output: the preparation does not see y

    def prepare(self, drawn: Any, problem: Problem) -> Prepared:
        x, start = problem.train.x, self.initial(drawn, problem.train.x)
        gram = self.kernel(drawn, x, None)
        value, vectors = eigenpairs(gram, _by_output(problem.train.weight, start).sqrt())
        return {
            "drawn": drawn, "x": x, "gram": gram, "start": start, "value": value,
            "vectors": vectors,
        }  # fmt: skip

    def start(self, drawn: Any, prepared: Prepared, problem: Problem) -> Tensor:
        self.features.expect_vectors(problem, batched=True)
        return torch.zeros_like(problem.train.y)

    def probe(self, prepared: Prepared, x: Tensor) -> dict[str, Tensor]:
        if x is prepared["x"]:
            return {"start": prepared["start"], "cross": prepared["gram"]}
        drawn = prepared["drawn"]
        return {"start": self.initial(drawn, x), "cross": self.kernel(drawn, x, prepared["x"])}

    def predict(self, prepared: Prepared, params: Tensor, probe: dict[str, Tensor]) -> Tensor:
        start, cross = probe["start"], probe["cross"]
        if params.ndim > start.ndim:
            return start.unsqueeze(-1) + cross @ params
        return start + (cross @ params.flatten(1).unsqueeze(-1)).reshape(start.shape)

    def gradient(
        self, prepared: Prepared, params: Tensor, problem: Problem, rows: Tensor | None = None
    ) -> Tensor:
        """W(f − y): gradient descent in θ subtracts it from the dual coordinates."""
        data = problem.train
        probe = {"start": prepared["start"], "cross": prepared["gram"]}
        residual = self.predict(prepared, params, probe) - data.y
        slope = (data.weight.unsqueeze(-1) if residual.ndim > 2 else data.weight) * residual
        if rows is None:
            return slope
        share = data.weight.shape[-1] / rows.shape[-1]
        index = rows.unsqueeze(-1).expand(-1, -1, residual.shape[-1]) if residual.ndim > 2 else rows
        chosen = share * torch.gather(slope, 1, index)
        return torch.zeros_like(slope).scatter_add(1, index, chosen)

    def eigensystem(self, prepared: Prepared) -> Eigensystem:
        """The eigensystem over points, or over pairs (point, output) with features of their own."""
        return Eigensystem(prepared["value"], prepared["vectors"], prepared["start"].flatten(1))

    def path(self, fit: Fit, name: str, times: Sequence[float], **options: Any) -> Tensor:
        data, start = fit.problem.train, fit.prepared["start"]
        if start.ndim == 2:
            return by_eigensystem(fit, name, times, **options)
        problem = fit.problem._replace(train=_pairs(data, start))
        path = by_eigensystem(fit._replace(problem=problem), name, times, **options)
        return path.reshape(*path.shape[:2], *start.shape[1:])

    def spectrum(
        self, prepared: Prepared, params: Tensor, problem: Problem, kernel: str, points: str
    ) -> Spectrum:
        data = problem.train if points == "train" else problem.test
        if points == "train":
            value, vectors = prepared["value"], prepared["vectors"]
            probe = {"start": prepared["start"], "cross": prepared["gram"]}
        else:
            gram, probe = self.kernel(prepared["drawn"], data.x, None), self.probe(prepared, data.x)
            value, vectors = eigenpairs(gram, _by_output(data.weight, probe["start"]).sqrt())
        fitted = self.predict(prepared, params, probe)
        if probe["start"].ndim > 2:
            data, fitted = _pairs(data, probe["start"]), fitted.flatten(1)
        return empirical_spectrum(value, vectors, data, fitted)

    def basis(self, prepared: Prepared, params: Tensor) -> Tensor:
        vectors: Tensor = prepared["vectors"]
        return vectors

    def gram(self, prepared: Prepared, params: Tensor, x: Tensor, kernel: str) -> Tensor:
        return self.kernel(prepared["drawn"], x, None)


def _by_output(weight: Tensor, start: Tensor) -> Tensor:
    """Weights of the rows of a kernel, where f₀ is (R, n) or (R, n, outputs)."""
    return weight.repeat_interleave(start.shape[2:].numel(), -1)


def _pairs(data: Data, start: Tensor) -> Data:
    """The same data with a row for each pair (point, output)."""
    weight = _by_output(data.weight, start)
    return data._replace(y=data.y.flatten(1), truth=data.truth.flatten(1), weight=weight)


@frozen(kw_only=True)
class Linearised(FixedFeatures):
    """A network at its initialisation as a model with fixed features (arXiv:1806.07572):
    f(x) = f₀(x) + J(x)(θ − θ₀), J the Jacobian at θ₀, trained on the network's own clock.

    It starts from the network's draws, so that the distance between the two measures how far the
    network has left its lazy dynamics. The network may be any plugin's model that autograd trains:
    its kernel then comes from per-example Jacobians of `predict`. Several outputs are linearised
    together: n points with k outputs make a kernel of nk rows.
    """

    name = "networks.linearised"
    references = ("arXiv:1806.07572", "arXiv:1902.06720")

    of: Model = parameter(help="the network that is linearised")
    outputs: int | None = parameter(
        1, help="number of outputs, known before any observation is read", ge=1
    )  # None: as many as the observations have, which are then read

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example({"of": {"use": "networks.two-layer"}}),)

    def __attrs_post_init__(self) -> None:
        reason = "" if isinstance(self.of, Network) else objection(self.of)
        if reason:
            raise ParameterError(
                f"found {self.of.name}",
                f"a network that learns its features: {reason}",
                parameter="of",
            )

    def facts(self) -> ModelFacts:
        """Networks prepare from inputs alone; models of other plugins declare what they read."""
        inputs = isinstance(self.of, Network) or self.of.facts().reads == "inputs"
        if inputs and self.outputs is not None:
            return super().facts()
        return evolve(super().facts(), reads="problem")

    @property
    def features(self) -> Network | Foreign:
        return self.of if isinstance(self.of, Network) else Foreign(self.of)

    def draw(self, rng: Rng, problem: Problem) -> dict[str, np.ndarray]:
        data = problem.train
        if data.y is None and self.outputs is not None and self.outputs > 1:
            shown = data.x.new_zeros(len(data.x), self.outputs)
            problem = problem._replace(train=data._replace(y=shown))
        return super().draw(rng, problem)

    def misfit(self, space: Space) -> Mistake | None:
        return inner_misfit(self.of, space, "of") or self._outputs_misfit(space)

    def _outputs_misfit(self, space: Space) -> Mistake | None:
        """The mistake of a network whose number of outputs is not the design's."""
        if space.outputs is None or self.outputs in (None, space.outputs):
            return None
        problem = f"found {self.outputs} for a design that observes {space.outputs}"
        return Mistake("outputs", problem, str(space.outputs))

    def prepare(self, drawn: Any, problem: Problem) -> Prepared:
        features = self.features
        origin = features.origin(drawn, problem) if isinstance(features, Foreign) else drawn
        return super().prepare(origin, problem)

    def kernel(self, drawn: Any, x: Tensor, second: Tensor | None) -> Tensor:
        if self.initial(drawn, x[:, :1]).ndim == 2:
            return self.features.cross(drawn, x, second, "tangent")
        blocks = self.features.jacobian_cross(drawn, x, second)  # (R, n, n', outputs, outputs)
        return blocks.transpose(2, 3).flatten(3, 4).flatten(1, 2)

    def start(self, drawn: Any, prepared: Prepared, problem: Problem) -> Tensor:
        observed, outputs = problem.train.y.shape[2:].numel(), prepared["start"].shape[2:].numel()
        if observed != outputs:
            raise UnsuitableError(
                f"{self.name}: found observations of {observed} outputs for a network of "
                f"{outputs}, expected as many; set outputs = {observed}"
            )
        return super().start(drawn, prepared, problem)

    def initial(self, drawn: Any, x: Tensor) -> Tensor:
        return self.features.predict(None, drawn, x)


@frozen(kw_only=True)
class RandomFeatures(FixedFeatures, HasRandomFeatures):
    """f(x) = m^{−1/2} Σ_k a_k σ(⟨w_k, x⟩ + b_k) with w_k ~ N(0, I) and b_k ~ N(0, 1) frozen and a
    trained from 0: the second layer of a two-layer network alone, on the same draws.

    The clock is the one of the two-layer network: in both parameterizations the features' kernel is
    (1/m) σ(H)σ(H)ᵀ.
    """

    name = "networks.random-features"

    width: int = parameter(help="number m of features", ge=1)
    activation: str = parameter(
        "relu", help="activation σ of the features", choices=sorted(ACTIVATIONS)
    )
    bias: bool = parameter(False, help="biases of the features, b ~ N(0, 1)")

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example({"width": 8}),)

    def random_features(self) -> Form:
        return Form(self.width, self.activation, self.bias)

    @property
    def features(self) -> Network:
        return TwoLayerNetwork(
            width=self.width, activation=self.activation, bias=self.bias, train="second"
        )

    def kernel(self, drawn: Any, x: Tensor, second: Tensor | None) -> Tensor:
        return self.features.cross(drawn, x, second, "features")

    def initial(self, drawn: Any, x: Tensor) -> Tensor:
        return torch.zeros_like(x[..., 0])
