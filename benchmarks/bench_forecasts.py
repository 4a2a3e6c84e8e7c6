"""Forecasts beside what runs took, for every shipped scenario.

    python benchmarks/bench_forecasts.py [--scenario NAME …] [--results FOLDER]

Each scenario runs at reduced size with two replicates, which is all that this machine then knows of
its cells. It then runs with samples half as large again and three replicates: the forecast of that
run stands beside its time and its memory. `--results` adds the results.nc of finished runs below a
folder, which hold what was expected of them before they ran.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import tomllib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(Path(__file__).parent)]

import reduced  # noqa: E402
from bench_overhead import quietly  # noqa: E402
from side_by_side import conditions  # noqa: E402

from testbed.contract.cells import STATUS  # noqa: E402
from testbed.planning.cache import FOLDER  # noqa: E402
from testbed.results.files import read_tree  # noqa: E402
from testbed.results.groups import estimators  # noqa: E402
from testbed.scenario.scenario import Scenario  # noqa: E402

GROWTH = 1.5  # of the samples from the first run to the second
REPLICATES = 3
SHORT = 1.0  # seconds: in a shorter run the first calls of libraries, half a second, decide


class Forecast(NamedTuple):
    """What the cells of a run were expected to take, and what they took."""

    scenario: str
    expected: float  # seconds
    measured: float
    expected_memory: float  # bytes of the largest process
    measured_memory: float


def forecast_of(name: str, tree: xr.DataTree) -> Forecast | None:
    """The sums over estimators; None where something was unknown, or nothing was simulated."""
    seconds, memory = np.zeros(2), np.zeros(2)
    for group in estimators(tree).values():
        if not (group["status"] != STATUS["theory_only"]).any():
            continue
        noted = group["duration"].attrs
        if "expected_seconds" not in noted:
            return None
        seconds += noted["expected_seconds"], noted["measured_seconds"]
        memory = np.maximum(memory, (noted["expected_memory"], noted["measured_memory"]))
    return Forecast(name, *map(float, (*seconds, *memory))) if seconds.any() else None


def larger(name: str, document: Mapping[str, Any]) -> dict[str, Any]:
    """The scenario at reduced size, with larger samples."""
    before = dict(reduced.LARGEST)
    try:
        reduced.LARGEST.update({key: int(GROWTH * size) for key, size in before.items()})
        return {**reduced.reduced(name, document), "replicates": REPLICATES}
    finally:
        reduced.LARGEST.update(before)


def tried(file: Path, folder: Path) -> Forecast | None:
    """The forecast of a scenario's larger run, after its smaller forecast."""
    document = tomllib.loads(file.read_text(encoding="utf-8"))
    documents = {
        "small": reduced.reduced(file.stem, document),
        "large": larger(file.stem, document),
    }
    for word, made in documents.items():  # in new processes, which hold nothing of the run before
        place = folder / file.stem / word
        place.mkdir(parents=True)
        Scenario.from_dict(made).save(place / "scenario.toml")
        command = [sys.executable, "-m", "testbed", "run", str(place / "scenario.toml")]
        environment = {FOLDER: str(folder / "cache" / file.stem)}
        quietly([*command, "-o", str(place / "run"), "--no-figures"], **environment)
    return forecast_of(file.stem, read_tree(folder / file.stem / "large" / "run" / "results.nc"))


def finished(folder: Path) -> Iterator[Forecast]:
    """The forecasts of the results below a folder."""
    for file in sorted(folder.glob("*/results.nc")):
        forecast = forecast_of(file.parent.name, read_tree(file))
        if forecast is not None:
            yield forecast


def table(forecasts: Sequence[Forecast]) -> str:
    """Markdown: a row for each scenario, and what the ratios are like."""
    lines = [
        "| scenario | expected s | measured s | measured / expected "
        "| expected MiB | measured MiB |",
        "|---|---|---|---|---|---|",
    ]
    for row in forecasts:
        ratio = row.measured / row.expected
        lines.append(
            f"| {row.scenario} | {row.expected:.2g} | {row.measured:.2g} | {ratio:.2f} "
            f"| {row.expected_memory / 2**20:.0f} | {row.measured_memory / 2**20:.0f} |"
        )
    return "\n".join(lines) + "\n\n" + summary(forecasts)


def summary(forecasts: Sequence[Forecast]) -> str:
    """The errors of the forecasts as factors: exp |log(measured / expected)|."""
    long = [row for row in forecasts if row.measured >= SHORT]
    if not long:
        return "No run took long enough."
    factors = np.exp(np.abs(np.log([row.measured / row.expected for row in long])))
    memory = np.exp(np.abs(np.log([row.measured_memory / row.expected_memory for row in long])))
    return (
        f"Of {len(long)} runs of at least {SHORT:g} s: half are within a factor of "
        f"{np.median(factors):.2f}, nine in ten within {np.quantile(factors, 0.9):.2f}, the worst "
        f"is off by {factors.max():.2f}. Memory: half within {np.median(memory):.2f}, the worst "
        f"off by {memory.max():.2f}."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scenario", nargs="*", help="names; by default all that are shipped")
    parser.add_argument("--results", type=Path, help="a folder of finished runs")
    options = parser.parse_args()
    files = sorted((ROOT / "scenarios").glob("*.toml"))
    warnings.simplefilter("ignore")
    forecasts = []
    with tempfile.TemporaryDirectory() as name:
        for file in files:
            if not options.scenario or file.stem in options.scenario:
                forecast = tried(file, Path(name))
                print(file.stem, forecast or "unknown", file=sys.stderr, flush=True)
                forecasts += [forecast] if forecast else []
    print(table(forecasts))
    if options.results:
        print("\nAt full size:\n")
        print(table(list(finished(options.results))))
    print("\n" + conditions("torch", "numpy"))


if __name__ == "__main__":
    main()
