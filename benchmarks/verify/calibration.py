"""How often verdicts are wrong, by simulation: true claims refuted, and false ones found.

    python benchmarks/verify/calibration.py [--trials 2000]

Each trial draws replicates of a known law and judges a claim at 95%. A true claim lies at the edge
of what it allows, where it is refuted most often; a false one misses it by a stated margin. All
trials of a kind are judged at once.
"""

from __future__ import annotations

import argparse
import math
import sys
import textwrap
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from scipy import special

from testbed.analysis import mean_interval
from testbed.claims.kinds import MEASURES, Measured
from testbed.contract.claims import INCONCLUSIVE, REFUTED, Evidence

Generator = np.random.Generator
LAWS: dict[str, Callable[[Generator, tuple[int, ...]], np.ndarray]] = {
    "normal": lambda rng, shape: 1 + 0.3 * rng.standard_normal(shape),
    "skewed": lambda rng, shape: rng.exponential(size=shape),
}
"""Factors of mean 1: of deviation 0.3, and exponential ones of deviation 1 and skewness 2."""
DEVIATION = {"normal": 0.3, "skewed": 1.0}
HALVING = {"normal": 0.35, "skewed": 1.25}
"""The deviation that one decay adds to the logarithm of the time at which their mean has halved."""
QUANTILES: dict[str, Callable[[float], float]] = {
    "normal": lambda share: 1 + 0.3 * float(special.ndtri(share)),
    "skewed": lambda share: -math.log1p(-share),
}
REPLICATES = (8, 16, 64)
SIZES = np.array([100.0, 1000, 10_000, 100_000])
TIMES = np.geomspace(1, 1000, 31)
MARGIN = 7.0  # standard errors by which a false claim misses what it allows
POWER = 0.8  # the share of them that is to be found at least
LOOKS = (8, 16, 32, 64)  # numbers of replicates at which an adaptive run looks
CLAIMS = 5  # that are judged together where multiplicity is looked at
KINDS = (
    "slope", "order", "equal", "ratio", "agrees", "monotone", "converges", "bound", "collapse",
    "share", "sooner",
)  # fmt: skip
SLOW = ("collapse",)
"""Kinds that search for every trial on its own."""


class Trials(NamedTuple):
    """Replicates of a law, and the standard error of their mean where that mean is 1."""

    rng: Generator
    law: str
    count: int
    trials: int

    @property
    def error(self) -> float:
        """The standard error of a mean, relative to it."""
        return DEVIATION[self.law] / math.sqrt(self.count)

    def drawn(self, mean: object, size: float = 1.0, **axes: np.ndarray) -> xr.DataArray:
        """Replicates around a mean; `size` scales their deviation."""
        shape = tuple(len(axis) for axis in axes.values())
        factor = LAWS[self.law](self.rng, (self.trials, self.count, *shape))
        values = np.asarray(mean) * (1 + size * (factor - 1))
        return xr.DataArray(values, axes, ("trial", "replicate", *axes), "excess_risk")


def evidence(kind: str, trials: Trials, margin: float) -> dict[str, Any]:
    """Evidence whose truth misses what the claim allows by `margin` standard errors of what is
    estimated; at 0 the claim is true at its edge."""
    build: Callable[[Trials, float], dict[str, Any]] = globals()[f"_{kind}"]
    return build(trials, margin * trials.error)


def _slope(trials: Trials, miss: float) -> dict[str, Any]:
    spread = np.log(SIZES).std() * math.sqrt(len(SIZES))  # the slope's error is error/spread
    values = trials.drawn(SIZES**-0.5, n=SIZES)
    return {"values": values, "along": "n", "expect": -0.4 + miss / spread, "within": 0.1}


def _order(trials: Trials, miss: float) -> dict[str, Any]:
    rival = trials.drawn(1.0)
    return {"values": trials.drawn(1.0) + math.sqrt(2) * miss, "rival": rival}


def _equal(trials: Trials, miss: float) -> dict[str, Any]:
    shift = 0.05 + math.sqrt(2) * miss
    return {"values": trials.drawn(1.0), "rival": trials.drawn(1.0) + shift, "within": 0.05}


def _ratio(trials: Trials, miss: float) -> dict[str, Any]:
    values, rival = trials.drawn(2.0 * math.exp(math.sqrt(2) * miss)), trials.drawn(1.0)
    return {"values": values, "rival": rival, "expect": 2.0, "side": "below"}


def _agrees(trials: Trials, miss: float) -> dict[str, Any]:
    values = trials.drawn(SIZES**-0.5, n=SIZES)
    return {"values": values, "theory": values["n"] ** -0.5 / (1.1 + 1.1 * miss), "within": 0.1}


