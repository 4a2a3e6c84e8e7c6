"""Facts about a component that core and other components rely on: one frozen record per component.

A component returns its record from `facts()`. The record may depend on parameter values, and a
component that wraps another can return the inner one's record, or `evolve` a field of it.
"""

from __future__ import annotations

import typing
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any, Literal

from attrs import frozen

from testbed.errors import one_of

Batching = Literal["vmap", "batch", "loop"]
"""How core maps a component over replicates.

* ``vmap``: methods are pure functions of one replicate's tensors, mapped by torch.func.vmap;
* ``batch``: methods get and return a leading replicate axis on every tensor;
* ``loop``: methods are called replicate by replicate, and may do anything.
"""


class Facts:
    """Base of the records of facts. A value that a fact cannot have is a ValueError."""

    def __attrs_post_init__(self) -> None:
        record: type = type(self)
        values = [getattr(self, name) for name in _types(record)]
        try:
            _expect_allowed(record, *values)
        except TypeError:  # a value that cannot be hashed, and is wrong
            _expect_allowed.__wrapped__(record, *values)


@lru_cache(typed=True)
def _expect_allowed(record: type, *values: object) -> None:
    """ValueError for a value that a fact cannot have. A component returns the same facts many times
    in every cell: equal ones are looked at once."""
    for value, (name, allowed) in zip(values, _types(record).items(), strict=True):
        objection = _objection(value, allowed)
        if objection:
            raise ValueError(f"{name}: found {value!r}, expected {objection}")


@cache
def _types(record: type) -> Mapping[str, Any]:
    return typing.get_type_hints(record)


def _objection(value: object, allowed: Any) -> str:
    """What a fact of this type may be, where the value is something else; empty otherwise."""
    words = typing.get_args(allowed)
    if typing.get_origin(allowed) is Literal:
        return "" if value in words else one_of(words, value)
    if typing.get_origin(allowed) is tuple:
        right = isinstance(value, tuple) and all(isinstance(entry, str) for entry in value)
        return "" if right else 'a tuple of names such as ("jumps",)'
    return "" if isinstance(value, allowed) else allowed.__name__


@frozen(kw_only=True)
class TargetFacts(Facts):
    """Facts about a target."""

    truth_known: bool = True
    """False if the truth is unknown, as for real data: risks against f* then do not apply."""
    outputs: Literal["one", "observed"] = "one"
    """"observed": as many numbers at a point as the design observes."""


@frozen(kw_only=True)
class ModelFacts(Facts):
    """Facts about a model."""

    batching: Batching = "vmap"
    time_batching: Literal["vmap", "loop"] = "vmap"
    """How a state's methods are mapped over recorded times, whatever `batching` is."""
    threads: Literal["one", "all"] = "one"
    """"all" gives the model's cells of more than 1024 observations every core, and runs them while
    no other cell runs."""
    reads: Literal["problem", "inputs"] = "problem"
    """"inputs" promises that `draw` and `prepare` never look at y or the truth: core then shares
    the preparation between targets, noise levels and optimizers."""
    smooth: bool = True
    """False if the gradient jumps, as for a relu network. A flow without a closed form is then not
    integrated, since adaptive steps would stop at every jump."""
    coordinates: Literal["weights", "function"] = "weights"
    """"function": the parameters are dual coefficients or the function itself, not the weights that
    are trained, and `gradient` is minus their velocity. Steps along it equal steps of the weights,
    but an optimizer that scales each coordinate separately would be a different algorithm."""
    outputs: Literal["one", "any"] = "any"
    """"one": the model fits one number at a point, not several."""
    learns: Literal["training", "preparation"] = "training"
    """"preparation": `prepare` learns from the observations, as an estimator does that is fitted at
    once. Kept states then hold what `prepare` returned, if that is made of tensors."""
    streams: tuple[str, ...] = ()
    """Names of random streams that `draw` asks for besides the standard roles."""


@frozen(kw_only=True)
class OptimizerFacts(Facts):
    """Facts about an optimizer."""

    batching: Batching = "vmap"
    clock: Literal["flow", "own"] = "flow"
    """"own": its time is not the time of gradient flow, so a difference at equal time means
    nothing."""
    loss: str = "squared"
    """The loss that training descends. Exact flows, filters, theories and the sharpness are those
    of the squared loss."""
    times_per_replicate: bool = False
    """True: each replicate stops at its own times, which `reached_by` returns after `start`."""
    streams: tuple[str, ...] = ()
    """Names of random streams that `draw` asks for besides the standard roles."""


@frozen(kw_only=True)
class MetricFacts(Facts):
    """Facts about a metric."""

    batching: Batching = "vmap"


@frozen(kw_only=True)
class TheoryFacts(Facts):
    """Facts about a theory."""

    conditional: bool = False
    """True: it needs the drawn problem of each replicate; its variables have the dim
    `replicate`."""
