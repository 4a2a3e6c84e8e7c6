"""Directions in the space of inputs: the first axes, or drawn ones."""

from __future__ import annotations

import numpy as np

from testbed import UnsuitableError

WHERE = ("first", "drawn")


def unit_vectors(generator: np.random.Generator, count: int, dim: int) -> np.ndarray:
    """`count` independent uniform directions, (count, dim)."""
    drawn = generator.standard_normal((count, dim))
    return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True))


def frame(where: str, generator: np.random.Generator, count: int, dim: int) -> np.ndarray:
    """`count` orthonormal directions, (count, dim): the first axes, or uniformly drawn.

    The Q of a Gaussian matrix is uniform once the signs make R's diagonal positive.
    """
    if count > dim:
        raise UnsuitableError(
            f"found {count} orthogonal directions in dimension {dim}, expected at most {dim}; "
            "lower their number or raise dim"
        )
    if where == "first":
        return np.eye(count, dim)
    q, r = np.linalg.qr(generator.standard_normal((dim, count)))
    return np.asarray((q * np.sign(np.diag(r))).T)