def _monotone(trials: Trials, miss: float) -> dict[str, Any]:
    rise = np.zeros(len(SIZES))
    rise[-1] = math.sqrt(2) * miss
    values = trials.drawn(1.0, n=SIZES) + xr.DataArray(rise, {"n": SIZES}, "n")
    return {"values": values, "along": "n", "side": "decreasing"}


def _bound(trials: Trials, miss: float) -> dict[str, Any]:
    return {"values": trials.drawn(math.exp(miss)), "expect": 1.0, "side": "below"}


def _converges(trials: Trials, miss: float) -> dict[str, Any]:
    sizes = np.array([1.0, 4, 16, 64, 256])
    values = trials.drawn(1 + sizes**-1.0, 0.05, n=sizes)
    return {"values": values, "along": "n", "expect": 1.02 + 0.1 * miss, "within": 0.02}


def _collapse(trials: Trials, miss: float) -> dict[str, Any]:
    sizes = np.array([10.0, 40, 160])
    scaled = TIMES / sizes[:, None] ** 0.5
    values = trials.drawn(1 / (1 + scaled), 0.2, n=sizes, time=TIMES)
    return {"values": values, "along": "n", "expect": 0.55 + miss, "within": 0.05}


def _share(trials: Trials, miss: float) -> dict[str, Any]:
    """Nine of ten replicates are to lie above a number; where a claim is false, fewer do, down to
    one of ten."""
    off = DEVIATION[trials.law]
    share = max(0.9 - 0.3 * miss / off, 0.1)  # 0.3 is the deviation of one such event
    number = QUANTILES[trials.law](1 - share)
    return {"values": trials.drawn(1.0), "expect": number, "within": 0.1, "side": "above"}


def _sooner(trials: Trials, miss: float) -> dict[str, Any]:
    """Exponential decays whose times are the factors; a factor of all times moves the mean's."""
    times = np.concatenate([[0.0], np.geomspace(0.01, 1e3, 70)])
    miss *= HALVING[trials.law] / DEVIATION[trials.law]
    slowness = (math.exp(math.sqrt(2) * miss), 1.0)
    sides = [np.maximum(trials.drawn(mean), 0.01) for mean in slowness]
    values, rival = (
        np.exp(-xr.DataArray(times, {"time": times}, "time") / side).rename("excess_risk")
        for side in sides
    )
    return {"values": values, "rival": rival, "expect": 0.5}


class Rate(NamedTuple):
    """How often claims of a kind were refuted, with its binomial standard error."""

    kind: str
    law: str
    replicates: int
    refuted: float  # share of true claims
    detected: float  # share of false claims
    trials: int

    @property
    def error(self) -> float:
        """The binomial standard error of a share of 5%."""
        return math.sqrt(0.05 * 0.95 / self.trials)

    @property
    def holds(self) -> bool:
        """Whether at most 5% of true claims are refuted, and false ones found with POWER."""
        return self.refuted <= 0.05 + 2 * self.error and self.detected >= POWER


def _measured(kind: str, facts: dict[str, Any], level: float) -> Measured:
    """What a kind measures of all trials."""
    return MEASURES[kind][1](Evidence(**facts, level=level, separate=("trial",)))


def refuted(kind: str, facts: dict[str, Any], level: float = 0.95) -> float:
    """The share of trials whose claim is refuted."""
    return float((_measured(kind, facts, level).verdicts() == REFUTED).mean())


def rate(kind: str, law: str, count: int, trials: int, seed: int = 0) -> Rate:
    """The error rates of a kind of claim; seeds are fixed."""
    rng = np.random.Generator(np.random.Philox([seed, KINDS.index(kind), count, len(law)]))
    drawn = Trials(rng, law, count, trials)
    with np.errstate(all="ignore"):
        shares = [refuted(kind, evidence(kind, drawn, margin)) for margin in (0.0, MARGIN)]
    return Rate(kind, law, count, *shares, trials)


def family_rate(law: str, count: int, trials: int, correct: bool = True) -> float:
    """The share of trials in which any of CLAIMS true bounds at their edge is refuted; without the
    correction for their number unless `correct`."""
    rng = np.random.Generator(np.random.Philox([7, count, len(law)]))
    level = 1 - 0.05 / CLAIMS if correct else 0.95
    any_refuted = np.zeros(trials, bool)
    for _ in range(CLAIMS):
        facts = evidence("bound", Trials(rng, law, count, trials), 0.0)
        any_refuted |= (_measured("bound", facts, level).verdicts() == REFUTED).values
    return float(any_refuted.mean())


