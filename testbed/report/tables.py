"""Tables of a report: what was run, verdicts, best values, theory and simulation, cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import xarray as xr

from testbed.analysis import oracle, simulated
from testbed.analysis.stopping import end_note
from testbed.claims import Verdict, read_verdicts
from testbed.contract.claims import INCONCLUSIVE, REFUTED, SUPPORTED
from testbed.contract.figures import RISKS
from testbed.contract.names import in_words
from testbed.results.groups import estimators

ROWS = 24  # most rows of a table; the rest is counted
VERDICTS = (REFUTED, INCONCLUSIVE, SUPPORTED)  # the worst first
Row = list[str]


class Table(NamedTuple):
    """Rows under a header; `omitted` counts the rows that are left out."""

    header: Row
    rows: list[Row]
    omitted: int = 0


def cut(header: Row, rows: list[Row]) -> Table:
    """A table of at most `ROWS` rows, without columns that are empty in all of them."""
    shown = rows[:ROWS]
    filled = [i for i in range(len(header)) if any(row[i] for row in shown)]
    narrow = [[row[i] for i in filled] for row in shown]
    return Table([header[i] for i in filled], narrow, max(0, len(rows) - ROWS))


def verdicts(tree: xr.DataTree) -> list[Verdict]:
    """The claims of a result, refuted ones first; none if it has no table of claims."""
    order = {word: i for i, word in enumerate(VERDICTS)}
    return sorted(read_verdicts(tree), key=lambda row: order.get(row.verdict, 0))


def verdict_counts(tree: xr.DataTree) -> str:
    """The number of claims with each verdict: `1 refuted, 3 supported`."""
    words = [row.verdict for row in verdicts(tree)]
    counts = {word: words.count(word) for word in dict.fromkeys((*VERDICTS, *words))}
    return ", ".join(f"{count} {word}" for word, count in counts.items() if count)


# --- what was run ----------------------------------------------------------------------------


def estimators_table(tree: xr.DataTree) -> Table:
    """Each estimator with its sizes and what became of its replicates."""
    rows = []
    for name, group in estimators(tree).items():
        dataset = group.to_dataset()
        sizes = ", ".join(f"{dim} {size}" for dim, size in dataset.sizes.items())
        statuses = ", ".join(f"{count} {word}" for word, count in _statuses(dataset).items())
        rows.append([name, sizes, statuses])
    return cut(["estimator", "sizes", "replicates"], rows)


def _statuses(dataset: xr.Dataset) -> Mapping[str, int]:
    words = str(dataset["status"].attrs.get("flag_meanings", "")).split()
    values = np.atleast_1d(dataset["status"].attrs.get("flag_values", []))
    counts = {w: int((dataset["status"] == v).sum()) for w, v in zip(words, values, strict=False)}
    return {word: count for word, count in counts.items() if count}


def failures(tree: xr.DataTree) -> list[str]:
    """The errors of failed cells, each text once with the number of replicates."""
    counts: dict[str, int] = {}
    for name, group in estimators(tree).items():
        dataset = group.to_dataset()
        if "error" in dataset:
            for text in dataset["error"].values.ravel():
                if str(text):
                    counts[f"{name}: {text}"] = counts.get(f"{name}: {text}", 0) + 1
    return [f"{text} ({count} replicates)" for text, count in counts.items()][:ROWS]


def cost(tree: xr.DataTree) -> Table:
    """The time that cells took, each cell once."""
    rows = []
    for name, group in estimators(tree).items():
        dataset = group.to_dataset()
        if "duration" in dataset:
            seconds = [_cell_seconds(row) for row in _by_point(dataset["duration"])]
            total = sum(seconds)
            rows.append([name, f"{len(seconds)}", _time(total), _time(max(seconds, default=0.0))])
    return cut(["estimator", "points", "all cells", "longest point"], rows)


def _by_point(duration: xr.DataArray) -> Iterator[np.ndarray]:
    flat = duration.transpose(..., "replicate").values
    yield from flat.reshape(-1, flat.shape[-1])


def _cell_seconds(replicates: np.ndarray) -> float:
    """Replicates of one cell have the time of the cell: equal times count once."""
    return float(np.unique(replicates[np.isfinite(replicates)]).sum())


def _time(seconds: float) -> str:
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


# --- numbers ---------------------------------------------------------------------------------


def best_values(tree: xr.DataTree) -> Table:
    """The risk at the best time of each point, next to the prediction of theory."""
    rows: list[Row] = []
    for name, group in estimators(tree).items():
        dataset = group.to_dataset()
        risk = next((risk for risk in RISKS if risk in dataset), "")
        if risk and "replicate" in dataset[risk].dims and "time" in dataset[risk].dims:
            rows += _risk_rows(name, dataset, risk)
    header = ["estimator", "point", "best value", "95% interval", "at τ", "theory", "gap", "note"]
    return cut(header, rows)


def _risk_rows(name: str, dataset: xr.Dataset, risk: str) -> Iterator[Row]:
    best = oracle(simulated(dataset, risk))
    theory = _theory(dataset, risk)
    for point in points(best["estimate"]):
        row = best.sel(point)
        estimate, lower, upper = (float(row[part]) for part in ("estimate", "lower", "upper"))
        if np.isnan(estimate):
            yield [name, in_words(point), "none", "", "", "", "", str(row["reason"].item())]
            continue
        expected = _value_at(theory, point)
        limits = f"{lower:.3g} to {upper:.3g}" if np.isfinite([lower, upper]).all() else ""
        gap = (
            f"{100 * (estimate / expected - 1):+.1f}%" if np.isfinite(expected) and expected else ""
        )
        note = "; ".join(filter(None, [end_note(row), str(row["reason"].item())]))
        time = float(row["time"])
        when = "∞" if np.isinf(time) else f"{time:.4g}"
        theory_text = f"{expected:.4g}" if np.isfinite(expected) else ""
        yield [name, in_words(point), f"{estimate:.4g}", limits, when, theory_text, gap, note]


def _theory(dataset: xr.Dataset, risk: str) -> xr.DataArray | None:
    """The least value over time that the first theory of a risk expects."""
    for values in dataset.data_vars.values():
        if values.attrs.get("predicts") == risk:
            mean = values.mean("replicate") if "replicate" in values.dims else values
            return mean.min("time") if "time" in mean.dims else mean
    return None


def _value_at(values: xr.DataArray | None, point: Mapping[str, object]) -> float:
    if values is None:
        return np.nan
    chosen = values.sel({dim: value for dim, value in point.items() if dim in values.dims})
    return float(chosen) if chosen.ndim == 0 else np.nan


def points(values: xr.DataArray) -> list[dict[str, object]]:
    """All points of an array's dimensions."""
    places = np.ndindex(*values.shape)
    return [
        {str(dim): values[dim].values[i] for dim, i in zip(values.dims, place, strict=True)}
        for place in places
    ]
