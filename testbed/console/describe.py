"""Components, plugins and plans in words, for the command line."""

from __future__ import annotations

import inspect
import re
import textwrap
import typing
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs

from testbed.console.tables import Table
from testbed.contract.components import Component, Metric, Optimizer
from testbed.contract.needs import alternatives
from testbed.contract.parameters import fields_of, parameter_of
from testbed.errors import printable
from testbed.loading import Offer, Plugin, Registry
from testbed.planning.fitting import foreign_kernels, theory_objection
from testbed.planning.plan import Plan
from testbed.scenario.example import example_scenario, example_table

if TYPE_CHECKING:
    from testbed.running.calibration import Forecast
    from testbed.running.costs import Cost

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


def list_tables(registry: Registry, kind: str | None = None) -> list[Table]:
    """Every component by kind, with its first sentence."""
    return [
        Table(
            plural,
            [
                (name, first_sentence(registry.offers[name].component))
                for name in registry.names(singular)
            ],
        )
        for singular, plural in PLURAL.items()
        if kind in (None, plural)
    ]


def plugins_table(registry: Registry) -> Table:
    """Installed plugins, the broken ones with their error."""
    rows = [
        (row.name, row.distribution, row.version, row.error or _counted(row))
        for row in registry.plugins
    ]
    return Table("", rows, ("plugin", "distribution", "version", "status"))


def _counted(plugin: Plugin) -> str:
    count = len(plugin.components)
    return f"ok, {count} component{'' if count == 1 else 's'}{plugin.age}"


def broken_text(registry: Registry) -> str:
    """A line for each plugin that could not be loaded; empty if there is none."""
    broken = [row for row in registry.plugins if row.error]
    return "\n".join(printable(f"note: {row} could not be loaded: {row.error}") for row in broken)


# --- one component ------------------------------------------------------------------------------


def component_parts(offer: Offer, registry: Registry) -> list[str | Table]:
    """A component in full: parameters with types, defaults, bounds and units; an example."""
    component = offer.component
    parts: list[str | Table] = [
        f"{component.name} ({component.kind}, from {offer.plugin})",
        inspect.getdoc(component) or "(without a docstring)",
        Table(
            "parameters",
            [_parameter_row(*variable) for variable in _parameters(component)],
            PARAMETER,
        ),
    ]
    variables = getattr(component, "variables", {})
    if "declared" in vars(component):
        parts.append("variables: depend on the parameters; `testbed plan` lists them")
    elif variables:
        rows = [
            (name, f"({', '.join(variable.dims)})", variable.units, variable.long_name)
            for name, variable in variables.items()
        ]
        parts.append(Table("variables", rows, ("name", "own dims", "units", "long name")))
    needs = _needs_text(component)
    if needs:
        parts.append(f"needs: {needs}")
    if component.references:
        parts.append("references: " + ", ".join(component.references))
    table = example_table(component, registry)
    scenario = example_scenario(component, registry)
    return [
        *parts,
        f"example\n{textwrap.indent(table, '  ')}",
        f"a small scenario with it\n{textwrap.indent(scenario, '  ')}",
    ]


PARAMETER = ("name", "type", "default", "allowed", "unit", "meaning")


def _parameters(component: type[Component]) -> list[tuple[attrs.Attribute[Any], Any]]:
    """The parameters of a component with their annotations."""
    hints = typing.get_type_hints(component)
    fields = fields_of(component)
    return [(attribute, hints.get(attribute.name, Any)) for attribute in fields]


def _parameter_row(attribute: attrs.Attribute[Any], hint: object) -> tuple[str, ...]:
    info = parameter_of(attribute)
    default = "required" if attribute.default is attrs.NOTHING else _shown(attribute.default)
    allowed = f"one of {', '.join(info.choices)}" if info.choices else info.bounds()
    name = attribute.alias or attribute.name
    unit = "" if info.unit == "1" else info.unit
    return name, _type_text(hint), default, allowed, unit, info.help


