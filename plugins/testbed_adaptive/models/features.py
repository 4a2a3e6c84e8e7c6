"""The full adaptive feature model: a network whose features and readout are trained jointly."""

from __future__ import annotations

from typing import Any

import torch
from attrs import frozen
from torch import Tensor

from testbed.contract.components import Model, Rng
from testbed.contract.parameters import parameter
from testbed.contract.values import Problem, Spectrum
from testbed.errors import ParameterError, UnsuitableError

READOUT = "second"  # the leaf of a network's parameters that holds β
PASSED_ON = ("descend", "gradient", "predict", "spectrum", "exact_spectrum", "basis", "gram")
Params = dict[str, Tensor]


@frozen(kw_only=True)
class Features(Model):
    """f_θ(x) = ⟨Φ_η(x), β⟩, θ = (η, β), both following the gradient of the squared loss
    (arXiv:2412.18756, definition 4.1.1), with a network's last hidden layer as Φ_η.

    β is the network's readout (the parameters `second`), η all others: in a two-layer network the
    first layer. η moves at `feature_rate` times its own speed on the network's clock: 1 is the
    network itself, 0 leaves Φ_η at its start, random features, and what lies between tells how much
    of a gain comes from features that move. The feature spectrum is that of the conjugate kernel
    Φ_ηᵀΦ_η, and starts, draws, predictions and kernels are the network's own.
    """

    name = "adaptive.features"
    references = ("arXiv:2412.18756",)

    of: Model = parameter(help="the network: a table with use, networks.two-layer say")
    feature_rate: float = parameter(
        1.0, help="speed of the features η relative to the network's own; 0: they stay", ge=0
    )
    zero_readout: bool = parameter(
        False, help="start from β = 0, and so from f = 0, instead of the network's own readout"
    )

    def __attrs_post_init__(self) -> None:
        reason = self.of.supports("gradient") or self.of.supports("gram")
        if reason or self.of.reads == "inputs":
            found = f"found {self.of.name}" + (f" ({reason})" if reason else "")
            raise ParameterError(found, "a network that learns its features", parameter="of")

    @property
    def batching(self) -> Any:  # type: ignore[override]
        """The network's own."""
        return self.of.batching

    @property
    def time_batching(self) -> Any:  # type: ignore[override]
        """The network's own."""
        return self.of.time_batching

    @property
    def threads(self) -> Any:  # type: ignore[override]
        """The network's own."""
        return self.of.threads

    @property
    def smooth(self) -> Any:  # type: ignore[override]
        """The network's own."""
        return self.of.smooth

    @property
    def gradient_is_velocity(self) -> bool:  # type: ignore[override]
        """What that of the model inside is."""
        return self.of.gradient_is_velocity

    def supports(self, capability: str) -> str | None:
        if capability == "descend" and self.feature_rate != 1:
            return f"the steps of {self.of.name} know one speed for all parameters"
        if capability in PASSED_ON:
            return self.of.supports(capability)
        return f"{self.name} has no {capability}: its features move"

    def draw(self, rng: Rng, problem: Problem) -> Any:
        return self.of.draw(rng, problem)

    def prepare(self, drawn: Any, problem: Problem) -> Any:
        return self.of.prepare(drawn, problem)

    def start(self, drawn: Any, prepared: Any, problem: Problem) -> Params:
        params = self.of.start(drawn, prepared, problem)
        if not isinstance(params, dict) or READOUT not in params:
            raise UnsuitableError(
                f"{self.name}: found {self.of.name}, whose parameters name no readout "
                f"{READOUT!r}, expected a network"
            )
        return (
            params | {READOUT: torch.zeros_like(params[READOUT])} if self.zero_readout else params
        )

    def probe(self, prepared: Any, x: Tensor) -> Any:
        return self.of.probe(prepared, x)

    def predict(self, prepared: Any, params: Params, probe: Any) -> Tensor:
        return self.of.predict(prepared, params, probe)

    def gradient(
        self, prepared: Any, params: Params, problem: Problem, rows: Tensor | None = None
    ) -> Params:
        slope = self.of.gradient(prepared, params, problem, rows)
        rate = self.feature_rate
        return {leaf: own if leaf == READOUT else rate * own for leaf, own in slope.items()}

    def descend(self, *arguments: Any, **options: Any) -> Any:
        """Steps of the network's own loop."""
        return self.of.descend(*arguments, **options)  # type: ignore[attr-defined]

    def spectrum(
        self, prepared: Any, params: Params, problem: Problem, kernel: str, points: str
    ) -> Spectrum:
        return self.of.spectrum(prepared, params, problem, kernel, points)

    def basis(self, prepared: Any, params: Params) -> Tensor:
        return self.of.basis(prepared, params)

    def gram(self, prepared: Any, params: Params, x: Tensor, kernel: str) -> Tensor:
        return self.of.gram(prepared, params, x, kernel)
