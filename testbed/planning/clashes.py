"""Names of variables and dimensions that clash within an estimator."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from testbed.contract.components import Optimizer
from testbed.contract.names import RESERVED_VARIABLES
from testbed.errors import Mistake
from testbed.planning.candidates import Verdict, planned_variables
from testbed.planning.dimensions import swept_names
from testbed.planning.expansion import Expansion

METRIC_ADVICE = 'name this one with name = "…"'
THEORY_ADVICE = 'ask them of different estimators with of = ["…"]'


def clashes_of(
    verdicts: Iterable[Verdict],
    optimizer: Optimizer,
    expansion: Expansion,
    auxiliary: Mapping[str, str],
) -> list[Mistake]:
    """The variables whose names or dimensions an estimator has already."""
    return list(_each_clash(verdicts, optimizer, swept_names(expansion.dims), auxiliary))


def _each_clash(
    verdicts: Iterable[Verdict],
    optimizer: Optimizer,
    swept: set[str],
    auxiliary: Mapping[str, str],
) -> Iterator[Mistake]:
    taken: dict[str, dict[str, str]] = {
        "metric": dict.fromkeys(optimizer.declared(), optimizer.name),
        "theory": {},
    }
    for verdict in verdicts:
        names, place = taken[verdict.candidate.component.kind], verdict.candidate.place
        metric = verdict.candidate.component.kind == "metric"
        advice = METRIC_ADVICE if metric else THEORY_ADVICE
        for name, variable in planned_variables(verdict):
            if name in names:
                text = f"found the variable {name!r} also from {names[name]}"
                yield Mistake(place, text, "each variable once in an estimator", advice)
            names.setdefault(name, place)
            yield from _name_clash(name, place, swept, auxiliary, advice)
            yield from _dim_clashes(name, variable.dims, place, swept, auxiliary)


def _name_clash(
    name: str, place: str, swept: set[str], auxiliary: Mapping[str, str], advice: str
) -> Iterator[Mistake]:
    text = f"found the variable {name!r}"
    if name in RESERVED_VARIABLES or name in swept:
        role = "a swept parameter too" if name in swept else "reserved"
        yield Mistake(place, f"{text}, which is {role}", "", advice)
    if name in auxiliary:
        text = f"{text}, which is a coordinate of {auxiliary[name]} too"
        yield Mistake(place, text, "different names", advice)


def _dim_clashes(
    name: str, dims: Sequence[str], place: str, swept: set[str], auxiliary: Mapping[str, str]
) -> Iterator[Mistake]:
    for dim in sorted(set(dims) & set(auxiliary)):
        text = f"found {name!r} along {dim!r}, which is a coordinate of {auxiliary[dim]} too"
        advice = "rename the dim in the component, or leave this estimator out with of = […]"
        yield Mistake(place, text, "different names", advice)
    for dim in sorted(set(dims) & swept):
        text = f"found {name!r} along {dim!r}, which is a swept parameter too"
        yield Mistake(place, text, "different names", 'rename the sweep with dim = "…"')
