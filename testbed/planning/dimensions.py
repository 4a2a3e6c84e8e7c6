"""The dimensions of one estimator: its sweeps in order, with their coordinates."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attrs import field, frozen

from testbed.errors import Mistake
from testbed.scenario.scenario import Scenario
from testbed.scenario.sweep import Sweep
from testbed.scenario.tables import Alternative, EstimatorTable


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
    scenario: Scenario, estimator: EstimatorTable, mistakes: list[Mistake]
) -> tuple[Dimension, ...]:
    """Dimensions in the order design, target, model, optimizer; notes what clashes."""
    named = _named(scenario)
    sweeps: dict[str, list[Sweep]] = {}
    for part in _parts(scenario, estimator):
        if isinstance(part, str):
            sweeps.setdefault(part, [])
            continue
        objection = _clash(part, sweeps.get(part.dim, []), named)
        if objection:
            mistakes.append(Mistake(f"{scenario.path}: {part.path}", *objection))
        else:
            sweeps.setdefault(part.dim, []).append(part)
    return tuple(named.get(dim) or _dimension(dim, own, sweeps) for dim, own in sweeps.items())


def _parts(scenario: Scenario, estimator: EstimatorTable) -> Iterator[str | Sweep]:
    """What makes dimensions, in order: names of alternatives, and sweeps."""
    for kind, options in (("design", scenario.designs), ("target", scenario.targets)):
        if _are_alternatives(options):
            yield options[0].along or kind
        else:
            for option in options:
                yield from option.spec.sweeps()
    yield from estimator.model.sweeps()
    yield from estimator.optimizer.sweeps()


# --- alternatives of different type -------------------------------------------------------------


def _are_alternatives(options: Sequence[Alternative]) -> bool:
    return bool(options) and bool(options[0].name)


def _named(scenario: Scenario) -> dict[str, Dimension]:
    """The dimensions of `[[design]]` and `[[target]]`; those tied by `along` share the other's."""
    found: dict[str, Dimension] = {}
    tied: dict[str, dict[str, tuple[Any, ...]]] = {}
    kinds = {"design": scenario.designs, "target": scenario.targets}
    for kind, options in kinds.items():
        if _are_alternatives(options) and options[0].along:
            tied[options[0].along] = {kind: tuple(option.name for option in options)}
    for kind, options in kinds.items():
        if _are_alternatives(options) and not options[0].along:
            names = tuple(option.name for option in options)
            also = tied.get(kind, {})
            found[kind] = Dimension(kind, names, long_name=f"name of the {kind}", tied=also)
    return found


def misplaced_ties(scenario: Scenario) -> Iterator[Mistake]:
    """What is wrong with the `along` of alternatives."""
    kinds = {"design": scenario.designs, "target": scenario.targets}
    for kind, other in (("design", "target"), ("target", "design")):
        own, others = kinds[kind], kinds[other]
        words = {option.along for option in own}
        if words == {""} or not own or not others:
            continue
        where = f"{scenario.path}: $.{kind}"
        if words != {other}:
            found = ", ".join(repr(word) for word in sorted(words - {"", other})) or "it in some"
            yield Mistake(where, f"found along = {found}", f'along = "{other}" in all or in none')
        elif not _are_alternatives(others):
            yield Mistake(
                where, f'found along = "{other}"', f"several {other}s", f"write them as [[{other}]]"
            )
        elif others[0].along and kind == "target":
            fix = "drop one of the two"
            yield Mistake(where, "found designs and targets along each other", "one of them", fix)
        elif len(own) != len(others) and not others[0].along:
            found = f"found {len(own)} {kind}s along {len(others)} {other}s"
            yield Mistake(where, found, "as many of both", "make the lists equally long")


def chosen(options: Sequence[Alternative], kind: str, at: Mapping[str, int]) -> Alternative:
    """The design or target at a point."""
    return options[at[options[0].along or kind]] if _are_alternatives(options) else options[0]


# --- sweeps -------------------------------------------------------------------------------------


def _clash(
    sweep: Sweep, others: list[Sweep], named: Mapping[str, Dimension]
) -> tuple[str, str, str] | None:
    """Why a sweep cannot join those of its dimension: found, expected, what to do."""
    if sweep.dim in named:
        return (
            f"found the dimension {sweep.dim!r} also at $.{sweep.dim}",
            "each name once",
            'give this one another with dim = "…"',
        )
    if not others:
        return None
    first = others[0]
    if sum(not one.tied for one in (sweep, *others)) > 1:
        return (
            f"found the dimension {sweep.dim!r} also at {first.path}",
            "different names in design, target, model and optimizer",
            f'rename one with dim = "…", or tie it to the other with along = "{sweep.dim}"',
        )
    if len(sweep.values) != len(first.values):
        return (
            f"found {len(sweep.values)} values along {sweep.dim!r}, but {len(first.values)} at "
            f"{first.path}",
            "as many of both",
            "make the lists equally long",
        )
    return None


def _dimension(dim: str, sweeps: list[Sweep], taken: Mapping[str, Any]) -> Dimension:
    """The dimension of one sweep, or of several that are tied; its coordinate is the one that
    bears its name, if any."""
    own = next((one for one in sweeps if not one.tied or one.parameter == dim), None)
    tied: dict[str, tuple[Any, ...]] = {}
    for sweep in sweeps:
        if sweep is not own:
            free = sweep.parameter not in taken and sweep.parameter not in tied
            tied[sweep.parameter if free else _full_name(sweep)] = sweep.coordinate
    if own is None:
        positions = tuple(range(1, len(sweeps[0].values) + 1))
        return Dimension(dim, positions, long_name="position of tied parameters", tied=tied)
    return Dimension(dim, own.coordinate, own.units, own.long_name, tied)


def _full_name(sweep: Sweep) -> str:
    """`$.estimator[0].model.gamma` → `model_gamma`."""
    parts = sweep.path.split(".")[1:]
    return "_".join(part for part in parts if not part.startswith("estimator["))


def swept_names(dims: tuple[Dimension, ...]) -> set[str]:
    """The names of dimensions, and of the coordinates that are tied to them."""
    return {dim.name for dim in dims} | {name for dim in dims for name in dim.tied}


# --- points -------------------------------------------------------------------------------------


def points(dims: tuple[Dimension, ...]) -> Iterator[dict[str, int]]:
    """Every point of the sweep, as positions along the dimensions."""
    for positions in itertools.product(*(range(len(dim)) for dim in dims)):
        yield dict(zip((dim.name for dim in dims), positions, strict=True))
