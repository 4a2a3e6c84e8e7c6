"""Preparations that several cells share, such as one eigendecomposition for all noise levels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class PreparationCache:
    """The preparations of the current group of cells; a new group replaces them."""

    def __init__(self) -> None:
        self._group = ""
        self._made: dict[str, object] = {}

    def clear(self) -> None:
        """Drop all preparations, since a component may have written into them."""
        self._group, self._made = "", {}

    def get(self, group: str, name: str, make: Callable[[], Any]) -> Any:
        """The value stored under `name` for this group; `make` computes it the first time."""
        if group != self._group:
            self._group, self._made = group, {}
        if name not in self._made:
            self._made[name] = make()
        return self._made[name]
