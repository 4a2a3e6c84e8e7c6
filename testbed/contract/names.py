"""Names that a scenario may use, and points of its sweeps in words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from numbers import Real
from typing import Any

from testbed.errors import Mistake, shown

RESERVED_GROUPS = frozenset({"claims", "soundness", "published"})
RESERVED_VARIABLES = RESERVED_GROUPS | {
    "replicate", "time", "mode", "status", "seed", "error", "time_reached", "duration",
    "diverged_at",
}  # fmt: skip
"""Names that every group of a result has already: no dimension and no metric may have them."""
RESERVED_OWN_DIMS = RESERVED_VARIABLES - {"mode"}
"""Names that a component's own dims may not have."""

LONGEST_NAME = 100  # characters; a folder, a file or a netCDF variable may be named after it
NAME = r"[A-Za-z0-9][A-Za-z0-9_-]*"
NAME_WORDS = "letters, digits, '-' and '_' only (no path)"
_DIMENSION = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def dim_mistake(name: str) -> Mistake | None:
    """The mistake in the name of a dimension, without its place in the file; None if it is
    right."""
    advice = 'choose another with dim = "…"'
    text = f"found the dimension name {shown(name)}"
    if name in RESERVED_VARIABLES:
        return Mistake("", f"{text}, which is reserved", "", advice)
    if len(name) > LONGEST_NAME:
        return Mistake("", text, f"at most {LONGEST_NAME} characters", advice)
    if not _DIMENSION.fullmatch(name):
        return Mistake("", text, "letters, digits and '_', a letter first", advice)
    return None


def is_identifier(name: object) -> bool:
    """Whether a name can be that of a variable or a dimension of the result."""
    return isinstance(name, str) and bool(_DIMENSION.fullmatch(name))


def variable_name(name: str) -> str:
    """A component's name as a variable: the last part, with underscores for dashes."""
    return name.rsplit(".", 1)[-1].replace("-", "_")


def in_words(point: Mapping[Any, object], equals: str = "=", between: str = " ") -> str:
    """A point of a sweep in words.

    >>> in_words({"n": 500.0, "bias": True})
    'n=500 bias=True'
    """
    return between.join(f"{dim}{equals}{_value(value)}" for dim, value in point.items())


def _value(value: object) -> str:
    number = isinstance(value, Real) and not isinstance(value, bool)
    return f"{value:g}" if number else str(value)
