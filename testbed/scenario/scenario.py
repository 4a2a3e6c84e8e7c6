"""The scenario file as frozen classes, read strictly: all mistakes at once."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import tomli_w
from attrs import field, frozen

from testbed.contract.cells import Compute
from testbed.contract.grids import Grid
from testbed.contract.names import group_objection
from testbed.errors import Mistake, ScenarioError, did_you_mean
from testbed.scenario.overrides import apply_overrides
from testbed.scenario.reading import ComponentSource, Reader
from testbed.scenario.specs import Spec
from testbed.scenario.strict import found

FORMAT = 1
TOP = (
    "format", "name", "title", "description", "references", "seed", "replicates", "times",
    "design", "target", "estimator", "metric", "theory", "figure", "soundness", "compute",
)  # fmt: skip
LATER = ("claim",)
FIGURE_KEYS: dict[str, Any] = {
    "kind": str, "of": str | tuple[str, ...], "title": str, "x": str, "y": str, "by": str,
    "at": dict,
}  # fmt: skip
_DEVICE = re.compile(r"cpu|mps|cuda(:\d+)?")


@frozen
class Alternative:
    """A design or target; `name` is empty unless it is one of `[[design]]` or `[[target]]`."""

    spec: Spec
    name: str = ""
    along: str = ""
    shared: bool = False


@frozen
class EstimatorSpec:
    """A named model and optimizer; `simulate` says for which cells numbers are drawn."""

    name: str
    model: Spec
    optimizer: Spec
    simulate: bool | float | int = True  # a share (float), or cells up to this n (int)


@frozen
class MetricSpec:
    """A metric: under which name, of which estimators, at which times, replicates kept or not."""

    spec: Spec
    name: str = ""
    of: tuple[str, ...] = ()
    times: Grid | None = None
    mean: bool = False


@frozen
class TheorySpec:
    """A theory and the estimators it is asked about."""

    spec: Spec
    of: tuple[str, ...] = ()


@frozen
class FigureSpec:
    """What a figure should show, as the file says it."""

    kind: str
    options: Mapping[str, Any] = field(factory=dict, hash=False)


@frozen
class Expectation:
    """A soundness finding that the scenario provokes on purpose, and why."""

    check: str
    because: str
    of: tuple[str, ...] = ()  # estimators; all if empty

    def covers(self, check: str, estimator: str) -> bool:
        """Whether a finding of this check about this estimator is expected."""
        return check == self.check and (not self.of or estimator in self.of)


@frozen
class Scenario:
    """One experiment. `text` is what was read, with overrides applied; results store it."""

    name: str
    seed: int
    replicates: int
    designs: tuple[Alternative, ...]
    targets: tuple[Alternative, ...]
    estimators: tuple[EstimatorSpec, ...]
    metrics: tuple[MetricSpec, ...]
    theories: tuple[TheorySpec, ...] = ()
    figures: tuple[FigureSpec, ...] = ()
    expectations: tuple[Expectation, ...] = ()
    title: str = ""
    description: str = ""
    references: tuple[str, ...] = ()
    times: Grid | None = None
    compute: Compute = Compute()
    text: str = field(default="", repr=False, eq=False)
    path: str = field(default="", eq=False)


def parse_scenario(
    text: str, path: str, overrides: Sequence[str], registry: ComponentSource
) -> tuple[Scenario, list[Mistake]]:
    """A scenario from its text, and what is wrong with it; `path` is what mistakes call it.

    Raises ScenarioError where nothing can be read: broken TOML, overrides that fit nowhere.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError([Mistake(path, f"found broken TOML: {error}", "TOML 1.0")]) from None
    if overrides:
        document = apply_overrides(document, overrides)
        text = tomli_w.dumps(document)
    reader = Reader(path, registry)
    return _scenario(reader, document, text), reader.mistakes


def _scenario(reader: Reader, document: dict[str, Any], text: str) -> Scenario:
    for key in LATER:
        if key in document:
            what = f"found [[{key}]], which this version does not support yet"
            reader.object(f"$.{key}", what, "remove it")
    reader.unknown_keys(document, (*TOP, *LATER), "$")
    if document.get("format") != FORMAT:
        what = f"found format {document.get('format')!r}, expected {FORMAT}"
        reader.object("$.format", what, f"add format = {FORMAT} at the top")
    name = reader.name(document, "$")
    seed = _at_least(reader, document, "seed", 0, 0)
    replicates = _at_least(reader, document, "replicates", 1, 1)
    designs = _alternatives(reader, document, "design")
    targets = _alternatives(reader, document, "target")
    estimators = _estimators(reader, document)
    names = _names(document)
    metrics = _metrics(reader, document, names)
    theories = _theories(reader, document, names)
    return Scenario(
        name=name,
        seed=seed,
        replicates=replicates,
        designs=designs,
        targets=targets,
        estimators=estimators,
        metrics=metrics,
        theories=theories,
        figures=_figures(reader, document),
        expectations=_expectations(reader, document, names),
        title=reader.value(document, "title", str, "$", name),
        description=reader.value(document, "description", str, "$", ""),
        references=reader.value(document, "references", tuple[str, ...], "$", ()),
        times=reader.value(document, "times", Grid, "$", None),
        compute=_compute(reader, document),
        text=text,
        path=reader.file,
    )


