"""How often the intervals of testbed.analysis hold the truth, by simulation.

    python benchmarks/verify/coverage.py [--trials 4000] [--replicates 4 8 16 64]

Each trial draws replicates of a known law and asks for a 95% interval. Replicates multiply the
terms of a risk, E risk = bias/t + variance·t/n, by independent factors of mean 1; the second
estimator of a comparison shares one of its factors with the first.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import xarray as xr

from testbed.analysis import (
    mean_interval,
    oracle,
    paired_difference,
    paired_ratio,
    slope,
    slope_difference,
    slope_ratio,
)

LAWS: dict[str, Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]] = {
    "normal": lambda rng, shape: 1 + 0.3 * rng.standard_normal(shape),
    "uniform": lambda rng, shape: 2 * rng.random(shape),
    "exponential": lambda rng, shape: rng.exponential(size=shape),
    "squared normal": lambda rng, shape: rng.standard_normal(shape) ** 2,
    "log-normal": lambda rng, shape: np.exp(rng.standard_normal(shape) - 0.5),
}
"""Positive but for the tail of the normal, with mean 1; coefficients of variation 0.3 … 1.4."""

REPLICATES = (4, 8, 16, 64)
PROMISED = ("normal", "exponential")  # the laws that must cover 93–97% with eight replicates
N = np.array([100.0, 1000, 10_000, 100_000])
TIME = np.geomspace(2, 1000, 25)
CHUNK = 250  # trials at a time


class Draws(NamedTuple):
    """Risks of two estimators, (trial, replicate, n, time), and their expectations, (n, time)."""

    first: xr.DataArray
    second: xr.DataArray
    expected: tuple[np.ndarray, np.ndarray]


def draws(law: str, replicates: int, trials: int, rng: np.random.Generator) -> Draws:
    """Trials of two estimators: the second's variance falls more slowly with n."""
    shape = (trials, replicates, len(N), 1)
    bias, variance, second = (LAWS[law](rng, shape) for _ in range(3))
    size = N[:, None]
    expected = 1 / TIME + TIME / size, 1 / TIME + TIME / size**0.6
    first = bias / TIME + variance * TIME / size
    rival = bias / TIME + second * TIME / size**0.6
    return Draws(labelled(first), labelled(rival), expected)


def labelled(values: np.ndarray) -> xr.DataArray:
    """An excess risk over trials."""
    coordinates = {"n": N, "time": TIME}
    return xr.DataArray(values, coordinates, ("trial", "replicate", "n", "time"), "excess_risk")


def exponent(risk: np.ndarray) -> float:
    """Slope of the logarithm of the least risk."""
    return float(np.polyfit(np.log(N), np.log(risk.min(1)), 1)[0])


def risk_at(values: xr.DataArray) -> xr.DataArray:
    return values.isel(n=0, time=10, drop=True)


def best(values: xr.DataArray) -> xr.DataArray:
    return values.isel(n=[0, 1, 2, 3]).isel(n=0, drop=True)


class Quantity(NamedTuple):
    """What an interval is asked of, and its true value."""

    interval: Callable[[Draws], xr.Dataset]
    truth: Callable[[tuple[np.ndarray, np.ndarray]], float]


QUANTITIES = {
    "mean risk": Quantity(lambda d: mean_interval(risk_at(d.first)), lambda e: e[0][0, 10]),
    "mean, any sign": Quantity(
        lambda d: mean_interval(risk_at(d.first), positive=False), lambda e: e[0][0, 10]
    ),
    "risk at the best time": Quantity(lambda d: oracle(best(d.first)), lambda e: e[0][0].min()),
    "paired difference": Quantity(
        lambda d: paired_difference(risk_at(d.first), risk_at(d.second)),
        lambda e: e[0][0, 10] - e[1][0, 10],
    ),
    "the same at best times": Quantity(
        lambda d: paired_difference(best(d.first), best(d.second), best=True),
        lambda e: e[0][0].min() - e[1][0].min(),
    ),
    "paired ratio": Quantity(
        lambda d: paired_ratio(risk_at(d.first), risk_at(d.second)),
        lambda e: e[0][0, 10] / e[1][0, 10],
    ),
    "the same ratio at best times": Quantity(
        lambda d: paired_ratio(best(d.first), best(d.second), best=True),
        lambda e: e[0][0].min() / e[1][0].min(),
    ),
    "slope at a fixed time": Quantity(
        lambda d: slope(d.first.isel(time=-1, drop=True), "n"),
        lambda e: exponent(e[0][:, -1:]),
    ),
    "slope at best times": Quantity(lambda d: slope(d.first, "n"), lambda e: exponent(e[0])),
    "difference of slopes": Quantity(
        lambda d: slope_difference(d.first, d.second, "n"),
        lambda e: exponent(e[0]) - exponent(e[1]),
    ),
    "ratio of slopes": Quantity(
        lambda d: slope_ratio(d.first, d.second, "n"), lambda e: exponent(e[0]) / exponent(e[1])
    ),
}


