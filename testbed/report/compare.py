"""Two results side by side: what differs in scenario, numbers, versions and verdicts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import xarray as xr

from testbed.analysis import oracle, paired_difference, simulated
from testbed.contract.names import in_words
from testbed.report.page import versions
from testbed.report.settings import document_of, flat
from testbed.report.tables import points, verdicts
from testbed.results.groups import estimators

TABLES = ("status", "error", "duration", "seed", "diverged_at")


def comparison(first: xr.DataTree, second: xr.DataTree) -> str:
    """The changes from the first result to the second, in words."""
    parts = {
        "scenario": list(_scenario(first, second)),
        "versions": list(_changes(_versions(first), _versions(second))),
        "verdicts": list(_changes(_verdicts(first), _verdicts(second))),
        "numbers": list(_numbers(first, second)),
    }
    lines = []
    for name, changes in parts.items():
        lines += [name, *(f"  {line}" for line in changes or ["no difference"]), ""]
    return "\n".join(lines).rstrip()


def _scenario(first: xr.DataTree, second: xr.DataTree) -> Iterator[str]:
    documents = [flat(document_of(str(tree.attrs.get("scenario", "")))) for tree in (first, second)]
    texts = [{path: repr(value) for path, value in document.items()} for document in documents]
    return _changes(*texts)


def _versions(tree: xr.DataTree) -> dict[str, str]:
    return dict(versions(tree.attrs.get("source", "")))


def _verdicts(tree: xr.DataTree) -> dict[str, str]:
    return {row.title: row.verdict for row in verdicts(tree)}


def _changes(first: Mapping[str, str], second: Mapping[str, str]) -> Iterator[str]:
    """Each key whose word differs, with both words."""
    for key in dict.fromkeys((*first, *second)):
        before, after = first.get(key, "nothing"), second.get(key, "nothing")
        if before != after:
            yield f"{key}: {before} → {after}"


# --- numbers ---------------------------------------------------------------------------------


def _numbers(first: xr.DataTree, second: xr.DataTree) -> Iterator[str]:
    """Each measured variable of each common estimator: the point where it differs most."""
    paired = first.attrs.get("seed") == second.attrs.get("seed")
    groups = [estimators(tree) for tree in (first, second)]
    for name in dict.fromkeys((*groups[0], *groups[1])):
        pair = [group[name].to_dataset() for group in groups if name in group]
        if len(pair) < 2:
            which = "first" if name in groups[0] else "second"
            yield f"{name}: only in the {which}"
            continue
        for variable in _measured(pair[0]):
            if variable in pair[1]:
                yield from _variable(name, variable, pair[0], pair[1], paired)


def _measured(dataset: xr.Dataset) -> list[str]:
    names = [str(name) for name in dataset.data_vars]
    return [
        name for name in names
        if "__" not in name and name not in TABLES and "replicate" in dataset[name].dims
        and set(dataset[name].dims) <= {*dataset["status"].dims, "time"}
    ]  # fmt: skip


def _variable(
    group: str, name: str, first: xr.Dataset, second: xr.Dataset, paired: bool
) -> Iterator[str]:
    parts = [_at_best(dataset, name) for dataset in (first, second)]
    before, after = xr.align(*parts, join="inner")
    if before.dims != after.dims or not before.size:
        yield f"{group}/{name}: no points in common"
        return
    if parts[0].sizes["replicate"] != parts[1].sizes["replicate"]:
        common = before.sizes["replicate"]
        yield f"{group}/{name}: compared over the {common} replicates that both have"
    if np.array_equal(before.values, after.values, equal_nan=True):
        return
    gap = _gap(after, before, paired)
    relative = abs(gap.estimate / abs(before).mean("replicate"))
    if not np.isfinite(relative).any():
        yield f"{group}/{name}: values are missing in one of them"
        return
    place = max(
        points(relative), key=lambda point: np.nan_to_num(float(relative.sel(point)), nan=-1)
    )
    row = gap.sel(place)
    separated = int(((gap.lower > 0) | (gap.upper < 0)).sum())
    how = "paired, " if paired else ""
    yield (
        f"{group}/{name}: largest difference {float(row.estimate):+.3g} ({how}95% interval "
        f"{float(row.lower):+.3g} to {float(row.upper):+.3g}, {float(relative.sel(place)):.2%})"
        f"{' at ' + in_words(place) if place else ''}; the interval excludes "
        f"zero at {separated} of {relative.size} points"
    )


def _at_best(dataset: xr.Dataset, name: str) -> xr.DataArray:
    """The replicates of a variable, at the best time of a risk or else at the last time."""
    values = simulated(dataset, name)
    if "time" in values.dims:
        risk = "risk" in name or name.endswith("error")
        values = oracle(values).value if risk else values.isel(time=-1, drop=True)
    scalars = [coordinate for coordinate in values.coords if coordinate not in values.dims]
    return values.drop_vars(scalars).transpose(..., "replicate")


def _gap(after: xr.DataArray, before: xr.DataArray, paired: bool) -> xr.Dataset:
    """The mean difference with its interval: replicate by replicate where seeds agree."""
    if paired:
        return paired_difference(after, before)
    variances = [
        part.var("replicate", ddof=1) / part.count("replicate") for part in (after, before)
    ]
    estimate = after.mean("replicate") - before.mean("replicate")
    half = 1.96 * np.sqrt(variances[0] + variances[1])
    return xr.Dataset({"estimate": estimate, "lower": estimate - half, "upper": estimate + half})
