"""How many cells a plan has, known before any is made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import ceil, prod

from testbed.errors import Mistake
from testbed.planning.dimensions import Dimension
from testbed.scenario.scenario import Scenario

ADVICE = "shorten a sweep, lower replicates, or raise compute.cells"


def excessive(scenario: Scenario, dims: Mapping[str, Sequence[Dimension]]) -> Iterator[Mistake]:
    """The mistake of more cells than `[compute] cells` allows, at the estimator that has them.

    Models that run one by one have up to a block's size more; `refuse_blocks` counts those.
    """
    blocks = ceil(scenario.replicates / scenario.compute.block)
    counts = {name: prod(map(len, own)) * blocks for name, own in dims.items()}
    most, total = scenario.compute.cells, sum(counts.values())
    if total <= most:
        return
    largest = max(counts, key=lambda name: counts[name])
    place = next(spec.place for spec in scenario.estimators if spec.name == largest)
    sizes = " × ".join([*(f"{len(dim)} {dim.name}" for dim in dims[largest]), f"{blocks} blocks"])
    text = f"found {total} cells, of which {counts[largest]} of {largest!r} ({sizes})"
    yield Mistake(f"{scenario.path}: {place}", text, f"at most {most}", ADVICE)


def refused(scenario: Scenario, place: str, count: int) -> list[Mistake]:
    """The mistake of more cells than allowed, where blocks turn out to be single replicates."""
    most = scenario.compute.cells
    if count <= most:
        return []
    text = f"found {count} cells: this model is run replicate by replicate"
    return [Mistake(f"{scenario.path}: {place}", text, f"at most {most}", ADVICE)]
