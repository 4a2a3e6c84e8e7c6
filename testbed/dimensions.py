"""The dimensions of one estimator: its sweeps in order, with their coordinates."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from attrs import field, frozen

from testbed.errors import Mistake
from testbed.scenario import Alternative, EstimatorSpec, Scenario
from testbed.specs import Spec, Sweep


@frozen
class Dimension:
    """A swept dimension: its coordinate, and the parameters that were tied to it."""

    name: str
    coordinate: tuple[Any, ...]
    units: str = "1"
    long_name: str = ""
    tied: Mapping[str, tuple[Any, ...]] = field(factory=dict, hash=False)

    def __len__(self) -> int:
        return len(self.coordinate)


def dimensions(
    scenario: Scenario, estimator: EstimatorSpec, mistakes: list[Mistake]
) -> tuple[Dimension, ...]:
    """Dimensions in the order design, target, model, optimizer; notes what clashes."""
    found: dict[str, list[Sweep]] = {}
    result: dict[str, Dimension] = {}
    for kind, options in (("design", scenario.designs), ("target", scenario.targets)):
        if len(options) > 1:
            _alternatives(kind, options, result, scenario, mistakes)
    for sweep in _sweeps(scenario, estimator):
        others = found.setdefault(sweep.dim, [])
        objection = _clash(sweep, others, result)
        if objection:
            mistakes.append(Mistake(f"{scenario.path}: {sweep.path}", *objection))
        else:
            others.append(sweep)
    for dim, sweeps in found.items():
        if sweeps and dim not in result:
            result[dim] = _dimension(dim, sweeps)
    return tuple(result.values())


def _sweeps(scenario: Scenario, estimator: EstimatorSpec) -> Iterator[Sweep]:
    alone = [
        options[0].spec for options in (scenario.designs, scenario.targets) if len(options) == 1
    ]
    for spec in (*alone, estimator.model, estimator.optimizer):
        yield from spec.sweeps()


def _alternatives(
    kind: str,
    options: tuple[Alternative, ...],
    result: dict[str, Dimension],
    scenario: Scenario,
    mistakes: list[Mistake],
) -> None:
    """The dimension of several designs or targets; with `along` they share the other's."""
    dim = options[0].along or kind
    names = tuple(option.name for option in options)
    other = result.get(dim)
    if other is not None and len(other) != len(names):
        mistakes.append(
            Mistake(
                f"{scenario.path}: $.{kind}",
                f"found {len(names)} {kind}s along {dim!r}, which has {len(other)} values",
                "as many of both",
            )
        )
    if other is None:
        own = names if dim == kind else tuple(option.name for option in scenario.targets)
        result[dim] = Dimension(dim, own, long_name=f"name of the {dim}")


def _clash(
    sweep: Sweep, others: list[Sweep], result: Mapping[str, Dimension]
) -> tuple[str, str, str] | None:
    if sweep.dim in result:
        return (
            f"found the dimension {sweep.dim!r} twice",
            "each name once",
            'give this one another with dim = "…"',
        )
    if not others:
        return None
    first = others[0]
    if not (sweep.tied and first.tied):
        return (
            f"found the dimension {sweep.dim!r} also at {first.path}",
            "different names in design, target, model and optimizer",
            'rename one with dim = "…", or tie both with along = "…"',
        )
    if len(sweep.values) != len(first.values):
        return (
            f"found {len(sweep.values)} values along {sweep.dim!r}, but {len(first.values)} at "
            f"{first.path}",
            "as many of both",
            "make the lists equally long",
        )
    return None


def _dimension(dim: str, sweeps: list[Sweep]) -> Dimension:
    if len(sweeps) == 1 and not sweeps[0].tied:
        sweep = sweeps[0]
        return Dimension(dim, sweep.coordinate, sweep.units, sweep.long_name)
    own = next((sweep for sweep in sweeps if sweep.parameter == dim), None)
    coordinate = own.coordinate if own else tuple(range(1, len(sweeps[0].values) + 1))
    tied = {sweep.parameter: sweep.coordinate for sweep in sweeps if sweep is not own}
    return Dimension(dim, coordinate, long_name="position of tied parameters", tied=tied)


def points(dims: tuple[Dimension, ...]) -> Iterator[dict[str, int]]:
    """Every point of the sweep, as positions along the dimensions."""
    for positions in itertools.product(*(range(len(dim)) for dim in dims)):
        yield dict(zip((dim.name for dim in dims), positions, strict=True))


def chosen(
    options: tuple[Alternative, ...], kind: str, at: Mapping[str, int]
) -> tuple[Spec, Alternative]:
    """The design or target at a point."""
    option = options[0] if len(options) == 1 else options[at[options[0].along or kind]]
    return option.spec, option
