"""A Scenario back to TOML: what is written reads as an equal scenario."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import tomli_w

from testbed.contract.cells import Compute
from testbed.contract.grids import Grid
from testbed.scenario.scenario import FORMAT, Alternative, EstimatorSpec, MetricSpec, Scenario
from testbed.scenario.specs import Reference, Spec, Sweep


def dump_scenario(scenario: Scenario) -> str:
    """The scenario as TOML: without its comments, with grids and sweeps written out as values."""
    document = {
        "format": FORMAT,
        **{key: getattr(scenario, key) for key in ("name", "title", "description")},
        "references": list(scenario.references),
        "seed": scenario.seed,
        "replicates": scenario.replicates,
        "times": _raw(scenario.times),
        "compute": _compute(scenario.compute),
        "design": _alternatives(scenario.designs),
        "target": _alternatives(scenario.targets),
        "estimator": [_estimator(estimator) for estimator in scenario.estimators],
        "metric": [_metric(metric) for metric in scenario.metrics],
        "theory": [_raw(one.spec) | _given(of=list(one.of)) for one in scenario.theories],
        "figure": [{"kind": figure.kind, **figure.options} for figure in scenario.figures],
        "soundness": [
            {"expect": one.check, "because": one.because} | _given(of=list(one.of))
            for one in scenario.expectations
        ],
    }
    return tomli_w.dumps(_given(**document))


def _given(**values: Any) -> dict[str, Any]:
    """The values that say something: empty ones are the defaults."""
    empty: tuple[Any, ...] = (None, "", [], {}, False)
    return {
        key: value
        for key, value in values.items()
        if not any(value is one or (value == one and type(value) is type(one)) for one in empty)
    }


def _raw(value: Any) -> Any:
    """A parameter as TOML has it."""
    if isinstance(value, Spec):
        return {"use": value.component.name} | {k: _raw(v) for k, v in value.values.items()}
    if isinstance(value, Sweep):
        return _sweep(value)
    if isinstance(value, Reference):
        return f"estimator:{value.estimator}"
    if isinstance(value, Grid):
        return list(value.values)
    if isinstance(value, Mapping):
        return {key: _raw(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_raw(item) for item in value]
    return value


def _sweep(sweep: Sweep) -> dict[str, Any]:
    table: dict[str, Any] = {"values": _raw(sweep.values)}
    if sweep.labels is not None:
        table["labels"] = list(sweep.labels)
    if sweep.tied:
        table["along"] = sweep.dim
    elif sweep.dim != sweep.parameter:
        table["dim"] = sweep.dim
    return table


def _alternatives(options: tuple[Alternative, ...]) -> Any:
    tables = [
        _raw(option.spec) | _given(name=option.name, along=option.along, shared=option.shared)
        for option in options
    ]
    return tables if options[0].name else tables[0]


def _estimator(estimator: EstimatorSpec) -> dict[str, Any]:
    table = {
        "name": estimator.name,
        "model": _raw(estimator.model),
        "optimizer": _raw(estimator.optimizer),
    }
    if estimator.simulate is True:
        return table
    limited = type(estimator.simulate) is int
    return table | {"simulate": {"n": estimator.simulate} if limited else estimator.simulate}


def _metric(metric: MetricSpec) -> dict[str, Any]:
    kept = "mean" if metric.mean else ""
    of = list(metric.of)
    own = _given(name=metric.name, of=of, times=_raw(metric.times), replicates=kept)
    table: dict[str, Any] = _raw(metric.spec) | own
    return table


def _compute(compute: Compute) -> dict[str, Any]:
    default = Compute()
    values = attrs.asdict(compute)
    return {key: value for key, value in values.items() if value != getattr(default, key)}
