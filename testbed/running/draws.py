"""Draw the problem of one replicate: here components (attrs) become tensors."""

from __future__ import annotations

from typing import Any

import torch

from testbed.contract.border import calling
from testbed.contract.cells import Cell
from testbed.contract.seeds import Streams
from testbed.contract.values import Problem
from testbed.numerics.trees import as_tensors


def draw_problem(cell: Cell, replicate: int) -> Problem:
    """The regression problem of one replicate, cast to the cell's dtype and device."""
    rng = Streams(cell.seed, replicate, cell.shared_design)
    with calling(cell.design, "draw"):
        sample = cell.design.draw(rng)._replace(design=cell.design)
    with calling(cell.target, "draw"):
        drawn = cell.target.draw(rng, sample)
    with calling(cell.target, "problem"):
        return cast(cell, cell.target.problem(drawn, sample))


def cast(cell: Cell, tree: object) -> Any:
    """The arrays of a tree as tensors of the cell's dtype, on its device."""
    return as_tensors(tree, getattr(torch, cell.compute.dtype), cell.compute.device)
