"""The dimensions of one estimator: its sweeps in order, with their coordinates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from attrs import field, frozen

from testbed.errors import Mistake
from testbed.scenario.scenario import Scenario
from testbed.scenario.sweep import Sweep
from testbed.scenario.tables import (
    Alternative,
    DesignTable,
    EstimatorTable,
    NamedDesignTable,
    NamedTargetTable,
    TargetTable,
)

Option = TypeVar("Option", DesignTable | NamedDesignTable, TargetTable | NamedTargetTable)


@frozen
class Dimension:
    """A swept dimension: its coordinate, and the parameters that are tied to it."""

    name: str
    coordinate: tuple[Any, ...]
    units: str = "1"
    long_name: str = ""
    tied: Mapping[str, tuple[Any, ...]] = field(factory=dict, hash=False)

    def __len__(self) -> int:
        return len(self.coordinate)


def dimensions(
    scenario: Scenario, estimator: EstimatorTable
) -> tuple[tuple[Dimension, ...], list[Mistake]]:
    """Dimensions in the order design, target, model, optimizer; and the sweeps that clash."""
    named = _named(scenario)
    sweeps: dict[str, list[Sweep]] = {}
    mistakes: list[Mistake] = []
    for part in _parts(scenario, estimator):
        if isinstance(part, str):
            sweeps.setdefault(part, [])
            continue
        mistake = _clash(part, sweeps.get(part.dim, []), named)
        if mistake:
            mistakes.append(mistake)
        else:
            sweeps.setdefault(part.dim, []).append(part)
    dims = (named.get(dim) or _dimension(dim, parts, sweeps) for dim, parts in sweeps.items())
    return tuple(dims), mistakes


def swept_names(dims: Sequence[Dimension]) -> set[str]:
    """The names of dimensions, and of the coordinates that are tied to them."""
    return {dim.name for dim in dims} | {name for dim in dims for name in dim.tied}


def _parts(scenario: Scenario, estimator: EstimatorTable) -> Iterator[str | Sweep]:
    """The sources of dimensions, in order: names of alternatives, and sweeps."""
    kinds: tuple[tuple[str, Sequence[Alternative]], ...] = (
        ("design", scenario.designs),
        ("target", scenario.targets),
    )
    for kind, options in kinds:
        if _are_alternatives(options):
            yield options[0].along or kind
        else:
            for option in options:
                yield from option.spec.sweeps()
    yield from estimator.model.sweeps()
    yield from estimator.optimizer.sweeps()


# --- alternatives of different type -------------------------------------------------------------


def chosen(options: Sequence[Option], kind: str, point: Mapping[str, int]) -> Option:
    """The design or target at a point."""
    return options[point[options[0].along or kind]] if _are_alternatives(options) else options[0]


def _are_alternatives(options: Sequence[Alternative]) -> bool:
    return bool(options) and bool(options[0].name)


def _named(scenario: Scenario) -> dict[str, Dimension]:
    """The dimensions of `[[design]]` and `[[target]]`; one tied by `along` shares the other's."""
    kinds: dict[str, Sequence[Alternative]] = {
        "design": scenario.designs,
        "target": scenario.targets,
    }
    tied: dict[str, dict[str, tuple[Any, ...]]] = {}
    for kind, options in kinds.items():
        if _are_alternatives(options) and options[0].along:
            tied[options[0].along] = {kind: tuple(option.name for option in options)}
    named: dict[str, Dimension] = {}
    for kind, options in kinds.items():
        if _are_alternatives(options) and not options[0].along:
            names = tuple(option.name for option in options)
            label = f"name of the {kind}"
            named[kind] = Dimension(kind, names, long_name=label, tied=tied.get(kind, {}))
    return named


def misplaced_ties(scenario: Scenario) -> Iterator[Mistake]:
    """The mistakes in the `along` of alternatives."""
    yield from _misplaced("design", scenario.designs, "target", scenario.targets)
    yield from _misplaced("target", scenario.targets, "design", scenario.designs)


def _misplaced(
    kind: str, options: Sequence[Alternative], partner: str, partners: Sequence[Alternative]
) -> Iterator[Mistake]:
    """The mistakes in tying the alternatives of one kind to those of another kind."""
    words = {option.along for option in options}
    if words == {""} or not options or not partners:
        return
    place = f"$.{kind}"
    if words != {partner}:
        wrong = ", ".join(repr(word) for word in sorted(words - {"", partner}))
        text = f"found along = {wrong}" if wrong else "found along in some tables only"
        yield Mistake(place, text, f'along = "{partner}" in all or in none')
    elif not _are_alternatives(partners):
        advice = f"write them as [[{partner}]]"
        yield Mistake(place, f'found along = "{partner}"', f"several {partner}s", advice)
    elif partners[0].along and kind == "target":
        text = "found designs and targets along each other"
        yield Mistake(place, text, "one of them", "drop one of the two")
    elif len(options) != len(partners) and not partners[0].along:
        text = f"found {len(options)} {kind}s along {len(partners)} {partner}s"
        yield Mistake(place, text, "as many of both", "make the lists equally long")


# --- sweeps -------------------------------------------------------------------------------------


def _clash(
    sweep: Sweep, sharing: Sequence[Sweep], named: Mapping[str, Dimension]
) -> Mistake | None:
    """Why a sweep cannot join those that share its dimension; None if it can."""
    if sweep.dim in named:
        text = f"found the dimension {sweep.dim!r} also at $.{sweep.dim}"
        advice = 'give this one another with dim = "…"'
        return Mistake(sweep.path, text, "each name once", advice)
    if not sharing:
        return None
    first = sharing[0]
    if sum(not shared.tied for shared in (sweep, *sharing)) > 1:
        text = f"found the dimension {sweep.dim!r} also at {first.path}"
        expected = "different names in design, target, model and optimizer"
        advice = f'rename one with dim = "…", or tie it to the other with along = "{sweep.dim}"'
        return Mistake(sweep.path, text, expected, advice)
    if len(sweep.values) != len(first.values):
        lengths = f"found {len(sweep.values)} values along {sweep.dim!r}, but {len(first.values)}"
        advice = "make the lists equally long"
        return Mistake(sweep.path, f"{lengths} at {first.path}", "as many of both", advice)
    return None


def _dimension(dim: str, sweeps: Sequence[Sweep], taken: Mapping[str, object]) -> Dimension:
    """The dimension of one sweep, or of several that are tied.

    Its coordinate is the sweep that has its name; without one, the position of the values.
    """
    named = next((sweep for sweep in sweeps if not sweep.tied or sweep.parameter == dim), None)
    tied: dict[str, tuple[Any, ...]] = {}
    for sweep in sweeps:
        if sweep is not named:
            free = sweep.parameter not in taken and sweep.parameter not in tied
            tied[sweep.parameter if free else _full_name(sweep)] = sweep.coordinate
    if named is None:
        positions = tuple(range(1, len(sweeps[0].values) + 1))
        return Dimension(dim, positions, long_name="position of tied parameters", tied=tied)
    return Dimension(dim, named.coordinate, named.units, named.long_name, tied)


def _full_name(sweep: Sweep) -> str:
    """`$.estimator[0].model.gamma` → `model_gamma`."""
    parts = sweep.path.split(".")[1:]
    return "_".join(part for part in parts if not part.startswith("estimator["))
