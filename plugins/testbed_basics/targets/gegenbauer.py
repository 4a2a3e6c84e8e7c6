"""Spherical harmonics of chosen degrees, each with a chosen energy."""

from __future__ import annotations

from typing import Any

import numpy as np
from attrs import frozen

from testbed import (
    Example,
    Mistake,
    ParameterError,
    Rng,
    Sample,
    Space,
    Target,
    UnsuitableError,
    narrow_misfit,
    parameter,
)
from testbed_basics.targets.directions import WHERE, frame, unit_vectors
from testbed_basics.targets.inputs import Expansion, law, width
from testbed_basics.targets.zonal import zonal_values, zonal_weights


@frozen(kw_only=True)
class Gegenbauer(Target):
    """f* = Σ_k √E_k Y_k on the unit sphere, Y_k a spherical harmonic of degree k and mean square 1,
    so that E_k = ‖P_k f*‖² exactly and ‖f*‖² = Σ E_k.

    With one direction w it is zonal, Y_k = √N(d, k) P_k(⟨w, x⟩), P_k(1) = 1. With several, Y_k is a
    combination of zonal functions with Gaussian weights, drawn for each degree.
    """

    name = "gegenbauer"
    references = ("arXiv:1904.12191",)

    degrees: tuple[int, ...] = parameter(help="degrees k")
    energies: tuple[float, ...] | None = parameter(
        None, help="energy E_k of each degree; equal shares of 1 unless given"
    )
    direction: str = parameter(
        "first", help="the first axes, or drawn for each replicate", choices=WHERE
    )
    directions: int = parameter(1, help="number of directions", ge=1)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example({"degrees": [1, 2]}),)

    def __attrs_post_init__(self) -> None:
        if not self.degrees or min(self.degrees) < 0 or len(set(self.degrees)) < len(self.degrees):
            raise ParameterError(
                f"found {list(self.degrees)}", "distinct numbers from 0 on", parameter="degrees"
            )
        energies = self.energies
        if energies is not None and (
            len(energies) != len(self.degrees) or min(energies) < 0 or not any(energies)
        ):
            raise ParameterError(
                f"found {list(energies)}",
                f"{len(self.degrees)} numbers, one a degree, none below 0 and not all 0",
                parameter="energies",
            )

    defined_on = ("sphere",)

    def misfit(self, space: Space) -> Mistake | None:
        count = self.directions if self.direction == "first" else 1
        words = f"{count} directions along the axes"
        narrow = narrow_misfit(space, count, words, "directions", 'take direction = "drawn"')
        return self.kind_misfit(space) or narrow

    def _levels(self) -> tuple[np.ndarray, np.ndarray]:
        """Degrees, increasing, and their energies."""
        order = np.argsort(self.degrees)
        energies = self.energies or (1 / len(self.degrees),) * len(self.degrees)
        return np.array(self.degrees)[order], np.array(energies)[order]

    def draw(self, rng: Rng, sample: Sample) -> dict[str, np.ndarray]:
        if law(sample) != "sphere":
            raise UnsuitableError(
                f"gegenbauer: found the design {law(sample)}, expected sphere; use single-index "
                "or polynomial on other designs"
            )
        generator, dim = rng("target"), width(sample, self.name)
        degrees, energies = self._levels()
        if self.direction == "first":
            directions = frame("first", generator, self.directions, dim)
        else:
            directions = unit_vectors(generator, self.directions, dim)
        mixing = np.ones((len(degrees), 1))
        if self.directions > 1:
            mixing = generator.standard_normal((len(degrees), self.directions))
        return {
            "directions": directions,
            "weights": zonal_weights(directions, mixing, degrees, energies),
        }

    def values(self, drawn: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
        return zonal_values(x, drawn["directions"], self._levels()[0], drawn["weights"])

    def expansion(self, drawn: Any, sample: Sample) -> Expansion:
        degrees, energies = self._levels()
        return {**drawn, "degree": degrees.astype(float), "energy": energies}
