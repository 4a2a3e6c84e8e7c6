"""The kernel's true spectrum, to compare with the one that a sample shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
from attrs import frozen

from testbed import Cell, Example, Grid, PopulationSpectrum, Problem, Theory, Variable, parameter
from testbed_ntk.theories.subject import spectrum_of


@frozen(kw_only=True)
class PopulationEigenvalues(Theory):
    """Eigenvalues of the kernel's integral operator under the design's law, largest first and each
    as often as its multiplicity: what the eigenvalues of K/n tend to as n grows.

    NaN beyond the modes that are known to three digits.
    """

    name = "ntk.population-spectrum"
    references = ("arXiv:1905.12173",)
    variables: ClassVar[Mapping[str, Variable]] = {
        "population_eigenvalue": Variable(
            "population eigenvalue",
            ("mode",),
            time=False,
            predicts="eigenvalue",
            states="limit",
        )
    }

    modes: Grid = parameter(
        help="modes predicted, as the metric eigenvalues has them", sweepable=False
    )

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(
                {"modes": [1, 2, 5]},
                {
                    "design": {"use": "sphere"},
                    "target": {"use": "source"},
                    "model": {"use": "ntk.relu"},
                    "metric": {"use": "eigenvalues"},
                },
            ),
        )

    def coordinates(self, sizes: Mapping[str, int]) -> dict[str, np.ndarray]:
        return {"mode": self._numbers()}

    def predict(
        self, cell: Cell, times: Sequence[float], problem: Problem | None = None
    ) -> dict[str, np.ndarray]:
        spectrum = spectrum_of(cell.model, cell)
        return {"population_eigenvalue": ranked(spectrum, self._numbers())}

    def _numbers(self) -> np.ndarray:
        return np.unique(np.round(self.modes.values).astype(int))


def ranked(spectrum: PopulationSpectrum, ranks: np.ndarray) -> np.ndarray:
    """The eigenvalues of these ranks, counted from 1 with multiplicities; NaN beyond the last."""
    falling = np.argsort(-spectrum.eigenvalue, kind="stable")
    last = np.cumsum(spectrum.multiplicity[falling])  # rank of each level's last mode
    level = np.searchsorted(last, ranks)
    padded = np.append(spectrum.eigenvalue[falling], np.nan)
    return padded[level]