def _at_least(reader: Reader, table: dict[str, Any], key: str, least: int, default: int) -> int:
    value = reader.value(table, key, int, "$", default)
    if value < least:
        reader.object(f"$.{key}", f"found {value}, expected an integer of at least {least}")
    return int(value)


def _tables(reader: Reader, document: dict[str, Any], key: str) -> list[tuple[str, dict[str, Any]]]:
    """The tables of `[[key]]`, each with its path."""
    raw = document.get(key, [])
    if not isinstance(raw, list) or not all(isinstance(table, dict) for table in raw):
        what = f"found one [{key}]" if isinstance(raw, dict) else found(raw)
        reader.object(f"$.{key}", f"{what}, expected a list of tables", f"use [[{key}]]")
        return []
    return [(f"$.{key}[{position}]", table) for position, table in enumerate(raw)]


def _alternatives(
    reader: Reader, document: dict[str, Any], kind: Literal["design", "target"]
) -> tuple[Alternative, ...]:
    raw = document.get(kind)
    if raw is None or raw == []:
        reader.object("$", f"found no [{kind}], expected one", f'add [{kind}] with use = "…"')
        return ()
    extra = ("shared",) if kind == "design" else ()
    if isinstance(raw, dict):
        spec = reader.component(raw, kind, f"$.{kind}", extra)
        shared = bool(reader.value(raw, "shared", bool, f"$.{kind}", False)) if extra else False
        return (Alternative(spec, shared=shared),) if spec else ()
    options, names = [], []
    for path, table in _tables(reader, document, kind):
        spec = reader.component(table, kind, path, ("name", "along", *extra), sweeps=False)
        name, along = reader.name(table, path), reader.value(table, "along", str, path, "")
        shared = bool(reader.value(table, "shared", bool, path, False)) if extra else False
        names.append(name)
        if spec:
            options.append(Alternative(spec, name, along, shared))
    _once(reader, names, f"$.{kind}", f"{kind}s")
    return tuple(options)


def _once(reader: Reader, names: Sequence[str], path: str, what: str) -> None:
    for name in sorted({name for name in names if name and names.count(name) > 1}):
        reader.object(path, f"found two {what} named {name!r}, expected each name once")


def _estimators(reader: Reader, document: dict[str, Any]) -> tuple[EstimatorSpec, ...]:
    estimators, names = [], []
    tables = _tables(reader, document, "estimator")
    if document.get("estimator", []) == []:
        reader.object("$", "found no [[estimator]], expected at least one")
    for path, table in tables:
        reader.unknown_keys(table, ("name", "model", "optimizer", "simulate"), path)
        name = reader.name(table, path, group_objection)
        names.append(name)
        parts: dict[str, Spec | None] = {}
        for kind in ("model", "optimizer"):
            if kind not in table:
                reader.object(path, f"found no {kind}, expected one", f"add {kind} = {{ use = … }}")
            else:
                parts[kind] = reader.component(table[kind], kind, f"{path}.{kind}")
        simulate = _simulate(reader, table, path)
        model, optimizer = parts.get("model"), parts.get("optimizer")
        if model and optimizer:
            estimators.append(EstimatorSpec(name, model, optimizer, simulate))
    _once(reader, names, "$.estimator", "estimators")
    return tuple(estimators)


def _simulate(reader: Reader, table: dict[str, Any], path: str) -> bool | float | int:
    raw = table.get("simulate", True)
    if isinstance(raw, bool):
        return raw
    if isinstance(raw, float) and 0 < raw <= 1:
        return raw
    if isinstance(raw, dict) and list(raw) == ["n"] and type(raw["n"]) is int and raw["n"] > 0:
        return int(raw["n"])
    wanted = "true, false, a share such as 0.1, or { n = 5000 }"
    reader.object(f"{path}.simulate", f"found {raw!r}, expected {wanted}")
    return True


def _names(document: dict[str, Any]) -> tuple[str, ...]:
    """The names of all estimators, of those too that could not be read."""
    tables = document.get("estimator")
    tables = tables if isinstance(tables, list) else []
    return tuple(str(table.get("name")) for table in tables if isinstance(table, dict))


