"""Linear truths."""

from __future__ import annotations

from typing import Any

import numpy as np
from attrs import frozen

from testbed import POINTS, Mistake, Sample, Space, Target, narrow_misfit, parameter
from testbed_basics.targets.inputs import (
    Expansion,
    columns,
    deviation,
    expansion_of,
    law,
    variances,
    width,
)

SHELLS = 4096  # frequencies listed on the torus


@frozen(kw_only=True)
class Linear(Target):
    """f*(x) = Σ_j β_j x_j, β_j = C·j^{−decay}.

    Its energy is Σ β_j² times the variance of a coordinate, all in degree 1 on sphere, hypercube
    and for Gaussian points. Where coordinates have variances of their own it lies in one degree for
    each: the index j. On the torus x_j = Σ_m (−1)^{m+1} 2/(πm) sin(πm x_j).
    """

    name = "linear"

    decay: float = parameter(1.0, help="β_j = C·j^{−decay}", ge=0)
    scale: float = parameter(1.0, help="size C of the first coefficient")
    features: int | None = parameter(
        None, help="number of non-zero coefficients; all unless given", ge=1
    )

    defined_on = POINTS

    def misfit(self, space: Space) -> Mistake | None:
        count = self.features or 1
        narrow = narrow_misfit(space, count, f"{count} coefficients", "features")
        return self.kind_misfit(space) or narrow

    def _coefficients(self, dim: int) -> np.ndarray:
        """β, (dim,)."""
        j = np.arange(1.0, dim + 1)
        kept = j <= (dim if self.features is None else self.features)
        return self.scale * np.where(kept, j**-self.decay, 0.0)

    def values(self, drawn: Any, x: np.ndarray) -> np.ndarray:
        rows = columns(x, self.name, self.features or 1)
        return rows @ self._coefficients(rows.shape[1])

    def expansion(self, drawn: Any, sample: Sample) -> Expansion:
        beta = self._coefficients(width(sample, self.name))
        if law(sample) == "anisotropic gaussian":
            index, energy_of = np.arange(1.0, len(beta) + 1), beta**2 * np.array(variances(sample))
            return {"coefficients": beta, "degree": index, "energy": energy_of}
        energy = float(beta @ beta) * deviation(sample, self.name) ** 2
        expansion: Expansion = {"coefficients": beta}
        if law(sample) in ("sphere", "gaussian", "hypercube"):
            expansion |= expansion_of({1.0: energy})
        if law(sample) == "torus":
            m = np.arange(1.0, SHELLS + 1)
            share = 6 / (np.pi * m) ** 2  # of the energy, Σ β²/3
            expansion["degree"] = np.append(m**2, np.inf)
            expansion["energy"] = energy * np.append(share, 1 - share.sum())
        return expansion
