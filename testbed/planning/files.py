"""A scenario file with every mistake in it: in its text, and in how its parts fit together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from testbed.errors import ScenarioError
from testbed.loading import load_registry
from testbed.planning.plan import further_mistakes
from testbed.scenario.document import read_file
from testbed.scenario.reader import ComponentSource
from testbed.scenario.scenario import Scenario, parse_scenario


def load_scenario(
    path: str | Path, overrides: Sequence[str] = (), registry: ComponentSource | None = None
) -> Scenario:
    """Read a scenario file. Overrides are strings such as `estimator.adaptive.model.depth=2`.

    Raises ScenarioError that holds every mistake found, each with its place.
    """
    return read_scenario(read_file(path), str(path), overrides, registry)


def read_scenario(
    text: str,
    path: str = "scenario",
    overrides: Sequence[str] = (),
    registry: ComponentSource | None = None,
) -> Scenario:
    """Read a scenario from its text; error messages call it `path`."""
    scenario, mistakes = parse_scenario(text, path, overrides, registry or load_registry())
    if mistakes:
        placed = [mistake.in_file(path) for mistake in mistakes]
        raise ScenarioError([*placed, *further_mistakes(scenario)])
    return scenario
