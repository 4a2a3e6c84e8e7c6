"""Do two checkouts give the same results? Every shipped scenario, at reduced size.

    python benchmarks/compare_results.py run FOLDER [--tree CHECKOUT] [--like FOLDER] [NAME …]
    python benchmarks/compare_results.py compare OLD NEW [--exceptions FILE]

`run` runs the scenarios of a checkout (this one unless given) with the code of that checkout, in
about three minutes of one core; scenarios that are in FOLDER already are run again. With `--like`
it runs the reduced scenarios of another folder instead of its own, so that a renewed scenario is no
difference. A scenario that cannot be run is reported, and the others are run.

`compare` prints each variable that is not the same to the bit, with its largest relative difference
where it is a number: |new − old| over the larger of both, or over 1/1000 of the variable's largest
value for elements that are smaller than that. Durations are not compared, nor are findings. It
exits with 1 if a difference is above 1e-12 or a variable is missing, unless FILE (by default
`changed_results.toml` beside this script) names it: `"scenario/estimator/variable" = "reason"`,
where each part may be a pattern such as `*`.

    git worktree add /tmp/before main
    python benchmarks/compare_results.py run /tmp/old --tree /tmp/before
    python benchmarks/compare_results.py run /tmp/new --like /tmp/old
    python benchmarks/compare_results.py compare /tmp/old /tmp/new
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr
from reduced import as_toml, reduced

ROOT = Path(__file__).resolve().parents[1]
TOLERANCE, FLOOR = 1e-12, 1e-3
NOT_COMPARED = {"duration"}
NO_ESTIMATORS = {"soundness", "claims", "published"}


class Difference(NamedTuple):
    """A variable that differs: where, by how much (inf: not comparable), and in words."""

    place: str
    size: float
    words: str


# --- running ------------------------------------------------------------------------------------


def write_reduced(tree: Path, like: Path | None, folder: Path) -> None:
    """Put the reduced scenarios of a checkout, or those of another folder, into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    sources = (like if like else tree / "scenarios").glob("*.toml")
    for source in sorted(sources):
        text = source.read_text(encoding="utf-8")
        if not like:
            text = as_toml(reduced(source.stem, tomllib.loads(text)))
        (folder / source.name).write_text(text, encoding="utf-8")


def run_in(tree: Path, folder: Path, names: Sequence[str]) -> int:
    """Run the scenarios of `folder` in another process, with the code of a checkout."""
    code = os.pathsep.join([str(tree), str(tree / "plugins"), str(Path(__file__).parent)])
    command = [sys.executable, __file__, "here", str(folder), *names]
    return subprocess.run(command, env={**os.environ, "PYTHONPATH": code}, check=False).returncode


def run_here(folder: Path, names: Sequence[str]) -> int:
    """Run the scenarios of `folder` with the code that this process imports."""
    import testbed

    print(f"testbed of {Path(testbed.__file__ or '').parents[1]}", flush=True)
    failures = 0
    for file in sorted(folder.glob("*.toml")):
        if names and file.stem not in names:
            continue
        begin = time.perf_counter()
        try:
            tree = testbed.run(file, folder=folder / file.stem, fresh=True)
            words = _failed_cells(tree)
        except Exception as error:  # a scenario that fails is reported, the others are run
            words = f"{type(error).__name__}: {error}"
        failures += bool(words)
        print(f"{time.perf_counter() - begin:6.1f} s  {file.stem} {words}", flush=True)
    return 1 if failures else 0


def _failed_cells(tree: xr.DataTree) -> str:
    errors = {
        str(error)
        for name, group in tree.children.items()
        if name not in NO_ESTIMATORS and "error" in group
        for error in np.unique(group["error"].values.astype(str))
        if error
    }
    return "; ".join(sorted(errors))


# --- comparing ----------------------------------------------------------------------------------


def differences(old: xr.DataTree, new: xr.DataTree, scenario: str) -> Iterator[Difference]:
    """What differs between two results of one scenario."""
    for name in sorted({*old.children, *new.children} - NO_ESTIMATORS):
        place = f"{scenario}/{name}"
        if name not in old.children or name not in new.children:
            yield Difference(place, np.inf, f"only in the {'new' if name in new else 'old'} one")
            continue
        before, after = old[name].to_dataset(), new[name].to_dataset()
        for variable in sorted({*map(str, before.variables), *map(str, after.variables)}):
            if variable in NOT_COMPARED:
                continue
            change = _change(before.variables.get(variable), after.variables.get(variable))
            if change:
                yield Difference(f"{place}/{variable}", *change)


