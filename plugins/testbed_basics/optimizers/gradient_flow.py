"""Gradient flow: exact if the model allows it, otherwise by adaptive integration."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from attrs import frozen

from testbed import (
    Advance,
    Algorithm,
    Fit,
    HasEigensystem,
    HasFilterPath,
    HasFlow,
    HasGradient,
    HasLeverage,
    IsSpectral,
    Model,
    Optimizer,
    OptimizerFacts,
    Variable,
    has,
    lack,
    parameter,
)
from testbed.numerics.edges import rates_of
from testbed.numerics.integrate import begin, integrate
from testbed.numerics.spectral import filtered, smoother_diagonal
from testbed.numerics.trees import flatten, tree_map, unflatten

if TYPE_CHECKING:
    from torch import Tensor

_JUMPS = (
    "the gradient of {} jumps, and adaptive steps would stop at every jump; take gradient-descent "
    "with a small learning_rate (networks.flow-gap measures how far it is from the flow), or a "
    "smooth activation"
)


@frozen(kw_only=True)
class GradientFlow(Optimizer, HasLeverage, IsSpectral):
    """Gradient flow of ½ Σ weight·(y − f)², recorded at times τ.

    Where the model has an eigensystem the last time may be inf: the least-squares fit of least
    norm, as in `spectral-filter`.

    "exact" takes the model's closed form or its eigensystem; "numeric" integrates adaptively, with
    one step size per replicate; "auto" is exact where it can be. The numeric route is explicit: it
    costs about (fastest rate)·τ/3 steps up to where the flow comes to rest in a minimum, and ends
    with status `diverged` and NaN where `max_evaluations` does not suffice. It refuses models whose
    gradient jumps.
    """

    name = "gradient-flow"
    variables: ClassVar[Mapping[str, Variable]] = {
        "evaluations": Variable("right-hand sides evaluated by the integrator")
    }

    method: str = parameter(
        "auto", help="how the flow is solved", choices=("auto", "exact", "numeric")
    )
    rtol: float = parameter(1e-6, help="relative tolerance of the numeric route", gt=0, lt=1)
    atol: float = parameter(1e-9, help="absolute tolerance of the numeric route", gt=0)
    max_evaluations: int = parameter(
        1_000_000, help="right-hand sides after which the numeric route gives up", ge=10
    )

    def algorithm(self) -> Algorithm:
        return Algorithm("flow", math.inf)

    def facts(self) -> OptimizerFacts:
        return OptimizerFacts(batching="batch")

    def route(self, model: Model) -> str:
        """The route for this model: "flow", "eigensystem" or "numeric"."""
        if self.method == "numeric":
            return "numeric"
        if has(model, HasFlow):
            return "flow"
        return "eigensystem" if has(model, HasEigensystem) else "numeric"

    def accepts(self, model: Model) -> str | None:
        """Exact needs `flow` or `eigensystem`, numeric needs `gradient`."""
        if self.method == "exact" and self.route(model) == "numeric":
            return (
                f"{model.name} has no exact flow ({lack(model, HasFlow)}); "
                'use method = "numeric" or "auto"'
            )
        if self.route(model) != "numeric":
            return None
        return lack(model, HasGradient) or (
            None if model.facts().smooth else _JUMPS.format(model.name)
        )

    def reaches_limit(self, model: Model) -> bool:
        """Whether the exact flow is a spectral filter, on the model's path or its eigensystem."""
        filters = has(model, HasFilterPath) or has(model, HasEigensystem)
        return self.method != "numeric" and filters

    def start(self, fit: Fit) -> Any:
        return begin(flatten(fit.start)) if self.route(fit.model) == "numeric" else fit.start

    def advance(self, fit: Fit, carry: Any, since: float, times: Sequence[float]) -> Advance:
        route = self.route(fit.model)
        if route == "numeric":
            return self._integrate(fit, carry, since, times)
        if route == "flow" and math.isfinite(times[-1]):
            assert isinstance(fit.model, HasFlow)
            params = fit.model.flow(fit, carry, since, times)
        else:
            params = filtered(fit, "flow", times)
        return Advance(tree_map(lambda leaf: leaf[:, -1], params), params)

    def _integrate(self, fit: Fit, carry: Any, since: float, times: Sequence[float]) -> Advance:
        def field(flat: Tensor) -> Tensor:
            params = unflatten(fit.start, flat)
            return -flatten(fit.model.gradient(fit.prepared, params, fit.problem))

        path = integrate(
            field,
            carry,
            since,
            times,
            rtol=self.rtol,
            atol=self.atol,
            max_evaluations=self.max_evaluations,
            rates=rates_of(fit),
        )
        params = unflatten(fit.start, path.states)
        return Advance(path.state, params, {"evaluations": path.evaluations})

    def leverage(self, fit: Fit, times: Sequence[float]) -> Tensor:
        return smoother_diagonal(fit, "flow", times)
