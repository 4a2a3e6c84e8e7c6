"""How much the quantities drift that a flow must conserve."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, TypeAlias

import torch
from attrs import frozen

from testbed import Cell, Example, Metric, Problem, Variable
from testbed_sequence.models.diagonal import Diagonal
from testbed_sequence.models.orthogonal import Orthogonal

if TYPE_CHECKING:
    from torch import Tensor

Params: TypeAlias = "Mapping[str, Tensor]"


@frozen(kw_only=True)
class InvariantDrift(Metric):
    """The largest relative change of a conserved quantity since the start, over all coordinates.

    Diagonal models conserve a² − β² and b² − Dβ² (arXiv:2409.00894, equations 13 and 14),
    orthogonal ones d² − α², ‖Aᵀz‖ and, in matrix form, AᵀA = I. Changes are relative to the terms
    that cancel. Exact flows drift by rounding, about 1e-15; steps of descent drift by their
    discretisation error.
    """

    name = "sequence.invariant-drift"
    references = ("arXiv:2409.00894", "arXiv:2412.18756")
    needs = ("parameters", "initial_parameters")
    variables: ClassVar[Mapping[str, Variable]] = {
        "invariant_drift": Variable("largest relative drift of a conserved quantity")
    }

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(
                {},
                {
                    "design": {"use": "sequence.gaussian"},
                    "target": {"use": "sequence.sparse-power"},
                    "model": {"use": "sequence.diagonal"},
                    "optimizer": {"use": "gradient-descent"},
                },
            ),
        )

    def applies(self, cell: Cell) -> str | None:
        model = cell.model
        if isinstance(model, Diagonal):
            return None
        if not isinstance(model, Orthogonal):
            return f"{model.name} has no invariants that this metric knows"
        if model.constraint == "free":
            return "a free basis conserves neither AᵀA nor ‖Aᵀz‖"
        return None

    def measure(
        self, problem: Problem, parameters: Params, initial_parameters: Params
    ) -> dict[str, Tensor]:
        drifts = _diagonal if "beta" in parameters else _orthogonal
        largest = [drift.amax() for drift in drifts(parameters, initial_parameters)]
        return {"invariant_drift": torch.stack(largest).amax()}


def relative_change(now: tuple[Tensor, Tensor], then: tuple[Tensor, Tensor]) -> Tensor:
    """|(p² − q²)(t) − (p² − q²)(0)| over the largest of these squares; 0 where all are 0."""
    (p, q), (p0, q0) = ((first.square(), second.square()) for first, second in (now, then))
    size = torch.stack([p, q, p0, q0]).amax(0)
    change = ((p - q) - (p0 - q0)).abs()
    return torch.where(size > 0, change / size.clamp(min=1e-300), 0.0)


def _diagonal(now: Params, then: Params) -> list[Tensor]:
    drifts = [relative_change((now["a"], now["beta"]), (then["a"], then["beta"]))]
    if "b" in now:
        # The depth follows from b² − b₀² = Dβ², rounded to the nearest integer.
        beta = now["beta"].square()
        grown = now["b"].square() - then["b"].square()
        depth = torch.round((grown * beta).sum() / beta.square().sum().clamp(min=1e-300))
        root = depth.clamp(min=1.0).sqrt()
        pairs = (now["b"], root * now["beta"]), (then["b"], root * then["beta"])
        drifts.append(relative_change(*pairs))
    return drifts


def _orthogonal(now: Params, then: Params) -> list[Tensor]:
    grown = relative_change((now["scale"], now["weight"]), (then["scale"], then["weight"]))
    held = (now["scale"] == then["scale"]).all()  # with fixed eigenvalues only α moves
    drifts = [torch.where(held, 0.0, grown)]
    if "observed" in now:
        length, start = (params["observed"].norm() for params in (now, then))
        drifts.append((length - start).abs() / start.clamp(min=1e-300))
    else:
        product = now["basis"].mT @ now["basis"]
        eye = torch.eye(product.shape[-1], dtype=product.dtype, device=product.device)
        drifts.append((product - eye).abs())
    return drifts
