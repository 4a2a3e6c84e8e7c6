"""The coefficients that a target has on a design, before a run has drawn anything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from testbed.contract.seeds import Streams
from testbed.contract.values import Sample
from testbed.errors import UnsuitableError

if TYPE_CHECKING:
    from testbed.contract.components import Design, Target


def drawn_expansion(
    target: Target, design: Design, seed: int = 0, replicate: int = 0
) -> Mapping[str, np.ndarray]:
    """The expansion of one replicate's target, from a sample of a single zero point.

    Raises UnsuitableError where the target needs more than such a sample.
    """
    space = design.space()
    dim = 1 if space is None or space.dim is None else space.dim
    nothing, weight, zero = np.zeros((1, dim)), np.ones(1), np.zeros(1)
    sample = Sample(nothing, weight, zero, 0.0, nothing, weight, zero, design=design)
    return target.expansion(target.draw(Streams(seed, replicate), sample), sample)


def lacks_in_expansion(target: Target, design: Design, *needed: str) -> str | None:
    """Why a target's expansion on a design has no entries of these names; None if it has all."""
    try:
        expansion = drawn_expansion(target, design)
    except UnsuitableError as error:
        return str(error)
    missing = [name for name in needed if name not in expansion]
    if not missing:
        return None
    return f"the expansion of {target.name} on {design.name} has no {' and no '.join(missing)}"
