"""Spectral algorithms: one factorisation, or one Krylov space, for every filter and time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from attrs import frozen

from testbed import (
    Advance,
    Algorithm,
    Example,
    Fit,
    HasEigensystem,
    HasFilterPath,
    HasLeverage,
    IsSpectral,
    Model,
    Optimizer,
    OptimizerFacts,
    ParameterError,
    has,
    lack,
    parameter,
)
from testbed.numerics.filters import NAMES
from testbed.numerics.spectral import filtered, smoother_diagonal

if TYPE_CHECKING:
    from torch import Tensor

STEPPED = ("descent", "heavy-ball")
OPTIONS = {
    "descent": ("learning_rate",),
    "heavy-ball": ("learning_rate", "momentum"),
    "iterated-ridge": ("qualification",),
}


@frozen(kw_only=True)
class SpectralFilter(Optimizer, HasLeverage, IsSpectral):
    """f_t = f₀ + k(·, X) U φ_t(s) Uᵀ (y − f₀)/n, s the eigenvalues of K/n, on the clock φ_t(0) = t.

    "flow" (1 − e^{−ts})/s; "ridge" 1/(s + 1/t), ridge parameter 1/t for K/n or n/t for K; "descent"
    (1 − (1 − ηs)^m)/s, t = ηm; "iterated-ridge" (1 − (1 + ts/q)^{−q})/s, q refits at ridge q/t;
    "cutoff" 1[s ≥ 1/t]/s, principal components; "heavy-ball" with momentum μ, t = ηm/(1 − μ).
    Ridge has qualification 1, its q-fold iteration q, the others any. The last time may be inf: the
    least-squares fit of least norm, by the pseudo-inverse of K/n. Eigenvalues below n·eps·s_max,
    the rounding of a matrix of n rows, count as 0 there.
    Source: Bauer, Pereverzev, Rosasco, J. Complexity 23 (2007).
    """

    name = "spectral-filter"
    references: ClassVar[tuple[str, ...]] = ("doi:10.1016/j.jco.2006.07.001",)

    filter: str = parameter("flow", help="the algorithm", choices=NAMES, role="filter")
    qualification: float | None = parameter(
        None, help="for iterated-ridge only: q, how often ridge refits its residuals", gt=0
    )
    learning_rate: float | None = parameter(
        None, help="for descent and heavy-ball only: step size η", gt=0,
        no_table="only gradient-descent takes { edge = … }", role="step_size",
    )  # fmt: skip
    momentum: float | None = parameter(
        None, help="for heavy-ball only: momentum μ", ge=0, lt=1, role="momentum"
    )

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example({"filter": "ridge"}),)

    def __attrs_post_init__(self) -> None:
        # options of other filters are let through, so that `filter` can be swept while they are set
        for option in OPTIONS.get(self.filter, ()):
            if getattr(self, option) is None:
                raise ParameterError(
                    "found none", f"a number for {self.filter!r}", parameter=option
                )

    def algorithm(self) -> Algorithm:
        name: Any = self.filter
        order = self.qualification if name == "iterated-ridge" else None
        order = 1.0 if name == "ridge" else order or math.inf
        rate = self.learning_rate if name in STEPPED else None
        return Algorithm(name, order, rate, (self.momentum or 0.0) if name == "heavy-ball" else 0.0)

    def facts(self) -> OptimizerFacts:
        return OptimizerFacts(batching="batch")

    def reaches_limit(self, model: Model) -> bool:
        """True except for algorithms of whole steps."""
        return self.filter not in STEPPED

    @property
    def options(self) -> dict[str, float]:
        """The filter's own parameters."""
        return {option: getattr(self, option) for option in OPTIONS.get(self.filter, ())}

    def accepts(self, model: Model) -> str | None:
        return None if has(model, HasFilterPath) else lack(model, HasEigensystem)

    def reached(self, times: Sequence[float]) -> tuple[float, ...]:
        if self.filter not in STEPPED:
            return tuple(times)
        return tuple(steps * self._step_time for steps in self._steps(times))

    def auxiliary(self, times: Sequence[float]) -> dict[str, tuple[float, ...]]:
        """`step` for algorithms of steps; `ridge`, of K/n, for ridge and its iteration."""
        if self.filter in STEPPED:
            return {"step": tuple(float(steps) for steps in self._steps(times))}
        order = {"ridge": 1.0, "iterated-ridge": self.qualification}.get(self.filter)
        if order is None:
            return {}
        return {"ridge": tuple(order / time if time else float("inf") for time in times)}

    @property
    def _step_time(self) -> float:
        options = self.options  # leaves out a momentum meant for another swept filter
        return options["learning_rate"] / (1 - options.get("momentum", 0.0))

    def _steps(self, times: Sequence[float]) -> list[int]:
        return [round(time / self._step_time) for time in times]

    def advance(self, fit: Fit, carry: Any, since: float, times: Sequence[float]) -> Advance:
        return Advance(carry, filtered(fit, self.filter, self.reached(times), **self.options))

    def leverage(self, fit: Fit, times: Sequence[float]) -> Tensor:
        return smoother_diagonal(fit, self.filter, self.reached(times), **self.options)
