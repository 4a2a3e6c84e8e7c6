"""A cache of pure functions: each combination of components is asked once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

Answer = TypeVar("Answer")


class Once:
    """Calls a function once for the same objects, and returns that answer from then on.

    Objects other than texts are compared by identity, and kept alive so that no identity is used
    twice.
    """

    def __init__(self) -> None:
        self._answers: dict[tuple[Any, ...], tuple[Any, Any]] = {}

    def __call__(self, function: Callable[..., Answer], *objects: object) -> Answer:
        key = (function, *[part if type(part) is str else id(part) for part in objects])
        pair = self._answers.get(key)
        if pair is None:
            pair = self._answers[key] = objects, function(*objects)
        answer: Answer = pair[1]
        return answer

    def same(self, objects: Sequence[Answer]) -> tuple[Answer, ...]:
        """The same tuple for the same objects in the same order."""
        return self(_together, *objects)


def _together(*objects: Answer) -> tuple[Answer, ...]:
    return objects