def _of(reader: Reader, table: dict[str, Any], path: str, names: Sequence[str]) -> tuple[str, ...]:
    of: tuple[str, ...] = reader.value(table, "of", tuple[str, ...], path, ())
    for name in of:
        if name not in names:
            fix = did_you_mean(name, names)
            reader.object(f"{path}.of", f"found no estimator {name!r}", fix)
    return of


def _metrics(
    reader: Reader, document: dict[str, Any], names: Sequence[str]
) -> tuple[MetricSpec, ...]:
    metrics = []
    tables = _tables(reader, document, "metric")
    if not document.get("metric") and not document.get("theory"):
        reader.object("$", "found no [[metric]], expected at least one")
    for path, table in tables:
        keys = ("name", "of", "times", "replicates")
        own = {key: value for key, value in table.items() if key != "times"}
        spec = reader.component(own, "metric", path, keys, sweeps=False)
        name = reader.name(table, path) if "name" in table else ""
        kept = reader.value(table, "replicates", Literal["all", "mean"], path, "all")
        times = reader.value(table, "times", Grid, path, None)
        of = _of(reader, table, path, names)
        if spec:
            metrics.append(MetricSpec(spec, name, of, times, kept == "mean"))
    return tuple(metrics)


def _theories(
    reader: Reader, document: dict[str, Any], names: Sequence[str]
) -> tuple[TheorySpec, ...]:
    theories = []
    for path, table in _tables(reader, document, "theory"):
        spec = reader.component(table, "theory", path, ("of",), sweeps=False)
        of = _of(reader, table, path, names)
        if spec:
            theories.append(TheorySpec(spec, of))
    return tuple(theories)


def _figures(reader: Reader, document: dict[str, Any]) -> tuple[FigureSpec, ...]:
    figures = []
    for path, table in _tables(reader, document, "figure"):
        reader.unknown_keys(table, FIGURE_KEYS, path)
        if "kind" not in table:
            reader.object(path, "found no kind, expected one", 'add kind = "…"')
        for key, wanted in FIGURE_KEYS.items():
            reader.value(table, key, wanted, path, None)
        options = {key: value for key, value in table.items() if key != "kind"}
        figures.append(FigureSpec(str(table.get("kind")), options))
    return tuple(figures)


def _expectations(
    reader: Reader, document: dict[str, Any], names: Sequence[str]
) -> tuple[Expectation, ...]:
    expectations = []
    for path, table in _tables(reader, document, "soundness"):
        reader.unknown_keys(table, ("expect", "of", "because"), path)
        words = {key: reader.value(table, key, str, path, "") for key in ("expect", "because")}
        for key, word in words.items():
            if not word:
                what = {"expect": "the name of a check", "because": "the reason"}[key]
                reader.object(path, f"found no {key}, expected {what}", f'add {key} = "…"')
        of = _of(reader, table, path, names)
        expectations.append(Expectation(words["expect"], words["because"], of))
    return tuple(expectations)


def _compute(reader: Reader, document: dict[str, Any]) -> Compute:
    table = document.get("compute", {})
    path = "$.compute"
    if not isinstance(table, dict):
        reader.object(path, f"found {table!r}, expected a table")
        return Compute()
    if "dask" in table:
        what = "found [compute.dask], which this version does not support yet"
        reader.object(f"{path}.dask", what, "remove it")
    reader.unknown_keys(
        table, ("device", "dtype", "memory", "block", "time_limit", "results", "dask"), path
    )
    default = Compute()
    device = reader.value(table, "device", str, path, default.device)
    if not _DEVICE.fullmatch(device):
        reader.object(f"{path}.device", f"found {device!r}, expected cpu, cuda, cuda:N or mps")
    values = {
        "device": device,
        "dtype": reader.value(table, "dtype", Literal["float64", "float32"], path, default.dtype),
        "memory": reader.value(table, "memory", float, path, default.memory),
        "block": reader.value(table, "block", int, path, default.block),
        "time_limit": reader.value(table, "time_limit", float, path, default.time_limit),
        "results": reader.value(table, "results", float, path, default.results),
    }
    for key in ("memory", "block", "time_limit", "results"):
        if values[key] is not None and values[key] <= 0:
            reader.object(f"{path}.{key}", f"found {values[key]}, expected a number above 0")
            values[key] = getattr(default, key)
    return Compute(**values)


def read_figures(text: str) -> tuple[FigureSpec, ...]:
    """The figures that a stored scenario asks for; none if its text cannot be read any more."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return ()
    tables = document.get("figure", [])
    return tuple(
        FigureSpec(str(table.get("kind", "")), {k: v for k, v in table.items() if k != "kind"})
        for table in tables
    )
