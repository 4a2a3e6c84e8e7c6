"""Labels of a result's groups: parameters without a sweep; warnings about coordinates."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from testbed.planning.dimensions import Dimension, swept_names
from testbed.scenario.component import Scalar, Spec
from testbed.scenario.scenario import Scenario
from testbed.scenario.tables import Alternative, EstimatorTable

_RESERVED = (
    "design", "target", "model", "optimizer", "replicate", "time", "status", "error", "seed",
)  # fmt: skip


class Group(Protocol):
    """The facts about an estimator that warnings need."""

    @property
    def dims(self) -> Sequence[Dimension]: ...

    @property
    def times(self) -> tuple[float, ...]: ...


def fixed_parameters(
    scenario: Scenario, table: EstimatorTable, dims: Sequence[Dimension], taken: Collection[str]
) -> Mapping[str, Scalar]:
    """Parameters without a sweep, under their names where these are free.

    `taken` holds the names of the estimator's variables and of their dimensions.
    """
    swept = swept_names(dims)
    reserved = {*_RESERVED, *swept, *taken}
    scalars: dict[str, Scalar] = {}
    for kind, part in _parts(scenario, table):
        scalars[kind] = Scalar(part.component.name, long_name=f"the {kind}'s name")
        for name, value in part.fixed().items():
            free = name not in scalars and name not in reserved
            scalars[name if free else f"{kind}_{name}"] = value
    return {name: value for name, value in scalars.items() if name not in swept}


def _parts(scenario: Scenario, table: EstimatorTable) -> Iterator[tuple[str, Spec]]:
    """The components that are the same at every point, by kind."""
    kinds: tuple[tuple[str, Sequence[Alternative]], ...] = (
        ("design", scenario.designs),
        ("target", scenario.targets),
    )
    for kind, options in kinds:
        if not options[0].name:
            yield kind, options[0].spec
    yield "model", table.model
    yield "optimizer", table.optimizer


def coordinate_warnings(groups: Iterable[Group]) -> Iterator[str]:
    """Warnings of values that xarray would drop silently from these estimators' arrays."""
    groups = list(groups)
    if len({group.times for group in groups}) > 1:
        yield (
            "the estimators record different times: xarray returns an empty result, without a "
            "word, when they are subtracted; give them one grid, or compare by nearest time"
        )
    coordinates: dict[str, set[tuple[Any, ...]]] = {}
    for group in groups:
        for dim in group.dims:
            coordinates.setdefault(dim.name, set()).add(dim.coordinate)
    for name, several in coordinates.items():
        if len(several) > 1:
            yield (
                f"the estimators are swept over different values of {name}: xarray keeps only the "
                "values they share, without a word, when they are subtracted"
            )
