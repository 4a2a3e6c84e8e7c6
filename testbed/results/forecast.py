"""What a run was expected to take, beside what it took: attributes of the variable `duration`.

`expected_seconds` and `expected_memory` are of all cells of an estimator, as they were expected
when the scenario was first run in its folder; they are missing where this machine had run nothing
alike.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from testbed.results.groups import estimators
from testbed.results.journal import Journal
from testbed.results.provenance import digest
from testbed.running.calibration import Calibration, expected_costs

if TYPE_CHECKING:
    import xarray as xr

    from testbed.planning.plan import Plan

FACT = "forecast"
TEXT = "forecast of"  # the digest of the scenario's text


def remember_forecast(journal: Journal, plan: Plan, calibration: Calibration) -> None:
    """Note what a plan is expected to take, unless it was noted before."""
    text = digest(plan.scenario.text)
    if journal.fact(TEXT) == text:
        return
    expected = {
        name: [forecast.seconds, forecast.memory]
        for name, forecast in expected_costs(plan.cells, calibration).items()
        if not forecast.unknown
    }
    journal.set_facts({TEXT: text, FACT: json.dumps(expected)})


def with_forecast(tree: xr.DataTree, journal: Journal) -> xr.DataTree:
    """The tree with what was expected, beside the durations of each group."""
    expected = _noted(journal)
    for name, group in estimators(tree).items():
        if name in expected and "duration" in group:
            seconds, memory = expected[name]
            attributes = group["duration"].attrs
            attributes["expected_seconds"] = float(seconds)
            attributes["expected_memory"] = float(memory)
    return tree


def _noted(journal: Journal) -> Mapping[str, tuple[float, float]]:
    """The expected seconds and memory of each estimator."""
    try:
        noted = json.loads(journal.fact(FACT) or "{}")
        return {name: (float(seconds), float(memory)) for name, (seconds, memory) in noted.items()}
    except (ValueError, TypeError, AttributeError):
        return {}
