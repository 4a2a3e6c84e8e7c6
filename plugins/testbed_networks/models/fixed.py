"""Fixed features of networks: random features, and linearised networks, by their kernels."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from attrs import frozen
from torch import Tensor

from testbed.components import Eigensystem, Model, Rng
from testbed.errors import UnsuitableError
from testbed.parameters import parameter
from testbed.values import Problem, Spectrum
from testbed_networks.activations import ACTIVATIONS
from testbed_networks.models.foreign import Foreign, objection
from testbed_networks.models.network import Network
from testbed_networks.models.two_layer import TwoLayerNetwork
from testbed_networks.spectra import eigenpairs, empirical_spectrum

Prepared = dict[str, Any]


@frozen(kw_only=True)
class FixedFeatures(Model):
    """Base of f = f₀ + Φ(x)ᵀθ with features Φ that stay, in dual coordinates θ = Σ_i α_i Φ(x_i):

        f(x) = f₀(x) + k(x, X) α,   α̇ = W(y − f(X)),   k(x, x') = ⟨Φ(x), Φ(x')⟩

    on the clock of the features' own gradient flow; not offered itself. Its eigensystem gives every
    flow, descent and spectral filter in closed form.
    """

    batching = "batch"
    time_batching = "loop"
    reads = "inputs"

    @property
    def features(self) -> Network | Foreign:
        """The network whose features they are."""
        raise NotImplementedError

    def kernel(self, drawn: Any, x: Tensor, other: Tensor | None) -> Tensor:
        """k(x, other) of every replicate, (R, n, n')."""
        raise NotImplementedError

    def initial(self, drawn: Any, x: Tensor) -> Tensor:
        """f₀(x), (R, n)."""
        raise NotImplementedError

    # --- what core asks -----------------------------------------------------------------------

    def draw(self, rng: Rng, problem: Problem) -> dict[str, np.ndarray]:
        drawn: dict[str, np.ndarray] = self.features.draw(rng, problem)
        return drawn  # of one output: the preparation does not see y

    def prepare(self, drawn: Any, problem: Problem) -> Prepared:
        x, root = problem.train.x, problem.train.weight.sqrt()
        gram = self.kernel(drawn, x, None)
        value, vectors = eigenpairs(gram, root)
        start = self.initial(drawn, x)
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
        if params.ndim > probe["start"].ndim:
            return probe["start"].unsqueeze(-1) + probe["cross"] @ params
        return probe["start"] + (probe["cross"] @ params.unsqueeze(-1)).squeeze(-1)

    def gradient(
        self, prepared: Prepared, params: Tensor, problem: Problem, rows: Tensor | None = None
    ) -> Tensor:
        """W(f − y): what gradient descent in θ takes from the dual coordinates."""
        data = problem.train
        probe = {"start": prepared["start"], "cross": prepared["gram"]}
        rest = self.predict(prepared, params, probe) - data.y
        slope = (data.weight.unsqueeze(-1) if rest.ndim > 2 else data.weight) * rest
        if rows is None:
            return slope
        share = data.weight.shape[-1] / rows.shape[-1]
        at = rows.unsqueeze(-1).expand(-1, -1, rest.shape[-1]) if rest.ndim > 2 else rows
        chosen = share * torch.gather(slope, 1, at)
        return torch.zeros_like(slope).scatter_add(1, at, chosen)

    def eigensystem(self, prepared: Prepared) -> Eigensystem:
        return Eigensystem(prepared["value"], prepared["vectors"], prepared["start"])

    def spectrum(
        self, prepared: Prepared, params: Tensor, problem: Problem, kernel: str, points: str
    ) -> Spectrum:
        data = problem.train if points == "train" else problem.test
        if points == "train":
            value, vectors = prepared["value"], prepared["vectors"]
            probe = {"start": prepared["start"], "cross": prepared["gram"]}
        else:
            gram = self.kernel(prepared["drawn"], data.x, None)
            value, vectors = eigenpairs(gram, data.weight.sqrt())
            probe = self.probe(prepared, data.x)
        fitted = self.predict(prepared, params, probe)
        return empirical_spectrum(value, vectors, data, fitted)

    def basis(self, prepared: Prepared, params: Tensor) -> Tensor:
        vectors: Tensor = prepared["vectors"]
        return vectors

    def gram(self, prepared: Prepared, params: Tensor, x: Tensor, kernel: str) -> Tensor:
        return self.kernel(prepared["drawn"], x, None)


@frozen(kw_only=True)
class Linearised(FixedFeatures):
    """A network at its initialisation as a model with fixed features (arXiv:1806.07572):
    f(x) = f₀(x) + J(x)(θ − θ₀), J the Jacobian at θ₀, trained on the network's own clock.

    It starts from the network's own draws, so that the distance between the two is how far the
    network has left its lazy dynamics. The network may be any plugin's model that autograd trains:
    its kernel then comes from per-example Jacobians of `predict`.
    """

    name = "networks.linearised"
    references = ("arXiv:1806.07572", "arXiv:1902.06720")

    of: Model = parameter(help="the network that is linearised")

    def __attrs_post_init__(self) -> None:
        reason = "" if isinstance(self.of, Network) else objection(self.of)
        if reason:
            raise ValueError(
                f"of: found {self.of.name}, expected a network that learns its features: {reason}"
            )

    @property
    def reads(self) -> Any:  # type: ignore[override]
        """A network prepares from the inputs alone; a foreign one says itself."""
        return "inputs" if isinstance(self.of, Network) else self.of.reads

    @property
    def features(self) -> Network | Foreign:
        return self.of if isinstance(self.of, Network) else Foreign(self.of)

    def prepare(self, drawn: Any, problem: Problem) -> Prepared:
        features = self.features
        origin = features.origin(drawn, problem) if isinstance(features, Foreign) else drawn
        return super().prepare(origin, problem)

    def kernel(self, drawn: Any, x: Tensor, other: Tensor | None) -> Tensor:
        return self.features.cross(drawn, x, other, "tangent")

    def start(self, drawn: Any, prepared: Prepared, problem: Problem) -> Tensor:
        if problem.train.y.ndim > 2:
            raise UnsuitableError(
                f"{self.name}: found {problem.train.y.shape[-1]} outputs, expected one: the "
                "tangent kernel of several mixes them; use an analytic kernel, ntk.relu say"
            )
        return super().start(drawn, prepared, problem)

    def initial(self, drawn: Any, x: Tensor) -> Tensor:
        return self.features.predict(None, drawn, x)


@frozen(kw_only=True)
class RandomFeatures(FixedFeatures):
    """f(x) = m^{−1/2} Σ_k a_k σ(⟨w_k, x⟩ + b_k) with w_k ~ N(0, I) and b_k ~ N(0, 1) frozen and a
    trained from 0: the second layer of a two-layer network alone, on the same draws.

    The clock is that of both parameterizations of the two-layer network, whose features' kernel is
    (1/m) σ(H)σ(H)ᵀ for either.
    """

    name = "networks.random-features"

    width: int = parameter(help="number m of features", ge=1)
    activation: str = parameter(
        "relu", help="activation σ of the features", choices=sorted(ACTIVATIONS)
    )
    bias: bool = parameter(False, help="biases of the features, b ~ N(0, 1)")

    @property
    def features(self) -> Network:
        return TwoLayerNetwork(
            width=self.width, activation=self.activation, bias=self.bias, train="second"
        )

    def kernel(self, drawn: Any, x: Tensor, other: Tensor | None) -> Tensor:
        return self.features.cross(drawn, x, other, "features")

    def initial(self, drawn: Any, x: Tensor) -> Tensor:
        return torch.zeros_like(x[..., 0])
