"""Check whether a result file is reliable: checksum, completeness, provenance."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen

from testbed.contract.cells import STATUS
from testbed.errors import ScenarioError, TestbedError
from testbed.results import checksum, provenance
from testbed.results.files import load_tree, reading_problem, result_file
from testbed.results.groups import estimators
from testbed.results.status import plan_of_text

if TYPE_CHECKING:
    import xarray as xr


@frozen
class Verdict:
    """The outcome of one check: whether it is right, and what was found, in words."""

    right: bool
    text: str


def verify(path: str | Path) -> Iterator[Verdict]:
    """Check a result file, or the one in a run folder. An unreadable file ends the checks."""
    file = result_file(path)
    intact = checksum.verified(file) if file.stat().st_size else None
    if intact is not None:
        text = "the file is as it was written" if intact else "the file does not agree with it"
        yield Verdict(intact, f"checksum: {text}")
    else:
        yield Verdict(False, "checksum: found none, so damage may go unseen; run it again")
    if intact is False:
        return
    problem = "" if intact else reading_problem(file)
    if problem:
        yield Verdict(False, f"reading: {problem}")
        return
    tree = load_tree(file)
    yield from _complete(tree)
    yield from _origin(tree)


def _complete(tree: xr.DataTree) -> Iterator[Verdict]:
    """Whether every replicate of every estimator was computed, and every time is there."""
    for name, group in estimators(tree).items():
        status = group["status"]
        for word in ("not_run", "failed"):
            count = int((status == STATUS[word]).sum())
            if count:
                yield Verdict(False, f"{name}: {count} of {status.size} replicates are {word}")
        bad = int(group["time"].isnull().sum()) if "time" in group.coords else 0
        if bad:
            yield Verdict(False, f"{name}: {bad} of {group['time'].size} times are NaN")
        stale = int(group["stale"].sum()) if "stale" in group else 0
        if stale:
            yield Verdict(False, f"{name}: {stale} replicates come from code that changed since")
        if (status == STATUS["ok"]).all() and not bad and not stale:
            count, points = status.sizes["replicate"], status.size // status.sizes["replicate"]
            where = f" at each of {points} points" if points > 1 else ""
            yield Verdict(True, f"{name}: {count} replicates{where}, all ok")


def _origin(tree: xr.DataTree) -> Iterator[Verdict]:
    """Whether the scenario in the file is the one it was made from and can still be planned, and
    whether this installation would give the same numbers."""
    text = str(tree.attrs.get("scenario", ""))
    same = provenance.digest(text) == tree.attrs.get("scenario_sha256")
    verb = "agrees" if same else "does not agree"
    yield Verdict(same, f"scenario: its text {verb} with its digest")
    try:
        plan = plan_of_text(text, str(tree.attrs.get("title", "scenario")))
    except ScenarioError as error:
        reason = f"{len(error.mistakes)} mistakes, the first: {error.mistakes[0]}"
        yield Verdict(False, f"scenario: cannot be planned here: {reason}")
        return
    except TestbedError as error:
        yield Verdict(False, f"scenario: cannot be planned here: {error}")
        return
    missing = sorted({estimator.name for estimator in plan.estimators} - set(estimators(tree)))
    if missing:
        yield Verdict(False, f"groups: found none of {', '.join(missing)}")
    differences = provenance.differences(tree.attrs, provenance.made_here(plan.cells))
    for line in differences:
        yield Verdict(False, f"origin: {line}")
    if not differences:
        yield Verdict(True, "origin: code, data and libraries are those installed here")