def _change(old: xr.Variable | None, new: xr.Variable | None) -> tuple[float, str] | None:
    """Size and words of a change; None if there is none to the bit."""
    if old is None or new is None:
        return np.inf, f"only in the {'new' if old is None else 'old'} one"
    if old.sizes != new.sizes:
        return np.inf, f"sizes {dict(old.sizes)} became {dict(new.sizes)}"
    a, b = old.values, new.values
    if a.dtype.kind not in "fiub" or b.dtype.kind not in "fiub":
        return None if np.array_equal(a.astype(str), b.astype(str)) else (np.inf, "other words")
    if np.array_equal(a, b, equal_nan=a.dtype.kind == "f" and b.dtype.kind == "f"):
        return None
    return _relative(a.astype(float), b.astype(float))


def _relative(a: np.ndarray, b: np.ndarray) -> tuple[float, str]:
    same_kind = np.where(np.isfinite(a) | np.isfinite(b), np.isfinite(a) == np.isfinite(b), True)
    if not same_kind.all() or (np.isinf(a) & (a != b)).any():
        return np.inf, "other elements are finite"
    finite = np.isfinite(a)
    a, b = a[finite], b[finite]
    size = np.maximum(np.abs(a), np.abs(b))
    relative = np.abs(a - b) / np.maximum(size, max(FLOOR * size.max(), np.finfo(float).tiny))
    return float(relative.max()), f"{np.count_nonzero(a != b)} of {a.size} elements differ"


def compare(old: Path, new: Path, exceptions: Mapping[str, str]) -> int:
    """Print what differs between two folders; 1 if anything does that no exception names."""
    scenarios = sorted(path.parent.name for path in old.glob("*/results.nc"))
    refused, same = 0, 0
    for scenario in scenarios:
        results = [folder / scenario / "results.nc" for folder in (old, new)]
        if not results[1].exists():
            values = [Difference(scenario, np.inf, "no result in the new folder")]
        else:
            trees = [xr.load_datatree(path) for path in results]
            values = list(differences(*trees, scenario))
        same += not values
        for difference in values:
            reason = _reason(difference.place, exceptions)
            refused += difference.size > TOLERANCE and reason is None
            mark = (
                "      "
                if difference.size <= TOLERANCE
                else "WRONG "
                if reason is None
                else "named "
            )
            print(f"{mark}{difference.place}: {difference.size:.1e}, {difference.words}", end="")
            print(f" ({reason})" if reason else "")
    print(f"{same} of {len(scenarios)} scenarios are the same to the bit; {refused} differences")
    return 1 if refused or not scenarios else 0


def _reason(place: str, exceptions: Mapping[str, str]) -> str | None:
    """The reason of the first exception that names the place."""
    parts = place.split("/")
    for pattern, reason in exceptions.items():
        wanted = pattern.split("/")
        if len(wanted) <= len(parts) and all(map(fnmatchcase, parts, wanted)):
            return reason
    return None


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    runs = commands.add_parser("run", help="run the scenarios of a checkout at reduced size")
    runs.add_argument("folder", type=Path, help="where results go")
    runs.add_argument("names", nargs="*", help="scenarios; all unless given")
    runs.add_argument("--tree", type=Path, default=ROOT, help="the checkout whose code runs")
    runs.add_argument("--like", type=Path, help="take the reduced scenarios of this folder")
    here = commands.add_parser("here", help="run a folder's scenarios with the code on the path")
    here.add_argument("folder", type=Path)
    here.add_argument("names", nargs="*")
    pair = commands.add_parser("compare", help="compare the results in two folders")
    pair.add_argument("old", type=Path)
    pair.add_argument("new", type=Path)
    pair.add_argument(
        "--exceptions", type=Path, default=Path(__file__).with_name("changed_results.toml")
    )
    options = parser.parse_args()
    if options.command == "here":
        return run_here(options.folder, options.names)
    if options.command == "compare":
        named = tomllib.loads(options.exceptions.read_text(encoding="utf-8"))
        return compare(options.old, options.new, named)
    write_reduced(options.tree.resolve(), options.like, options.folder)
    return run_in(options.tree.resolve(), options.folder.resolve(), options.names)


if __name__ == "__main__":
    sys.exit(main())
