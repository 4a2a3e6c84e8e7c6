"""How far features move, how sharp the loss is, and how far training is from its idealisations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import torch
from attrs import frozen

from testbed import (
    Cell,
    Data,
    Estimator,
    Example,
    HasEigensystem,
    HasGradient,
    Metric,
    Problem,
    UnsuitableError,
    Variable,
    has,
    lack,
    lacks_in_expansion,
    parameter,
    value_with,
)
from testbed.numerics.trees import tensors, tree_map
from testbed_networks.metrics.flow import CompanionFlow
from testbed_networks.models.fixed import Linearised
from testbed_networks.models.foreign import first_layer, objection
from testbed_networks.models.network import Network

if TYPE_CHECKING:
    from torch import Tensor

Params: TypeAlias = "Mapping[str, Tensor]"


TRAINED = Example(
    {},
    {"model": {"use": "networks.two-layer"}, "optimizer": {"use": "gradient-descent"}},
)
"""A network under gradient descent, with which gaps between two paths are tried."""


@frozen(kw_only=True)
class KernelDrift(Metric):
    """‖K_t − K_0‖_F/‖K_0‖_F: the relative change of the learned kernel's Gram matrix since the
    start. In a wide network of the NTK parameterization the tangent kernel hardly moves."""

    name = "networks.kernel-drift"
    references = ("arXiv:1806.07572",)
    needs = ("gram", "initial_gram")
    variables: ClassVar[Mapping[str, Variable]] = {
        "kernel_drift": Variable("relative change of the learned kernel since the start")
    }

    kernel: str = parameter(
        "tangent", help="kernel of the learned features, or the tangent kernel",
        choices=("features", "tangent"), role="kernel",
    )  # fmt: skip
    points: str = parameter(
        "train", help="points of the Gram matrix", choices=("train", "test"), role="points"
    )

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (TRAINED,)

    def measure(self, problem: Problem, gram: Tensor, initial_gram: Tensor) -> dict[str, Tensor]:
        drift = torch.linalg.matrix_norm(gram - initial_gram)
        return {"kernel_drift": drift / torch.linalg.matrix_norm(initial_gram)}


@frozen(kw_only=True)
class FeatureAlignment(Metric):
    """‖W P‖_F²/‖W‖_F², P the projection on the span of the target's directions: the share of the
    first layer's energy in the subspace that the target depends on. At an isotropic start it is
    about the number of directions over the dimension.

    The directions are the rows of `directions` in the target's expansion, which single-index and
    multi-index have, or the first `coordinates_used` coordinates. It measures any model whose
    parameters are a dict with W, (m, d), under the name `first`.
    """

    name = "networks.feature-alignment"
    needs = ("parameters",)
    variables: ClassVar[Mapping[str, Variable]] = {
        "feature_alignment": Variable("share of first-layer energy along the target's directions")
    }

    coordinates_used: int | None = parameter(
        None, help="take this many first coordinates as directions, not the target's", ge=1
    )

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(
                {},
                {
                    "target": {"use": "single-index"},
                    "model": {"use": "networks.two-layer"},
                    "optimizer": {"use": "gradient-descent"},
                },
            ),
        )

    def applies(self, cell: Cell) -> str | None:
        if has(cell.model, HasEigensystem):
            return f"{cell.model.name} has no first layer that is trained"
        if not isinstance(cell.model, Network) and not first_layer(cell.model):
            return f'{cell.model.name} has parameters that are not a dict with "first", (m, d)'
        if self.coordinates_used is not None:
            return None
        reason = lacks_in_expansion(cell.target, cell.design, "directions")
        return f"{reason}; give coordinates_used" if reason else None

    def measure(self, problem: Problem, parameters: Params) -> dict[str, Tensor]:
        first = parameters["first"]  # (m, d)
        if self.coordinates_used is not None:
            along = first[:, : self.coordinates_used]
        else:
            along = first @ _orthonormal(problem)
        return {"feature_alignment": along.square().sum() / first.square().sum()}


def _orthonormal(problem: Problem) -> Tensor:
    """An orthonormal basis of the target's directions as columns, (d, k)."""
    if "directions" not in problem.expansion:
        raise UnsuitableError(
            "networks.feature-alignment: found a target without directions in its expansion, "
            "expected some; give coordinates_used"
        )
    return torch.linalg.qr(problem.expansion["directions"].mT)[0]


@frozen(kw_only=True)
class Sharpness(Metric):
    """The largest eigenvalue of the Hessian of the training loss, or of its Gauss–Newton part
    Σ_i weight_i ∇f_i ∇f_iᵀ, in the metric of the steps (times m^{2κ−1}): descent of step η leaves
    the flow where it nears 2/η (arXiv:2103.00065).

    For one output, the largest eigenvalue of the Gauss–Newton part is the one of the tangent
    kernel's weighted Gram matrix. The relative error is usually 1e-6 and at most 1e-4; NaN where
    the iteration does not settle.
    """

    name = "networks.sharpness"
    references = ("arXiv:2103.00065",)
    needs = ("sharpness",)
    variables: ClassVar[Mapping[str, Variable]] = {
        "sharpness": Variable("largest eigenvalue of the Hessian of the training loss")
    }

    matrix: str = parameter(
        "hessian",
        help="the Hessian, or its Gauss–Newton part",
        choices=("hessian", "gauss-newton"),
        role="matrix",
    )

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (TRAINED,)

    def declared(self) -> Mapping[str, Variable]:
        if self.matrix == "hessian":
            return self.variables
        return {"sharpness": Variable("largest eigenvalue of the Gauss–Newton matrix")}

    def measure(self, problem: Problem, sharpness: Tensor) -> dict[str, Tensor]:
        return {"sharpness": sharpness}


