"""A scenario: read from a file, a text or Python, changed, and written back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import attrs
import tomli_w
from attrs import frozen

from testbed.contract.cells import Compute
from testbed.contract.grids import MOST, Grid
from testbed.contract.parameters import parameter
from testbed.errors import Mistake, ScenarioError, did_you_mean
from testbed.loading import load_registry
from testbed.scenario.declaration import Table
from testbed.scenario.document import parse_document
from testbed.scenario.figure import Figure, FigureSpec as FigureSpec
from testbed.scenario.mathtext import formula_mistake
from testbed.scenario.overrides import apply_overrides
from testbed.scenario.reader import ComponentSource, NoComponents, Source, read_fields, read_table
from testbed.scenario.replication import Replication
from testbed.scenario.tables import (
    ClaimTable,
    DesignTable,
    EstimatorTable,
    Expectation,
    MetricTable,
    NamedDesignTable,
    NamedTargetTable,
    TargetTable,
    TheoryTable,
    name_parameter,
)
from testbed.scenario.writer import written

FORMAT = 1
LARGEST_SEED = 2**64 - 1


@frozen(kw_only=True)
class Scenario(Table):
    """One experiment: what is sampled, fitted, measured, predicted and shown in figures.

    Results store its `text`: the text that was read, with overrides applied, as long as the
    scenario says what that text says; after a change in Python a text of its present content.
    """

    format: Literal[1] = parameter(help="version of the scenario language", form="1")
    name: str = name_parameter(help="name of the experiment and of its folder in runs/")
    title: str = parameter(
        attrs.Factory(lambda scenario: scenario.name, takes_self=True),
        help="heading of figures and summary; default: the name",
    )
    description: str = parameter("", help="what the experiment is for; stored in the result")
    references: tuple[str, ...] = parameter((), help="papers, such as arXiv:2409.00894")
    seed: int = parameter(
        0,
        help="the seed of all random numbers",
        ge=0,
        le=LARGEST_SEED,
        form="an integer from 0 to 2^64 - 1",
    )
    replicates: int | Replication = parameter(
        1,
        help="independent draws of data, noise and start: a number, or as many as are needed",
        ge=1,
        form="an integer of at least 1, or { until = …, at_most = … }",
    )
    times: Grid | None = parameter(
        None, help="training times of every estimator whose optimizer has none"
    )
    compute: Compute = parameter(Compute(), help="where and how numbers are computed, and bounds")
    design: DesignTable | tuple[NamedDesignTable, ...] = parameter(help="where inputs come from")
    target: TargetTable | tuple[NamedTargetTable, ...] = parameter(help="the truth")
    estimators: tuple[EstimatorTable, ...] = parameter(alias="estimator", help="what is fitted")
    metrics: tuple[MetricTable, ...] = parameter((), alias="metric", help="what is measured")
    theories: tuple[TheoryTable, ...] = parameter((), alias="theory", help="what is predicted")
    figures: tuple[Figure, ...] = parameter(
        (),
        alias="figure",
        help="figures of the run; without any, every kind that the result has data for",
    )
    claims: tuple[ClaimTable, ...] = parameter(
        (), alias="claim", help="statements about the results, each with a verdict"
    )
    expectations: tuple[Expectation, ...] = parameter(
        (), alias="soundness", help="findings that are provoked on purpose"
    )

    path: str = attrs.field(default="scenario", eq=False)
    read_as: Reading | None = attrs.field(default=None, repr=False, eq=False)

    @property
    def text(self) -> str:
        """TOML text of this scenario, with the comments of the text that was read if it still says
        the same."""
        read_as = self.read_as
        return read_as.text if read_as and read_as.scenario == self else self._plain_text()

    def _plain_text(self) -> str:
        return tomli_w.dumps(self.to_dict())

    def with_text(self, text: str) -> Scenario:
        """This scenario with a text that says it in other words."""
        return attrs.evolve(self, read_as=Reading(text, self))

    @property
    def most_replicates(self) -> int:
        """The number of replicates; where it is adaptive, the largest one."""
        adaptive = self.replicates
        return adaptive.at_most if isinstance(adaptive, Replication) else adaptive

    @property
    def looks(self) -> int:
        """How often a run looks whether points have enough replicates; 1 where their number is
        fixed. Intervals account for it."""
        adaptive = self.replicates
        return len(adaptive.counts) if isinstance(adaptive, Replication) else 1

    @property
    def designs(self) -> tuple[DesignTable | NamedDesignTable, ...]:
        """The designs as a tuple, even if there is only one."""
        return self.design if isinstance(self.design, tuple) else (self.design,)

    @property
    def targets(self) -> tuple[TargetTable | NamedTargetTable, ...]:
        """The targets as a tuple, even if there is only one."""
        return self.target if isinstance(self.target, tuple) else (self.target,)

    @classmethod
    def from_dict(
        cls, document: Mapping[str, object], registry: ComponentSource | None = None
    ) -> Scenario:
        """A scenario from a dict as a file would hold it; components may stand in it as objects.

        Raises ScenarioError with every mistake.
        """
        return _sound(read_document(written({"format": FORMAT, **document}), "scenario", registry))

    @classmethod
    def from_text(
        cls, text: str, overrides: Sequence[str] = (), registry: ComponentSource | None = None
    ) -> Scenario:
        """A scenario from its TOML text; ScenarioError with every mistake."""
        return _sound(parse_scenario(text, "scenario", overrides, registry))

    def with_(self, *overrides: str, registry: ComponentSource | None = None) -> Scenario:
        """A changed copy; changes are written as for `--set`: `estimator.fixed.model.depth=2`."""
        return _sound(parse_scenario(str(self), self.path, overrides, registry))

    def to_dict(self) -> dict[str, Any]:
        """The scenario as plain data: without comments, with grids and sweeps written out."""
        return written(self)

    def save(self, path: str | Path) -> None:
        """Write the scenario as a TOML file."""
        Path(path).write_text(str(self), encoding="utf-8")

    def __str__(self) -> str:
        return self.text


@frozen
class Reading:
    """The text that was read, and the scenario that it says."""

    text: str
    scenario: Scenario


def _sound(reading: tuple[Scenario, list[Mistake]]) -> Scenario:
    """The scenario, if it has no mistakes; ScenarioError otherwise."""
    scenario, mistakes = reading
    if mistakes:
        raise ScenarioError(mistake.in_file(scenario.path) for mistake in mistakes)
    return scenario


def parse_scenario(
    text: str, path: str, overrides: Sequence[str], registry: ComponentSource | None
) -> tuple[Scenario, list[Mistake]]:
    """A scenario from its text, and what is wrong with it, each at its `$.` place.

    Raises ScenarioError where nothing can be read: broken TOML, overrides that cannot be applied.
    """
    document = parse_document(text, path)
    if overrides:
        document = apply_overrides(document, overrides)
        text = tomli_w.dumps(document)
    scenario, mistakes = read_document(document, path, registry)
    return scenario.with_text(text), mistakes


def read_document(
    document: Mapping[str, object], path: str, registry: ComponentSource | None
) -> tuple[Scenario, list[Mistake]]:
    """A scenario from a document; what cannot be read is left out, and is among the mistakes."""
    alone = Source(NoComponents())
    compute, _ = read_table(Compute, document.get("compute", {}), "$.compute", alone)
    source = Source(registry or load_registry(), compute.values if compute else MOST)
    values, mistakes = read_fields(Scenario, document, "$", source)
    for key, stand_in in _STAND_INS.items():
        values.setdefault(key, stand_in)
    scenario = Scenario(**values, place="$", path=path)
    mistakes = [_displaced(mistake) for mistake in mistakes]
    return scenario, [*mistakes, *_inconsistencies(scenario, document)]


def _displaced(mistake: Mistake) -> Mistake:
    """The same mistake; of a key that belongs above all tables, with that advice."""
    key = mistake.where.rpartition(".")[2]
    unknown = mistake.found == f"found the unknown key {key!r}"
    if not unknown or key not in ABOVE_TABLES or mistake.where == f"$.{key}":
        return mistake
    return attrs.evolve(
        mistake, advice=f"{key} is a key of the scenario: write it above the first table"
    )


ABOVE_TABLES = ("format", "name", "title", "description", "references", "seed", "replicates")
"""Keys that TOML counts to a table if they are written below it."""
_STAND_INS: dict[str, Any] = {
    "format": FORMAT, "name": "unreadable", "design": (), "target": (), "estimator": (),
}  # fmt: skip
"""Values that replace required parts that could not be read."""


def read_figures(text: str) -> tuple[Figure, ...]:
    """The figures of a stored scenario; none if its text can no longer be read."""
    try:
        tables = parse_document(text, "scenario").get("figure", [])
    except ScenarioError:
        return ()
    source = Source(NoComponents())
    figures = [read_table(Figure, table, "$.figure", source)[0] for table in tables]
    return tuple(figure for figure in figures if figure is not None)


# --- how tables fit together --------------------------------------------------------------------


def _inconsistencies(scenario: Scenario, document: Mapping[str, object]) -> Iterator[Mistake]:
    """Mistakes in how the tables fit together."""
    names = _estimator_names(document)
    yield from _repeated(names, "$.estimator", "estimators")
    for kind, options in (("design", scenario.design), ("target", scenario.target)):
        if isinstance(options, tuple):
            yield from _repeated([option.name for option in options], f"$.{kind}", f"{kind}s")
    if not document.get("metric") and not document.get("theory"):
        yield Mistake("$", "found no [[metric]]", "at least one")
    headings = [(scenario.title, "$.title")]
    headings += [(f.options.get("title", ""), f"{f.place}.title") for f in scenario.figures]
    for text, place in headings:
        mistake = formula_mistake(text, place)
        if mistake:
            yield mistake
    for key in ("metric", "theory", "soundness"):
        for position, table in enumerate(_listed(document.get(key))):
            for name in _named_estimators(table):
                if name not in names:
                    place = f"$.{key}[{position}].of"
                    text = f"found no estimator {name!r}"
                    yield Mistake(place, text, "", did_you_mean(name, names))


def _estimator_names(document: Mapping[str, object]) -> tuple[str, ...]:
    """The names of all estimators, including those that could not be read."""
    tables = _listed(document.get("estimator"))
    names = (t.get("name") if isinstance(t, Mapping) else getattr(t, "name", None) for t in tables)
    return tuple(name for name in names if isinstance(name, str))


def _listed(raw: object) -> Sequence[Any]:
    return raw if isinstance(raw, list | tuple) else ()


def _named_estimators(table: object) -> Iterator[str]:
    """The estimators that a table names in `of`."""
    of = table.get("of") if isinstance(table, Mapping) else getattr(table, "of", ())
    return (name for name in _listed(of) if isinstance(name, str))


def _repeated(names: Sequence[str], place: str, kind: str) -> Iterator[Mistake]:
    for name, count in Counter(names).items():
        if count > 1:
            yield Mistake(place, f"found two {kind} named {name!r}", "each name once")
