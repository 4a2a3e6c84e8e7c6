"""Components, plugins and plans in words, for the command line."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Iterable, Sequence
from typing import Any

import attrs

from testbed.components import Component
from testbed.parameters import parameter_of
from testbed.plan import Plan
from testbed.plugins import Offer, Registry

PLURAL = {
    "design": "designs",
    "target": "targets",
    "model": "models",
    "optimizer": "optimizers",
    "metric": "metrics",
    "theory": "theories",
}


def first_sentence(component: type[Component]) -> str:
    """The first sentence of a component's docstring, on one line."""
    text = " ".join((inspect.getdoc(component) or "").split("\n\n")[0].split())
    end = text.find(". ")
    return text[: end + 1] if end > 0 else text


def columns(rows: Iterable[Sequence[str]], indent: str = "  ") -> str:
    """Rows as aligned columns."""
    table = [[str(cell) for cell in row] for row in rows]
    if not table:
        return ""
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    lines = ("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in table)
    return "\n".join((indent + line).rstrip() for line in lines)


def list_text(registry: Registry, kind: str | None = None) -> str:
    """Every component by kind, with its first sentence."""
    parts = []
    for singular, plural in PLURAL.items():
        if kind not in (None, plural):
            continue
        rows = [
            (name, first_sentence(registry.offers[name].component))
            for name in registry.names(singular)
        ]
        parts.append(f"{plural}\n{columns(rows) or '  (none)'}")
    return "\n\n".join(parts)


def plugins_text(registry: Registry) -> str:
    """Installed plugins, the broken ones with their error."""
    rows = [
        (row.name, row.distribution, row.version, row.error or f"{len(row.components)} components")
        for row in registry.plugins
    ]
    return columns([("plugin", "distribution", "version", ""), *rows], indent="")


def component_text(offer: Offer) -> str:
    """A component in full: parameters with types, defaults, bounds and units; an example."""
    component = offer.component
    hints = typing.get_type_hints(component)
    lines = [f"{component.name} ({component.kind}, from {offer.plugin})", ""]
    lines += [inspect.getdoc(component) or "", "", "parameters"]
    rows = []
    for attribute in attrs.fields(component):  # type: ignore[arg-type]
        info = parameter_of(attribute)
        required = attribute.default is attrs.NOTHING
        default = "required" if required else f"default {_shown(attribute.default)}"
        choices = f"one of {', '.join(info.choices)}" if info.choices else info.bounds()
        unit = f"[{info.unit}]" if info.unit != "1" else ""
        name = attribute.alias or attribute.name
        kind = _type_text(hints[attribute.name])
        rows.append((name, kind, default, " ".join(filter(None, (choices, unit))), info.help))
    lines.append(columns(rows) or "  (none)")
    variables = getattr(component, "variables", {})
    if variables:
        lines += ["", "variables"]
        lines.append(
            columns((n, f"({', '.join(v.dims)})", v.long_name) for n, v in variables.items())
        )
    if component.references:
        lines += ["", "references: " + ", ".join(component.references)]
    return "\n".join([*lines, "", "example", _example(component)])


def _type_text(hint: Any) -> str:
    return str(getattr(hint, "__name__", hint)).replace("testbed.grids.", "").replace("typing.", "")


def _shown(default: Any) -> str:
    values = getattr(default, "values", None)
    if isinstance(values, tuple):
        ends = (f"{values[0]:g}", f"{values[-1]:g}")
        return (
            f"{len(values)} values from {ends[0]} to {ends[1]}"
            if len(values) > 4
            else str(list(values))
        )
    return "none" if default is None else repr(default)


def _example(component: type[Component]) -> str:
    """A TOML table that sets what is required."""
    pairs = [f'use = "{component.name}"']
    for attribute in attrs.fields(component):  # type: ignore[arg-type]
        if attribute.default is attrs.NOTHING:
            hint = typing.get_type_hints(component)[attribute.name]
            pairs.append(f"{attribute.alias or attribute.name} = {_sample(attribute, hint)}")
    if component.kind in ("model", "optimizer"):
        return f"  {component.kind} = {{ {', '.join(pairs)} }}"
    header = (
        f"[{component.kind}]" if component.kind in ("design", "target") else f"[[{component.kind}]]"
    )
    return "\n".join(f"  {line}" for line in (header, *pairs))


def _sample(attribute: Any, hint: Any) -> str:
    """A value that the parameter allows."""
    info = parameter_of(attribute)
    if info.choices:
        return f'"{info.choices[0]}"'
    if hint in (int, float):
        least = info.ge if info.ge is not None else info.gt
        value = 1.0 if least is None else max(least + (info.gt is not None), 1.0)
        top = info.le if info.le is not None else info.lt
        value = value if top is None or value < top else ((least or 0.0) + top) / 2
        return str(int(value)) if hint is int else str(float(value))
    return '"…"' if hint is str else "[1.0]"


def plan_text(plan: Plan) -> str:
    """A plan in words."""
    scenario = plan.scenario
    made, served = plan.preparations
    lines = [
        f"{scenario.name}: {len(plan.cells)} cells, {scenario.replicates} replicates, "
        f"about {plan.bytes / 2**20:.1f} MiB of results before compression, at most "
        f"{scenario.compute.memory:g} GiB of memory a cell",
    ]
    if served:
        lines.append(f"preparations: {made} for {served} cells")
    for estimator in plan.estimators:
        dims = ", ".join(f"{dim.name} ({len(dim)})" for dim in estimator.dims) or "no sweep"
        cells = [cell for cell in plan.cells if cell.estimator == estimator.name]
        names = sorted({n for c in cells for m in c.metrics for n in m.names.values()})
        theories = sorted({n for c in cells for t in c.theories for n in t.names.values()})
        ends = f"{estimator.times[0]:g} to {estimator.times[-1]:g}"
        times = f"{len(estimator.times)} times, {ends}"
        lines += ["", f"{estimator.name}: {len(cells)} cells over {dims}; {times}"]
        lines.append(f"  measured:  {', '.join(names) or 'nothing'}")
        if theories:
            lines.append(f"  predicted: {', '.join(theories)}")
        for omission in plan.omissions:
            if omission.estimator == estimator.name:
                lines.append(f"  without {omission.what}: {omission.reason}")
    lines += [f"\nwarning: {warning}" for warning in plan.warnings]
    return "\n".join(lines)
