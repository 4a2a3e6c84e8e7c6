"""The full adaptive feature model: a network whose features and readout are trained jointly."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import torch
from attrs import frozen

from testbed import (
    Drawn,
    Example,
    HasBasis,
    HasDescent,
    HasExactSpectrum,
    HasGram,
    Mistake,
    Model,
    ModelWrapper,
    ParameterError,
    Prepared,
    Problem,
    Space,
    UnsuitableError,
    Withheld,
    inner_misfit,
    lack,
    parameter,
)

if TYPE_CHECKING:
    from torch import Tensor

READOUT = "second"  # the leaf of a network's parameters that holds β
Params: TypeAlias = "dict[str, Tensor]"


@frozen(kw_only=True)
class Features(ModelWrapper, HasExactSpectrum, HasBasis, HasGram, HasDescent):
    """f_θ(x) = ⟨Φ_η(x), β⟩, θ = (η, β), both following the gradient of the squared loss
    (arXiv:2412.18756, definition 4.1.1), with a network's last hidden layer as Φ_η.

    β is the network's readout (the parameters `second`), and η all other parameters: in a two-layer
    network the first layer. η moves `feature_rate` times as fast as in the network: rate 1 is the
    network, rate 0 keeps Φ_η at its start (random features), and rates between 0 and 1 show how
    much of a gain comes from features that move. The feature spectrum is that of the conjugate
    kernel Φ_ηᵀΦ_η. Starts, draws, predictions and kernels are those of the network.
    """

    name = "adaptive.features"
    references = ("arXiv:2412.18756",)

    of: Model = parameter(help="the network: a table with use = …, such as networks.two-layer")
    feature_rate: float = parameter(
        1.0, help="speed of the features η relative to the network's; 0 keeps them fixed", ge=0
    )
    zero_readout: bool = parameter(
        False, help="start from β = 0, and so from f = 0, instead of the network's own readout"
    )

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(
                {"of": {"use": "networks.two-layer"}}, {"optimizer": {"use": "gradient-descent"}}
            ),
        )

    def __attrs_post_init__(self) -> None:
        reason = lack(self.of, HasGram)
        if reason or self.of.facts().reads == "inputs":
            text = f"found {self.of.name}" + (f" ({reason})" if reason else "")
            raise ParameterError(text, "a network that learns its features", parameter="of")

    @property
    def inside(self) -> Model:
        return self.of

    def withheld(self) -> Withheld:
        if self.feature_rate == 1:
            return super().withheld()
        reason = f"the steps of {self.of.name} have one speed for all parameters"
        return {**super().withheld(), HasDescent: reason}

    def misfit(self, space: Space) -> Mistake | None:
        return inner_misfit(self.of, space, "of")

    def start(self, drawn: Drawn, prepared: Prepared, problem: Problem) -> Params:
        params = self.of.start(drawn, prepared, problem)
        if not isinstance(params, dict) or READOUT not in params:
            raise UnsuitableError(
                f"{self.name}: found {self.of.name}, whose parameters contain no "
                f"readout {READOUT!r}, expected a network"
            )
        return (
            params | {READOUT: torch.zeros_like(params[READOUT])} if self.zero_readout else params
        )

    def gradient(
        self, prepared: Prepared, params: Params, problem: Problem, rows: Tensor | None = None
    ) -> Params:
        slope = self.of.gradient(prepared, params, problem, rows)
        rate = self.feature_rate
        return {leaf: part if leaf == READOUT else rate * part for leaf, part in slope.items()}