def adaptive_rate(kind: str, law: str, trials: int) -> Rate:
    """The error rates where replicates are added until a claim is decided: at each of LOOKS, claims
    that are still open are judged at the level that accounts for the number of looks."""
    rng = np.random.Generator(np.random.Philox([11, KINDS.index(kind), len(law)]))
    drawn = Trials(rng, law, LOOKS[-1], trials)
    shares = []
    for margin in (0.0, MARGIN):
        facts = evidence(kind, drawn, margin)
        words = np.full(trials, INCONCLUSIVE, dtype=object)
        for count in LOOKS:
            waiting = np.flatnonzero(words == INCONCLUSIVE)
            if not len(waiting):
                break
            part = {name: _shown(value, count, waiting) for name, value in facts.items()}
            with np.errstate(all="ignore"):
                verdicts = _measured(kind, part, 1 - 0.05 / len(LOOKS)).verdicts()
            words[waiting] = verdicts.values
        shares.append(float((words == REFUTED).mean()))
    return Rate(kind, law, LOOKS[-1], *shares, trials)


def _shown(value: object, count: int, waiting: np.ndarray) -> object:
    """The first replicates of the trials that wait for a verdict; what is no array as it is."""
    if not isinstance(value, xr.DataArray):
        return value
    return value.isel(replicate=slice(0, count), trial=waiting, missing_dims="ignore")


def stopped_coverage(law: str, trials: int, accounted: bool = True) -> float:
    """How often the interval of a mean holds it where replicates are added until the relative
    standard error is at most that of 24 replicates; with the level that accounts for the looks, or
    without."""
    rng = np.random.Generator(np.random.Philox([13, len(law)]))
    values = Trials(rng, law, LOOKS[-1], trials).drawn(1.0)
    enough = DEVIATION[law] / math.sqrt(24)
    covered, waiting = np.zeros(trials, bool), np.ones(trials, bool)
    for count in LOOKS:
        part = values.isel(replicate=slice(0, count))
        error = part.std("replicate", ddof=1) / math.sqrt(count) / part.mean("replicate")
        stops = waiting & ((error.values <= enough) | (count == LOOKS[-1]))
        table = mean_interval(part, 1 - 0.05 / (len(LOOKS) if accounted else 1))
        covered |= stops & (table["lower"] <= 1).values & (table["upper"] >= 1).values
        waiting &= ~stops
    return float(covered.mean())


def rates(trials: int) -> Iterator[Rate]:
    """All kinds, laws and numbers of replicates."""
    for kind in KINDS:
        for law in LAWS:
            for count in REPLICATES:
                yield rate(kind, law, count, trials)


def section(trials: int = 2000) -> tuple[str, bool]:
    """The section of docs/results.md, and whether the promise is kept."""
    rows = list(rates(trials))
    heads = [*(f"R = {count}" for count in REPLICATES), "adaptive, 8 to 64"]
    lines = [f"| kind | law | {' | '.join(heads)} |"]
    lines.append("|---|---|" + "---|" * len(heads))
    for kind in KINDS:
        for law in LAWS:
            cells = [row for row in rows if (row.kind, row.law) == (kind, law)]
            cells.append(adaptive_rate(kind, law, trials))
            rows.append(cells[-1])
            lines.append("| " + " | ".join([kind, law, *map(_cell, cells)]) + " |")
    error = 100 * math.sqrt(0.05 * 0.95 / trials)
    families = ", ".join(
        f"{100 * family_rate(law, count, trials):.1f} ({law}, R = {count})"
        for law in LAWS
        for count in REPLICATES
    )
    stopped = " and ".join(f"{100 * stopped_coverage(law, trials):.1f} ({law})" for law in LAWS)
    together = (
        f"Of {CLAIMS} true claims judged together any is refuted in per cent of trials: "
        f"{families}. Intervals of means hold the truth, where replicates are added until a "
        f"standard error is reached, in per cent: {stopped}."
    )
    text = f"""## Verdicts

Of {trials} claims that are true, at the edge of what they allow: per cent refuted, which is to be
at most 5 (standard error {error:.1f}); then, of as many that miss it by {MARGIN:g} standard errors,
per cent refuted, promised to be at least {100 * POWER:.0f}. A cell in bold breaks the promise.
Adaptive runs double the replicates until a claim is decided.

{chr(10).join(lines)}

{textwrap.fill(together, 100)}
"""
    return text, all(row.holds for row in rows)


def _cell(row: Rate) -> str:
    text = f"{100 * row.refuted:.1f}; {100 * row.detected:.0f}"
    return text if row.holds else f"**{text}**"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=2000)
    page, kept = section(parser.parse_args().trials)
    print(page)
    sys.exit(0 if kept else 1)
