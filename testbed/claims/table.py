"""Verdicts as a group of the result, back, and in words."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import attrs
import numpy as np
import xarray as xr

from testbed.claims.verdicts import Verdict
from testbed.claims.words import allowed_text, found_text, level_text

GROUP = "claims"
LABELS = {
    "claim": "name of the claim",
    "that": "kind of the claim",
    "point": "point of the sweep",
    "statement": "the claim in words",
    "source": "who states the claim",
    "verdict": "supported, refuted or inconclusive",
    "estimate": "estimate",
    "lower": "lower confidence limit",
    "upper": "upper confidence limit",
    "lowest": "least value that the claim allows",
    "highest": "largest value that the claim allows",
    "level": "level of the interval, corrected for the number of verdicts; NaN without chance",
    "reason": "why there is no verdict",
}
NUMBERS = ("estimate", "lower", "upper", "lowest", "highest", "level")


def with_verdicts(tree: xr.DataTree, verdicts: Sequence[Verdict]) -> xr.DataTree:
    """The tree with a group `claims`, one row for each verdict."""
    variables = {}
    for name, label in LABELS.items():
        kind = float if name in NUMBERS else object if verdicts else "U1"
        values = np.array([getattr(verdict, name) for verdict in verdicts], dtype=kind)
        labels = {"long_name": label, **({"units": "1"} if name in NUMBERS else {})}
        variables[name] = xr.Variable("row", values, labels)
    table = xr.Dataset(variables, attrs={"title": "verdicts on the scenario's claims"})
    return tree.assign({GROUP: xr.DataTree(table)})


def read_verdicts(tree: xr.DataTree) -> list[Verdict]:
    """The verdicts stored in a result; none if it states no claims."""
    if GROUP not in tree.children:
        return []
    table = tree[GROUP].to_dataset()
    names = [field.name for field in attrs.fields(Verdict)]
    columns = [
        table[name].values.tolist() if name in table else _missing(name, table) for name in names
    ]
    rows = zip(*columns, strict=True)
    return [Verdict(**dict(zip(names, row, strict=True))) for row in rows]


def _missing(name: str, table: xr.Dataset) -> list[float] | list[str]:
    """A column that results of an older version do not have."""
    count = table.sizes.get("row", 0)
    return [math.nan] * count if name in NUMBERS else [""] * count


def verdicts_text(tree: xr.DataTree) -> str:
    """The verdicts in words, a line each; empty if there are none."""
    verdicts = read_verdicts(tree)
    return "\n".join(["claims", *_lines(verdicts)]) if verdicts else ""


def _lines(verdicts: Sequence[Verdict]) -> Iterator[str]:
    for verdict in verdicts:
        estimate, allowed = found_text(verdict), allowed_text(verdict)
        parts = [estimate, f"allowed {allowed}" if allowed else ""]
        line = f"  {verdict.verdict:<12} {verdict.title}: {', '.join(filter(None, parts))}"
        yield line + (f"   {verdict.reason}" if verdict.reason else "")
    if level := level_text(verdicts):
        yield f"  {level}"
