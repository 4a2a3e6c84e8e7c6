"""The inputs of targets, and the law of these inputs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from testbed import Sample, Space, UnsuitableError

Expansion = dict[str, np.ndarray]
"""`degree` and `energy`, (levels,) each: ‖P_k f*‖², the energy in the eigenspaces that the design's
law gives to all its invariant kernels. A degree is k on sphere, hypercube (parities of k
coordinates) and for Gaussian inputs (Hermite), |m|² on the torus, and for a linear truth on
anisotropic Gaussian inputs the index of a coordinate; the degree inf stands for all that lies
beyond those listed. Empty where no such decomposition is known.

Targets also return their construction, from which every coefficient follows: on the torus
`frequencies` (terms, d), `sine` and `cosine`, on the sphere `directions` (q, d) and `weights`
(levels, q) of zonal functions."""


def columns(x: np.ndarray, name: str, least: int = 1) -> np.ndarray:
    """Points as rows of numbers, (n, d), images flattened; UnsuitableError if d < `least`."""
    if x.ndim < 2:
        raise UnsuitableError(
            f"{name}: found indices of a sequence as inputs, expected points; use a target of "
            "sequences, or a design of points"
        )
    rows = x.reshape(len(x), math.prod(x.shape[1:]))
    if rows.shape[1] < least:
        raise UnsuitableError(
            f"{name}: found inputs of {rows.shape[1]} numbers, expected at least {least}; raise "
            "the design's dim"
        )
    return rows


def width(sample: Sample, name: str) -> int:
    """The number d of coordinates of a sample's inputs."""
    return columns(sample.x, name).shape[1]


def space(sample: Sample) -> Space | None:
    """The space of the design that drew a sample; None if it is not known."""
    return None if sample.design is None else sample.design.space()


def law(sample: Sample) -> str:
    """The law of the points, where its orthogonal functions are known; "" elsewhere."""
    drawn_on = space(sample)
    return "" if drawn_on is None else drawn_on.population or ""


def scale(sample: Sample) -> float:
    """The standard deviation of a coordinate of Gaussian points, as their design states it."""
    drawn_on = space(sample)
    return 1.0 if drawn_on is None else drawn_on.scale


def variances(sample: Sample) -> tuple[float, ...]:
    """The variance of each coordinate of anisotropic Gaussian points, as their design states it."""
    drawn_on = space(sample)
    return () if drawn_on is None else drawn_on.variances or ()


def deviation(sample: Sample, name: str) -> float:
    """Standard deviation of one coordinate under the design: 1/√d on the sphere, 1/√3 on the torus,
    the scale of Gaussian points, else 1."""
    if law(sample) == "sphere":
        return float(width(sample, name) ** -0.5)
    if law(sample) == "torus":
        return float(3**-0.5)
    return scale(sample) if law(sample) == "gaussian" else 1.0


def expansion_of(energy: dict[float, float]) -> Expansion:
    """Energies by degree as arrays, by increasing degree; nothing if none are known."""
    if not energy:
        return {}
    degrees = sorted(energy)
    values: Any = [energy[degree] for degree in degrees]
    return {"degree": np.array(degrees, dtype=float), "energy": np.array(values, dtype=float)}
