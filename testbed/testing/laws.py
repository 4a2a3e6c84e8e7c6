"""Laws as small functions of a case. Each raises AssertionError with what was found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from attrs import evolve, frozen

from testbed.contract.capabilities import Capability, HasGradient, has, lacks
from testbed.numerics.trees import tensors
from testbed.running.paths import States
from testbed.testing.cases import Case, observed
from testbed.testing.partners import NumericFlow

ROUNDING = 1e-8


class KitWarning(UserWarning):
    """A law that says less about a component than it should, or nothing, and why."""


def _always(case: Case) -> bool:
    return True


@frozen
class Law:
    """A law and the cases it applies to. The docstring of `check` is its statement."""

    check: Callable[[Case], None]
    applies: Callable[[Case], bool] = _always

    @property
    def name(self) -> str:
        return self.check.__name__

    @property
    def claim(self) -> str:
        return " ".join((self.check.__doc__ or "").split())


def having(*capabilities: type[Capability]) -> Callable[[Case], bool]:
    """For laws about models with all these capabilities."""
    return lambda case: not lacks(case.model, *capabilities)


# --- comparing ------------------------------------------------------------------------------------


def close(actual: object, expected: object, tolerance: float, what: str) -> None:
    """|found − expected| ≤ tolerance · max|expected|, everywhere; NaN equals NaN."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape, (
        f"{what}: found shape {actual.shape}, expected {expected.shape}"
    )
    finite = expected[np.isfinite(expected)]
    scale = max(float(np.abs(finite).max(initial=0.0)), 1e-12)
    same = np.isclose(actual, expected, rtol=0, atol=tolerance * scale, equal_nan=True)
    if not same.all():
        gap = np.nanmax(np.abs(actual - expected)) / scale
        where = tuple(int(i) for i in np.argwhere(~same)[0])
        raise AssertionError(
            f"{what}: found {actual[where]:.10g} at {where}, expected {expected[where]:.10g}; the "
            f"largest relative difference is {gap:.2g}, allowed are {tolerance:g}"
        )


def finite(values: object, what: str) -> None:
    """Every number is finite."""
    array = np.asarray(values)
    if not np.isfinite(array).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise AssertionError(f"{what}: found {array[where]} at {where}, expected finite numbers")


def leaves(tree: object) -> Iterator[Any]:
    """The leaves of what was drawn, in order."""
    if isinstance(tree, dict):
        for key in tree:
            yield from leaves(tree[key])
    elif isinstance(tree, list | tuple):
        for value in tree:
            yield from leaves(value)
    elif tree is not None:
        yield tree


def drawn_alike(draw: Callable[[], Any]) -> None:
    """Two draws from fresh streams are the same NumPy arrays, in float64 where they are floats."""
    first, second = list(leaves(draw())), list(leaves(draw()))
    assert len(first) == len(second), "found draws of different structure, expected the same twice"
    for leaf, repeated in zip(first, second, strict=True):
        if isinstance(leaf, torch.Tensor):
            raise AssertionError("found a tensor among the draws, expected NumPy arrays")
        if isinstance(leaf, np.ndarray | np.generic):
            if leaf.dtype.kind == "f":
                assert leaf.dtype == np.float64, f"found draws in {leaf.dtype}, expected float64"
            assert np.array_equal(leaf, repeated, equal_nan=leaf.dtype.kind == "f"), (
                "found other numbers when drawing again from a fresh stream; all randomness must "
                "come from rng(role), and each role be asked for once"
            )


# --- laws of everything that trains -------------------------------------------------------------


@lru_cache(maxsize=32)  # most laws compare with the same undisturbed training
def trained(case: Case, *blocks: tuple[float, ...]) -> np.ndarray:
    """The fitted function at all times, (replicates, times, points)."""
    parts = [observed(states) for states in walked(case, *blocks)]
    return torch.cat(parts, 1).detach().double().numpy()


@lru_cache(maxsize=32)
def walked(case: Case, *blocks: tuple[float, ...]) -> list[States]:
    """The states of the case's undisturbed training, which most laws look at."""
    return case.walk(*blocks)


def replicate_alone(case: Case) -> None:
    """A replicate alone equals itself in a batch."""
    together, last = trained(case), len(case.replicates) - 1
    alone = trained(evolve(case, replicates=(case.replicates[last],)))
    close(alone[0], together[last], ROUNDING, "replicate alone")


def trains_repeatably(case: Case) -> None:
    """Training twice gives the same bits and leaves the start as it was."""
    path = case.path()
    before = [leaf.clone() for leaf in tensors(path.fit.start)]
    with torch.no_grad():
        first, _ = path.advance(case.times)
    for leaf, kept in zip(tensors(path.fit.start), before, strict=True):
        assert torch.equal(leaf, kept), "found the start changed by training, expected pure methods"
    again = case.walk()[0]
    for trained, repeated in zip(tensors(first.params), tensors(again.params), strict=True):
        assert torch.equal(torch.nan_to_num(trained), torch.nan_to_num(repeated)), (
            "found other bits in a second run of the same training, expected pure methods"
        )


def stays_finite(case: Case) -> None:
    """Parameters and predictions stay finite on a small problem."""
    states = walked(case)[0]
    for leaf in tensors(states.params):
        finite(leaf.detach().numpy(), "parameters")
    finite(observed(states).detach().numpy(), "fitted function")


def times_stack(case: Case) -> None:
    """A vector of times equals single times stacked: recording does not change training."""
    together = trained(case)
    for position, time in enumerate(case.times):
        alone = trained(case, (time,))
        close(alone[:, 0], together[:, position], case.tolerance, f"time {time:g} alone")


def blocks_resume(case: Case) -> None:
    """Training block by block equals training at once: `advance` can be resumed from its carry."""
    blocks = [(time,) for time in case.times]
    close(trained(case, *blocks), trained(case), case.tolerance, "block by block")


def starts_at_start(case: Case) -> None:
    """At time 0 the fitted function is that of the start."""
    states = case.walk((0.0,))[0]
    initial = observed(states.path.initial)
    close(observed(states), initial, ROUNDING, "function at time 0")


def float32_stays(case: Case) -> None:
    """In a float32 run parameters and predictions are float32, near the float64 ones."""
    single = evolve(case, dtype="float32")
    if isinstance(case.optimizer, NumericFlow):
        single = evolve(single, optimizer=NumericFlow(rtol=1e-4, atol=1e-6))
    states = walked(single)[0]
    for leaf in (*tensors(states.params), observed(states)):
        assert leaf.dtype == torch.float32 or not leaf.is_floating_point(), (
            f"found {leaf.dtype} in a float32 run, expected float32; make tensors with the dtype "
            "of those at hand"
        )
    if has(case.model, HasGradient):  # models without a gradient, such as trees, may jump
        close(trained(single), trained(case), 1e-2, "float32 run")


TRAINING = (
    Law(stays_finite),
    Law(trains_repeatably),
    Law(replicate_alone),
    Law(times_stack),
    Law(blocks_resume),
    Law(starts_at_start, lambda case: case.optimizer.reached((0.0,)) == (0.0,)),
    Law(float32_stays),
)
