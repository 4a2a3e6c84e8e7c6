"""What a scenario is refused for."""

from __future__ import annotations

from collections.abc import Callable

from testbed.errors import ScenarioError


def mistakes_of(plan: Callable[[], object]) -> list[str]:
    """The mistakes that reading and planning name, one by one; none if they go through."""
    try:
        plan()
    except ScenarioError as error:
        return [str(mistake) for mistake in error.mistakes]
    return []
