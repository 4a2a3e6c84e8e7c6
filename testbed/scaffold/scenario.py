"""A commented scenario from chosen components, with partners that fit them."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

import attrs

from testbed.contract.capabilities import HasEigensystem, HasFlow
from testbed.contract.components import Component
from testbed.contract.examples import PLAIN, Values
from testbed.contract.grids import Grid
from testbed.contract.parameters import fields_of, parameter_of
from testbed.errors import TestbedError, did_you_mean
from testbed.loading import Registry
from testbed.planning.files import read_scenario
from testbed.planning.plan import make_plan
from testbed.scenario.example import complete_tables, inline

TIMES: Values = {"geom": [1.0, 1000.0, 13]}
LATE_TIMES: Values = {"geom": [1.0, 1e5, 21]}  # of models whose flow is known in closed form
SAMPLES = (40, 80, 160)  # numbers of observations, which the scenario sweeps
SIZES = {"modes": 200, "width": 64, "trees": 50}
"""Sizes of an experiment, where examples have those of a test and there is no default."""
_ORDER = ("model", "theory", "metric", "target", "design", "optimizer")
LONGEST = 100
_WIDTH = 40  # of the column before a comment
_HEAD = """\
# What is the question?
#
# Editors complete this file if its first line is  #:schema scenario.schema.json  and that file is
# there: testbed schema > scenario.schema.json
format = 1
name = {name}
title = {title}
seed = 1
replicates = 16                         # independent draws of data, noise and start

# Any number can become a dimension of the result: noise = {{ values = [0.1, 0.2] }}, or
# n = {{ geom = [50, 800, 5] }}. `testbed check FILE` shows every mistake, `testbed plan FILE` what
# would be computed, `testbed run FILE` computes it."""


def scenario_text(name: str, chosen: Mapping[str, Sequence[str]], registry: Registry) -> str:
    """The text of a scenario with these components, by kind; the rest is chosen to fit them.

    Of models and metrics there can be several; each model becomes an estimator. Sizes are those of
    an experiment, with several numbers of observations; where the components do not allow them,
    those of their examples.
    """
    for enlarged in (("design", "model", "optimizer"), ("design",)):
        text = _text(name, chosen, registry, enlarged)
        try:
            make_plan(read_scenario(text, f"{name}.toml"))
        except TestbedError:
            continue
        return text
    return _text(name, chosen, registry, ())


def _text(
    name: str, chosen: Mapping[str, Sequence[str]], registry: Registry, enlarged: Sequence[str]
) -> str:
    """The text with the sizes of an experiment in the tables of these kinds."""
    classes = {kind: [_class(kind, word, registry) for word in chosen[kind]] for kind in chosen}
    classes = {kind: listed for kind, listed in classes.items() if listed}
    if not classes:
        classes = {"model": [_class("model", PLAIN["model"], registry)]}

    def fitting(parts: Mapping[str, list[type[Component]]]) -> dict[str, Values]:
        tables = _tables(parts, registry)
        large = {kind: _enlarged(table, registry) for kind, table in tables.items()}
        return {**tables, **{kind: large[kind] for kind in enlarged if kind in large}}

    tables = fitting(classes)
    head = _HEAD.format(name=inline(name), title=inline(name.replace("-", " ").capitalize()))
    parts = [head, *(_table(f"[{kind}]", tables[kind], registry) for kind in ("design", "target"))]
    models = classes.get("model", [])
    for position, model in enumerate(models or [None]):
        fitted = tables if not position or model is None else fitting({**classes, "model": [model]})
        parts.append(_estimator(fitted["model"], fitted["optimizer"], registry))
    listed = [("metric", word) for word in chosen.get("metric", ())] or [("metric", "")]
    listed += [("theory", word) for word in chosen.get("theory", ())]
    for kind, word in listed:
        named = {"use": word} if word else tables[kind]
        table = complete_tables([], {kind: named}, registry)[kind]
        parts.append(_table(f"[[{kind}]]", table, registry))
    return "\n\n".join(parts) + "\n"


def _class(kind: str, name: str, registry: Registry) -> type[Component]:
    component = registry.get(kind, name)
    if component is None:
        raise TestbedError(f"found no {kind} {name!r}; {did_you_mean(name, registry.names(kind))}")
    return component


def _tables(classes: Mapping[str, list[type[Component]]], registry: Registry) -> dict[str, Values]:
    """A table for each part: of the chosen components, of their examples' partners, or usual."""
    first = [classes[kind][0] for kind in _ORDER if kind in classes]
    tables: dict[str, Values] = {part.kind: {"use": part.name} for part in first}
    for part in first:
        for kind, table in part.examples()[0].partners.items():
            tables.setdefault(kind, table)
    return complete_tables(first, tables, registry)


def _enlarged(table: Values, registry: Registry) -> Values:
    """A component's table with the sizes of an experiment: its own defaults where they are larger,
    usual sizes where it has none, and a sweep over the number of observations."""
    component = registry.find(str(table["use"])).component
    large = dict(table)
    for part in fields_of(component):
        info, key = parameter_of(part), part.alias or part.name
        value = table.get(key)
        if isinstance(value, bool) or not isinstance(value, int):
            continue
        if info.role == "sample_size":
            large[key] = {"values": list(SAMPLES)}
        else:
            usual = part.default if isinstance(part.default, int) else SIZES.get(key, 0)
            large[key] = max(value, usual)
    return large


def _estimator(model: Values, optimizer: Values, registry: Registry) -> str:
    name = str(model["use"]).rpartition(".")[2]
    fitted = registry.find(str(optimizer["use"])).component
    timed = any(field.name == "times" for field in fields_of(fitted))
    trained = registry.find(str(model["use"])).component
    times = LATE_TIMES if issubclass(trained, HasFlow | HasEigensystem) else TIMES
    optimizer = {**optimizer, "times": times} if timed else optimizer
    head = f"[[estimator]]\nname = {inline(name)}"
    tables = {"[estimator.model]": model, "[estimator.optimizer]": optimizer}
    return "\n\n".join([head, *(_table(key, table, registry) for key, table in tables.items())])


def _table(header: str, table: Values, registry: Registry) -> str:
    """A component's table: what is set, and as comments what else could be."""
    component = registry.find(str(table["use"])).component
    fields = {field.alias or field.name: field for field in fields_of(component)}
    lines = [header, f"use = {inline(component.name)}"]
    for key, field in fields.items():
        info = parameter_of(field)
        words = "; ".join(filter(None, (info.help, info.bounds(), ", ".join(info.choices))))
        if key in table:
            lines.append(_line(f"{key} = {inline(table[key])}", words))
        elif _writable(field.default):
            lines.append(_line(f"# {key} = {inline(field.default)}", words))
    return "\n".join(lines)


def _writable(default: object) -> bool:
    """Whether a default can stand in a file."""
    if default is None or default is attrs.NOTHING or isinstance(default, Component):
        return False
    return isinstance(default, bool | int | float | str | tuple | Grid)


def _line(text: str, words: str) -> str:
    """A setting with its comment behind it, or above it where both are too long for a line."""
    line = f"{text:<{_WIDTH - 1}} # {words}"
    if len(line) <= LONGEST:
        return line
    return "\n".join([*(f"# {part}" for part in textwrap.wrap(words, LONGEST - 2)), text])
