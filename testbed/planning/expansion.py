"""First stage: the sweeps of every estimator as dimensions, and how many cells they make."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from math import ceil, prod

from attrs import frozen

from testbed.errors import Mistake
from testbed.planning.dimensions import Dimension, dimensions, misplaced_ties
from testbed.scenario.scenario import Scenario
from testbed.scenario.tables import EstimatorTable

ADVICE = "shorten a sweep, lower replicates, or raise compute.cells"


@frozen
class Expansion:
    """An estimator with its dimensions."""

    table: EstimatorTable
    dims: tuple[Dimension, ...]

    @property
    def count(self) -> int:
        """The number of points of the sweep."""
        return prod(map(len, self.dims))

    def points(self) -> Iterator[dict[str, int]]:
        """Every point of the sweep, as positions along the dimensions."""
        names = [dim.name for dim in self.dims]
        for positions in itertools.product(*(range(len(dim)) for dim in self.dims)):
            yield dict(zip(names, positions, strict=True))

    def coordinates(self, point: Mapping[str, int]) -> dict[str, object]:
        """The values of the swept coordinates at a point."""
        return {dim.name: dim.coordinate[point[dim.name]] for dim in self.dims}


Expansions = Mapping[str, Expansion]
"""The estimators whose sweeps do not clash, by name."""


def expand(scenario: Scenario) -> tuple[Expansions, list[Mistake]]:
    """The dimensions of every estimator; an estimator whose sweeps clash is left out.

    Cells are counted here, before any is made. A plan with too many cells has no estimators.
    """
    mistakes = list(misplaced_ties(scenario))
    if mistakes:
        return {}, mistakes
    expansions = {}
    for table in scenario.estimators:
        dims, clashes = dimensions(scenario, table)
        mistakes += clashes
        if not clashes:
            expansions[table.name] = Expansion(table, dims)
    excess = _excess(scenario, list(expansions.values()))
    return ({}, [*mistakes, *excess]) if excess else (expansions, mistakes)


def block_size(scenario: Scenario) -> int:
    """How many replicates run together; adaptive ones come in blocks of as many as a point begins
    with, at most."""
    adaptive, size = scenario.replicates, scenario.compute.block
    return size if isinstance(adaptive, int) else min(size, adaptive.at_least)


def _excess(scenario: Scenario, expansions: Sequence[Expansion]) -> list[Mistake]:
    """The mistake of more cells than `[compute] cells` allows, at the estimator with most cells."""
    blocks = ceil(scenario.most_replicates / block_size(scenario))
    total = blocks * sum(expansion.count for expansion in expansions)
    if total <= scenario.compute.cells:
        return []
    largest = max(expansions, key=lambda expansion: expansion.count)
    parts = [f"{len(dim)} {dim.name}" for dim in largest.dims] + [f"{blocks} blocks"]
    text = f"found {total} cells, of which {blocks * largest.count} of {largest.table.name!r}"
    problem = f"{text} ({' × '.join(parts)})"
    return [Mistake(largest.table.place, problem, f"at most {scenario.compute.cells}", ADVICE)]
