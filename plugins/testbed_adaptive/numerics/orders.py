"""The order in which bases list their functions: frequencies of the torus, Hermite exponents."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from functools import lru_cache

import numpy as np


@lru_cache(maxsize=64)
def frequencies(dim: int, count: int) -> np.ndarray:
    """The first integer vectors m by |m|², one of each pair ±m, and 0 before all, (count, dim).

    Of a pair the one whose first non-zero number is positive stands; equal |m|² are ordered with
    the largest numbers first, so that (1, 0) comes before (0, 1).

    >>> frequencies(2, 4).tolist()
    [[0, 0], [1, 0], [0, 1], [1, 1]]
    """
    listed: list[tuple[int, ...]] = [(0,) * dim]
    square = 0
    while len(listed) < count:
        square += 1
        shell = [m for m in _of_square(dim, square) if next(filter(None, m)) > 0]
        listed += sorted(shell, reverse=True)
    return np.array(listed[:count])


def _of_square(dim: int, square: int) -> Iterator[tuple[int, ...]]:
    """All integer vectors with |m|² = square."""
    if square == 0:
        yield (0,) * dim
        return
    largest = math.isqrt(square)
    if dim == 1:
        if largest**2 == square:
            yield from ((-largest,), (largest,))
        return
    for first in range(-largest, largest + 1):
        for tail in _of_square(dim - 1, square - first**2):
            yield (first, *tail)


@lru_cache(maxsize=64)
def exponents(dim: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The first `count` multi-indices m ∈ N^d in the order of |m|, by their non-zero entries: the
    coordinates and the degrees of these, each (count, slots), padded with degree 0.

    >>> place, degree = exponents(2, 5)
    >>> degree.tolist()  # 1, x, y, x², xy
    [[0, 0], [1, 0], [1, 0], [2, 0], [1, 1]]
    """
    listed: list[dict[int, int]] = []
    for total in itertools.count():
        for choice in itertools.combinations_with_replacement(range(dim), total):
            listed.append({k: choice.count(k) for k in choice})
            if len(listed) == count:
                return _slots(listed)
    raise AssertionError("there are multi-indices of every degree")


def _slots(listed: list[dict[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    slots = max(1, max(map(len, listed)))
    place, degree = np.zeros((2, len(listed), slots), dtype=np.int64)
    for row, powers in enumerate(listed):
        place[row, : len(powers)] = list(powers)
        degree[row, : len(powers)] = list(powers.values())
    return place, degree
