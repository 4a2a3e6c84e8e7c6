"""Which names a scenario may use, and how points of its sweeps are written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from numbers import Real
from typing import Any

RESERVED_DIMS = frozenset(
    {"replicate", "time", "mode", "status", "claims", "soundness", "published"}
)
RESERVED_GROUPS = frozenset({"claims", "soundness", "published"})
RESERVED_VARIABLES = RESERVED_DIMS | {"seed", "error", "time_reached", "duration"}
_FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def folder_objection(name: str) -> str | None:
    """Why a name cannot name a scenario or an estimator; None if it can."""
    if _FOLDER.fullmatch(name):
        return None
    return f"found the name {name!r}, expected letters, digits, '-' and '_' only (no path)"


def group_objection(name: str) -> str | None:
    """Why a name cannot name an estimator, a group of the result; None if it can."""
    if name in RESERVED_GROUPS:
        return f"found the name {name!r}, which results keep for a table of their own"
    return folder_objection(name)


def dim_objection(name: str) -> str | None:
    """Why a name cannot name a dimension; None if it can."""
    if name in RESERVED_DIMS:
        return f"found the dimension name {name!r}, which is reserved"
    if _IDENTIFIER.fullmatch(name):
        return None
    return f"found the dimension name {name!r}, expected letters, digits and '_', a letter first"


def variable_name(name: str) -> str:
    """A component's name as a variable: the last part, underscores for dashes."""
    return name.rsplit(".", 1)[-1].replace("-", "_")


def in_words(point: Mapping[Any, object], equals: str = "=", between: str = " ") -> str:
    """A point of a sweep.

    >>> in_words({"n": 500.0, "bias": True})
    'n=500 bias=True'
    """
    return between.join(f"{dim}{equals}{_value(value)}" for dim, value in point.items())


def _value(value: object) -> str:
    number = isinstance(value, Real) and not isinstance(value, bool)
    return f"{value:g}" if number else str(value)
