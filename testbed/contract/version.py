"""The version of the contract between core and plugins, and what each version changed.

A plugin's module states the version that it was written for: `testbed_contract = 2`. The number
rises when something that a plugin may rely on changes its meaning or goes; new hooks, new arguments
of hooks and new methods with defaults leave it as it is.
"""

from __future__ import annotations

CONTRACT = 2
ATTRIBUTE = "testbed_contract"
CHANGES: dict[int, str] = {
    2: (
        "capabilities are base classes such as HasFlow instead of `supports`, what core must know "
        "is returned by facts() instead of class attributes, a theory raises DoesNotApply instead "
        "of having `applies`, and methods of models take (drawn, prepared, problem)"
    ),
}
"""What changed with each version, in words for the authors of plugins."""


def changes_since(version: int) -> str:
    """The changes after a version, oldest first; none for the present version."""
    later = sorted(number for number in CHANGES if number > version)
    return "; ".join(f"contract {number}: {CHANGES[number]}" for number in later)
