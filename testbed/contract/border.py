"""The border between core and components: whatever a component raises becomes one kind of error.

    with calling(metric, "applies"):
        reason = metric.applies(cell)

A component may raise anything, and may return what its contract does not allow. Core calls
components inside `calling` and checks what they return. Both kinds of fault become a
ComponentFault, which names the component, its distribution and the method.
"""

from __future__ import annotations

import importlib.metadata
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from testbed.errors import DoesNotApply, TestbedError

if TYPE_CHECKING:
    from testbed.contract.components import Component

GROUP = "testbed.plugins"  # the entry-point group of plugins


class ComponentFault(TestbedError):
    """A component that raised, or returned what its contract does not allow."""

    def __init__(self, component: Component, reason: str):
        self.component, self.reason = component, reason
        super().__init__(f"{title(component)}: {reason}")


_WITNESSES: list[Callable[[BaseException], None]] = []


@contextmanager
def witnessed(tell: Callable[[BaseException], None]) -> Iterator[None]:
    """Tell of every error that a component raises in the body, before it becomes a fault."""
    _WITNESSES.append(tell)
    try:
        yield
    finally:
        _WITNESSES.remove(tell)


@contextmanager
def calling(component: Component, method: str) -> Iterator[None]:
    """Turn whatever a component's method raises into a ComponentFault.

    A ComponentFault of another component, raised further inside, passes unchanged. So does
    `DoesNotApply`, which is an answer and not a fault.
    """
    try:
        yield
    except (ComponentFault, DoesNotApply):
        raise
    except (Exception, SystemExit) as error:
        for tell in _WITNESSES:
            tell(error)
        raise ComponentFault(component, _reason(component, method, error)) from error


def _reason(component: Component, method: str, error: BaseException) -> str:
    """The error that the method raised, in words. A TestbedError explains itself; other errors get
    their line of code."""
    if isinstance(error, TestbedError):
        return str(error).removeprefix(f"{component.name}: ")
    return f"{method} raised {type(error).__name__}: {error}{line_of(component, error)}"


def line_of(component: Component | type[Component], error: BaseException) -> str:
    """Where the error arose: the innermost frame in the component's module, or else of all
    frames."""
    frames = traceback.extract_tb(error.__traceback__)
    written = component if isinstance(component, type) else type(component)
    file = getattr(sys.modules.get(written.__module__), "__file__", None)
    inside = [frame for frame in frames if frame.filename == file] or frames
    return f" ({inside[-1].filename}:{inside[-1].lineno}, in {inside[-1].name})" if inside else ""


def title(component: Component | type[Component]) -> str:
    """A component with its distribution: `stranger.krr of testbed-stranger 0.1.0`."""
    written = component if isinstance(component, type) else type(component)
    distribution = _distribution(written.__module__.partition(".")[0])
    return f"{component.name} of {distribution}" if distribution else component.name


@cache
def _distribution(module: str) -> str:
    """Name and version of the distribution whose plugin is this module; empty if there is none."""
    for entry in importlib.metadata.entry_points(group=GROUP):
        if entry.dist and entry.value.partition(":")[0].partition(".")[0] == module:
            return f"{entry.dist.name} {entry.dist.version}"
    return ""
