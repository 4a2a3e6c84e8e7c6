"""How large the kept states of a plan will be: one replicate of every kind of cell is started."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, zip_longest

import torch
from attrs import field, frozen

from testbed.contract.cells import Cell
from testbed.contract.components import Estimator
from testbed.contract.seeds import Streams
from testbed.errors import Mistake, UnsuitableError
from testbed.numerics.trees import stack
from testbed.planning.plan import Plan
from testbed.running.draws import cast, draw_problem
from testbed.running.kept import nesting_of
from testbed.running.paths import Path
from testbed.running.postponed import load_postponed

MIB, GIB = 2**20, 2**30
FILE = 24 * 2**10  # bytes of a file of states besides its arrays, about
PATIENCE = 5.0  # seconds of starting cells after which sizes are bounded by those that are known
Kind = tuple[object, object, object]
"""The design, target and model of a path, or their identities."""
Size = tuple[int, int]
"""Bytes of one state, and of what `prepare` returned if the model learns there."""


@frozen
class StateSizes:
    """The sizes of kept states in bytes, and why the states of some estimators cannot be kept."""

    total: int = 0
    largest: int = 0  # of one cell
    refused: dict[str, str] = field(factory=dict, hash=False)  # estimator → reason


def state_sizes(cells: Sequence[Cell], seconds: float = PATIENCE) -> StateSizes:
    """The sizes of the states that a run keeps. What a component raises here, a run reports.

    Where starting all kinds of cells takes longer than `seconds`, a kind that was not started
    counts as the largest of its model, whose largest samples are started first.
    """
    load_postponed()
    kinds = {_kind(cell, path): (cell, path) for cell in cells for path in _paths(cell)}
    sizes = _sizes(kinds, seconds)
    total, largest = 0, 0
    refused: dict[str, str] = {}
    for cell in cells:
        size = 0
        for path in _paths(cell):
            answer = sizes[_kind(cell, path)]
            if isinstance(answer, str):
                refused.setdefault(cell.estimator, answer)
            else:
                size += len(cell.replicates) * (len(cell.times) * answer[0] + answer[1]) + FILE
        total, largest = total + size, max(largest, size)
    return StateSizes(total, largest, refused)


def _kind(cell: Cell, path: Estimator) -> Kind:
    """What decides the size of the states of a path."""
    return _key(cell.design), _key(cell.target), _key(path.model)


def _sizes(kinds: Mapping[Kind, tuple[Cell, Estimator]], seconds: float) -> dict[Kind, Size | str]:
    """The size of a state of every kind: started, or at most as large as those that were."""
    by_model: dict[str, list[Kind]] = {}
    for kind, started in kinds.items():
        by_model.setdefault(started[1].model.name, []).append(kind)
    for group in by_model.values():
        group.sort(key=lambda kind: -kinds[kind][0].design.sizes().get("train", 0))
    begun = time.monotonic()
    sizes: dict[Kind, Size | str] = {}
    largest: dict[str, Size] = {}
    rounds = zip_longest(*by_model.values())  # the largest of every model, then the next
    for kind in filter(None, chain.from_iterable(rounds)):
        cell, path = kinds[kind]
        model = path.model.name
        if model in largest and time.monotonic() - begun > seconds:
            sizes[kind] = largest[model]
            continue
        answer = sizes[kind] = _tried(cell, path)
        if not isinstance(answer, str):
            state, aside = largest.get(model, (0, 0))
            largest[model] = max(state, answer[0]), max(aside, answer[1])
    return sizes


def _paths(cell: Cell) -> Iterator[Estimator]:
    """The estimators that are trained in a cell."""
    if cell.replicates:
        yield Estimator(cell.estimator, cell.model, cell.optimizer)
        yield from dict.fromkeys(p.companion for p in cell.metrics if p.companion)


def _key(component: object) -> object:
    """What equal components share; their identity where parameters cannot be compared."""
    try:
        hash(component)
    except TypeError:
        return id(component)
    return component


def _tried(cell: Cell, estimator: Estimator) -> Size | str:
    """The size of one state of one replicate, or why states cannot be kept."""
    try:
        with torch.no_grad():
            problem = draw_problem(cell, cell.replicates[0])
            rng = Streams(cell.seed, cell.replicates[0], cell.shared_design)
            fit = Path(
                estimator,
                stack([problem]),
                [problem],
                [rng],
                functools.partial(cast, cell),
                lambda name, make: make(),
            ).fit
        learned = estimator.model.facts().learns == "preparation"
        return _bytes(fit.start, "params"), _bytes(fit.prepared if learned else None, "prepared")
    except UnsuitableError as error:
        return f"{estimator.model.name}: {error}"
    except Exception:  # components may raise anything; a run says what and where
        return 0, 0


def _bytes(tree: object, name: str) -> int:
    leaves = nesting_of(tree, name)[1].values()
    return sum(leaf.numel() * leaf.element_size() for leaf in leaves)


def state_mistakes(plan: Plan, sizes: StateSizes) -> Iterator[Mistake]:
    """The mistakes of states that cannot be kept, or are too large."""
    compute = plan.scenario.compute
    for position, table in enumerate(plan.scenario.estimators):
        if table.name in sizes.refused:
            yield Mistake(
                f"$.estimator[{position}]",
                f"found states that cannot be kept: {sizes.refused[table.name]}",
                "states of tensors",
                "set compute.keep_states = false, or run this estimator in a scenario of its own",
            )
    if sizes.total > compute.states * GIB:
        yield Mistake(
            "$.compute.keep_states",
            f"found {sizes.total / MIB:.1f} MiB of states to keep",
            f"at most {compute.states * GIB / MIB:g} MiB",
            "thin `times`, lower replicates, or raise compute.states",
        )
    if sizes.largest > compute.memory * GIB:
        yield Mistake(
            "$.compute.keep_states",
            f"found a cell with {sizes.largest / MIB:.1f} MiB of states to keep",
            f"at most {compute.memory * GIB / MIB:g} MiB, the memory of a cell",
            "lower compute.block, thin `times`, or raise compute.memory",
        )