@frozen(kw_only=True)
class WeightNorm(Metric):
    """‖θ‖ over all parameters, and their change ‖θ − θ₀‖/‖θ₀‖ since the start, for models
    whose features move; the change is undefined (NaN) where θ₀ = 0."""

    name = "networks.weight-norm"
    needs = ("parameters", "initial_parameters")
    variables: ClassVar[Mapping[str, Variable]] = {
        "weight_norm": Variable("norm ‖θ‖ of all parameters"),
        "weight_change": Variable("relative change ‖θ − θ₀‖/‖θ₀‖ of the parameters"),
    }

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (TRAINED,)

    def applies(self, cell: Cell) -> str | None:
        if has(cell.model, HasEigensystem):
            return f"{cell.model.name} keeps its features: its parameters are coefficients"
        if cell.model.facts().coordinates == "function":
            return f"the parameters of {cell.model.name} are not what is trained"
        return lack(cell.model, HasGradient)

    def measure(
        self, problem: Problem, parameters: Params, initial_parameters: Params
    ) -> dict[str, Tensor]:
        moved = tree_map(torch.sub, parameters, initial_parameters)
        start = _norm(initial_parameters)
        change = _norm(moved) / torch.where(start > 0, start, torch.nan)
        return {"weight_norm": _norm(parameters), "weight_change": change}


def _norm(tree: Any) -> Tensor:
    return torch.stack([leaf.square().sum() for leaf in tensors(tree)]).sum().sqrt()


# --- distances to idealised training --------------------------------------------------------------


def distance(data: Data, first: Tensor, second: Tensor) -> Tensor:
    """(Σ weight·(f − g)²)^½ over points and outputs, ()."""
    squares = (first - second).square()
    return (data.weight * (squares if squares.ndim == 1 else squares.sum(-1))).sum().sqrt()


def _rate_of(estimator: Estimator) -> Any:
    """The step size of an optimizer whose time is the flow's; ValueError if it has none."""
    optimizer = estimator.optimizer
    if optimizer.facts().clock == "own":
        raise ValueError(f"the time of {optimizer.name} is not the flow's")
    rate: Any = value_with(optimizer, "step_size", None)
    if rate is None:
        raise ValueError(f"{optimizer.name} takes no steps of a learning rate")
    return rate


@frozen(kw_only=True)
class FlowGap(Metric):
    """Distance (Σ weight·(f − g)²)^½ at the test points of a descent f to the gradient flow g of
    the same network from the same start at equal time. For networks with
    kinks the flow is extrapolated from descents of steps η/refine and half of it: accurate to a few
    per cent of the distance, of either sign."""

    name = "networks.flow-gap"
    needs = ("predictions", "companion_predictions")
    variables: ClassVar[Mapping[str, Variable]] = {
        "flow_gap": Variable("distance of the predictions to those of gradient flow")
    }

    refine: int = parameter(
        16, help="steps h = η/refine of the coarser descent, where σ has kinks", ge=2
    )
    rtol: float = parameter(1e-7, help="relative tolerance of the flow", gt=0, lt=1)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (TRAINED,)

    def companion(
        self, estimator: Estimator, estimators: Mapping[str, Estimator]
    ) -> Estimator | None:
        rate = _rate_of(estimator)
        flow = CompanionFlow(
            step=None if isinstance(rate, Mapping) else rate,
            edge=rate["edge"] if isinstance(rate, Mapping) else None,
            momentum=value_with(estimator.optimizer, "momentum", None) or 0.0,
            refine=self.refine,
            rtol=self.rtol,
        )
        return Estimator(f"{estimator.name}: flow", estimator.model, flow)

    def measure(
        self, problem: Problem, predictions: Tensor, companion_predictions: Tensor
    ) -> dict[str, Tensor]:
        return {"flow_gap": distance(problem.test, predictions, companion_predictions)}


@frozen(kw_only=True)
class LazyGap(Metric):
    """Distance (Σ weight·(f − g)²)^½ at the test points of a network f to its linearisation g at
    the start, trained by the same optimizer on the same draws (arXiv:1902.06720)."""

    name = "networks.lazy-gap"
    references = ("arXiv:1902.06720",)
    needs = ("predictions", "companion_predictions")
    variables: ClassVar[Mapping[str, Variable]] = {
        "lazy_gap": Variable("distance of the predictions to those of the linearised network")
    }

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (TRAINED,)

    def companion(
        self, estimator: Estimator, estimators: Mapping[str, Estimator]
    ) -> Estimator | None:
        model, optimizer = estimator.model, estimator.optimizer
        reason = "" if isinstance(model, Network) else objection(model)
        if reason:
            raise ValueError(
                f"{model.name} is not a network that leaves its linearisation: {reason}"
            )
        if optimizer.facts().clock == "own":
            raise ValueError(f"the steps of {optimizer.name} differ from the steps of its kernel")
        if isinstance(value_with(optimizer, "step_size", None), Mapping):
            raise ValueError(
                "a learning rate at the edge of the network is not at the edge of its linearisation"
            )
        return Estimator(
            f"{estimator.name}: linearised", Linearised(of=model, outputs=None), optimizer
        )

    def measure(
        self, problem: Problem, predictions: Tensor, companion_predictions: Tensor
    ) -> dict[str, Tensor]:
        return {"lazy_gap": distance(problem.test, predictions, companion_predictions)}