class Coverage(NamedTuple):
    """Of one quantity under one law."""

    quantity: str
    law: str
    replicates: int
    covered: float  # share of trials whose interval holds the truth; no interval at all holds it
    above: float  # share whose interval lies above the truth
    flagged: float  # share that is said to be unreliable, or has no interval
    trials: int

    @property
    def holds(self) -> bool:
        """Whether it keeps the promise: 93–97% with eight replicates."""
        kept = 0.93 <= self.covered <= 0.97
        return kept or self.replicates != 8 or self.law not in PROMISED


def coverages(trials: int, replicates: tuple[int, ...] = REPLICATES) -> Iterator[Coverage]:
    """All quantities under all laws; seeds are fixed."""
    for count in replicates:
        for number, law in enumerate(LAWS):
            rng = np.random.Generator(np.random.Philox(1000 * count + number))
            hits = {name: np.zeros(3) for name in QUANTITIES}
            for _ in range(trials // CHUNK):
                drawn = draws(law, count, CHUNK, rng)
                for name, quantity in QUANTITIES.items():
                    hits[name] += _counted(quantity, drawn)
            for name, counts in hits.items():
                total = trials // CHUNK * CHUNK
                yield Coverage(name, law, count, *(counts / total).tolist(), total)


def _counted(quantity: Quantity, drawn: Draws) -> np.ndarray:
    """Trials covered, with an interval above the truth, and flagged."""
    with np.errstate(all="ignore"):
        table = quantity.interval(drawn)
    truth = quantity.truth(drawn.expected)
    lower, upper = table["lower"].values, table["upper"].values
    covered = ~((lower > truth) | (upper < truth))
    flagged = table["reason"].values != ""
    return np.array([covered.sum(), (lower > truth).sum(), flagged.sum()], float)


def markdown(rows: list[Coverage]) -> str:
    """One table: quantities down, laws and replicates across."""
    counts = sorted({row.replicates for row in rows})
    head = ["quantity", "law", *(f"R = {count}" for count in counts)]
    lines = ["| " + " | ".join(head) + " |", "|---|---|" + "---|" * len(counts)]
    for quantity in QUANTITIES:
        for law in LAWS:
            cells = [row for row in rows if (row.quantity, row.law) == (quantity, law)]
            texts = [_cell(row) for row in sorted(cells, key=lambda row: row.replicates)]
            lines.append("| " + " | ".join([quantity, law, *texts]) + " |")
    return "\n".join(lines)


def _cell(row: Coverage) -> str:
    text = f"{100 * row.covered:.1f}"
    if row.flagged >= 0.005:
        text += f" ({100 * row.flagged:.0f})"
    return text if row.holds else f"**{text}**"


def section(trials: int = 4000, replicates: tuple[int, ...] = REPLICATES) -> tuple[str, bool]:
    """The section of docs/results.md, and whether the promise is kept."""
    rows = list(coverages(trials, replicates))
    error = 100 * np.sqrt(0.95 * 0.05 / trials)
    text = f"""## Intervals

How often intervals that say 95% hold the truth, in per cent of {trials} trials (standard error
{error:.2f}). Promised are 93–97 for normal and exponential factors with eight replicates; a number
in bold breaks the promise. In parentheses: the share of intervals, if any, that say of themselves
that they are missing or not to be relied on.

{markdown(rows)}
"""
    return text, all(row.holds for row in rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=4000)
    parser.add_argument("--replicates", type=int, nargs="*", default=REPLICATES)
    options = parser.parse_args()
    page, kept = section(options.trials, tuple(options.replicates))
    print(page)
    sys.exit(0 if kept else 1)