def _type_text(hint: object) -> str:
    """`Grid | None`, without the modules of the types."""
    text = hint.__name__ if isinstance(hint, type) and not typing.get_args(hint) else str(hint)
    return re.sub(r"\b(\w+\.)+(?=\w)", "", text)


def _shown(default: object) -> str:
    values = getattr(default, "values", None)
    if isinstance(values, tuple):
        ends = (f"{values[0]:g}", f"{values[-1]:g}")
        return (
            f"{len(values)} values from {ends[0]} to {ends[1]}"
            if len(values) > 4
            else str(list(values))
        )
    return "none" if default is None else repr(default)


def _needs_text(component: type[Component]) -> str:
    """The needs of a metric or an optimizer, with alternatives in brackets."""
    if issubclass(component, Optimizer):
        return ", ".join(capability.words for capability in component.requires)
    if not issubclass(component, Metric):
        return ""
    if "needed" in vars(component):
        return "depend on the parameters"
    groups = [", ".join(map(str, group)) for group in alternatives(component.needs)]
    return groups[0] if len(groups) == 1 else " or ".join(f"({group})" for group in groups)


# --- plans --------------------------------------------------------------------------------------


def plan_text(
    plan: Plan,
    costs: Mapping[str, Cost] | None = None,
    forecasts: Mapping[str, Forecast] | None = None,
    begun: str = "",
) -> str:
    """A plan in words, with the costs if it was tried, or those that earlier runs let expect of the
    cells that are to run. `begun` says which cells are finished."""
    scenario = plan.scenario
    made, served = plan.preparations
    adaptive = not isinstance(scenario.replicates, int)
    count = f"{'at most ' * adaptive}{scenario.most_replicates} replicates"
    lines = [
        f"{scenario.name}: {len(plan.cells)} cells, {count}, "
        f"about {plan.bytes / 2**20:.1f} MiB of results before compression, at most "
        f"{scenario.compute.memory:g} GiB of memory a cell",
    ]
    lines += filter(None, [begun])
    if served:
        lines.append(f"data and kernel matrices: prepared {made} times, shared by {served} cells")
    if plan.states is not None:
        bound = f"{scenario.compute.states:g} GiB"
        lines.append(f"states: {plan.states / 2**20:.1f} MiB of at most {bound}, kept for metrics")
    for estimator in plan.estimators:
        dims = ", ".join(f"{dim.name} ({len(dim)})" for dim in estimator.dims) or "no sweep"
        cells = [cell for cell in plan.cells if cell.estimator == estimator.name]
        names = sorted({n for c in cells for m in c.metrics for n in m.names.values()})
        speaking = (t for c in cells for t in c.theories if not theory_objection(t.theory, c))
        theories = sorted({name for theory in speaking for name in theory.names.values()})
        ends = f"{estimator.times[0]:g} to {estimator.times[-1]:g}"
        times = f"{len(estimator.times)} times, {ends}"
        theory = sum(not cell.replicates for cell in cells)
        count = f"{len(cells)} cells{f', {theory} of them for theories,' if theory else ''}"
        lines += ["", f"{estimator.name}: {count} over {dims}; {times}"]
        lines.append(f"  measured:  {', '.join(names) or 'nothing'}")
        if theories:
            lines.append(f"  predicted: {', '.join(theories)}")
        if costs:
            lines.append(f"  costs:     {costs[estimator.name]}")
        elif forecasts and estimator.name in forecasts:
            lines.append(f"  expected:  {forecasts[estimator.name]}")
        lines += [f"  note:      {words}" for words in foreign_kernels(cells)]
        for omission in plan.omissions:
            if omission.estimator == estimator.name:
                lines.append(printable(f"  without {omission.what}: {omission.reason}"))
    lines += [f"\nwarning: {warning}" for warning in plan.warnings]
    return "\n".join(lines)
