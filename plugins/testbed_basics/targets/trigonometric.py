"""Trigonometric truths on the torus."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from attrs import frozen

from testbed import (
    POINTS,
    Example,
    HasWaves,
    Mistake,
    ParameterError,
    Sample,
    Space,
    Target,
    Waves,
    narrow_misfit,
    parameter,
)
from testbed_basics.targets.inputs import Expansion, columns, expansion_of, law
from testbed_basics.targets.lattice import mean_square, series, summed

BUDGET = 20_000  # Fourier coefficients of one term that are listed


@frozen(kw_only=True)
class Trigonometric(Target, HasWaves):
    """f*(x) = Σ_i s_i sin(π⟨a_i, x⟩) + c_i cos(π⟨a_i, x⟩), by default sin(7.5πx₁).

    On the torus [−1, 1)^d the energy by |m|² is exact, and the expansion holds a_i, s_i and c_i. A
    frequency that is no whole number is not periodic there and spreads over all m: sin(7.5πx₁) has
    .189 and .216 at m = 7 and 8, and a tail of about 2/(π²M) beyond M.
    """

    name = "trigonometric"
    references = ("arXiv:2409.00894",)

    frequencies: tuple[tuple[float, ...], ...] = parameter(
        ((7.5,),), help="frequencies a_i; a list may stop early, other coordinates are 0"
    )
    sine: tuple[float, ...] | None = parameter(
        None, help="coefficients s_i; 1 each unless sine or cosine is given"
    )
    cosine: tuple[float, ...] | None = parameter(None, help="coefficients c_i; 0 unless given")

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example({"frequencies": [[1.0, 0.0]]}, {"design": {"use": "torus"}}),)

    def __attrs_post_init__(self) -> None:
        count = len(self.frequencies)
        if not count or not all(self.frequencies):
            raise ParameterError("found an empty list", "numbers", parameter="frequencies")
        for word in ("sine", "cosine"):
            coefficients = getattr(self, word)
            if coefficients is not None and len(coefficients) != count:
                raise ParameterError(
                    f"found {len(coefficients)} numbers",
                    f"{count}, one a frequency",
                    parameter=word,
                )

    defined_on = POINTS

    def misfit(self, space: Space) -> Mistake | None:
        longest = max(map(len, self.frequencies))
        words = f"a frequency along {longest} coordinates"
        return self.kind_misfit(space) or narrow_misfit(space, longest, words, "frequencies")

    def waves(self) -> Waves:
        count, longest = len(self.frequencies), max(map(len, self.frequencies))
        table = np.zeros((count, longest))
        for row, frequency in zip(table, self.frequencies, strict=True):
            row[: len(frequency)] = frequency
        plain = 1.0 if self.cosine is None else 0.0
        sine = np.full(count, plain) if self.sine is None else np.array(self.sine)
        cosine = np.zeros(count) if self.cosine is None else np.array(self.cosine)
        return Waves(table, sine, cosine)

    def values(self, drawn: Any, x: np.ndarray) -> np.ndarray:
        table, sine, cosine = self.waves()
        rows = columns(x, self.name, table.shape[1])
        phase = np.pi * rows[:, : table.shape[1]] @ table.T  # (n, terms)
        return np.sin(phase) @ sine + np.cos(phase) @ cosine

    def expansion(self, drawn: Any, sample: Sample) -> Expansion:
        if law(sample) != "torus":
            return {}
        table, sine, cosine = self.waves()
        waves = np.zeros((len(table), sample.x.shape[1]))
        waves[:, : table.shape[1]] = table
        energies = expansion_of(_energies(self))
        return {"frequencies": waves, "sine": sine, "cosine": cosine, **energies}


@lru_cache(maxsize=64)
def _energies(target: Trigonometric) -> dict[float, float]:
    """Energy by |m|², computed once for all dimensions and sample sizes."""
    table, sine, cosine = target.waves()
    spreading = int((table != np.round(table)).sum(1).max())
    reach = int(BUDGET ** (1 / spreading) / 2) if spreading else 0
    m, coefficient = series(table, sine, cosine, reach)
    size = np.hypot(coefficient.real, coefficient.imag)
    shell, energy = summed((m**2).sum(1)[:, None], size**2)
    energies = dict(zip(shell[:, 0].tolist(), energy.tolist(), strict=True))
    if spreading:
        total = mean_square(table, sine, cosine)
        energies[np.inf] = max(total - sum(energies.values()), 0.0)
    return energies
