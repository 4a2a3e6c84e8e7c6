"""Verdicts as a group of the result, back, and in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs
import numpy as np
import xarray as xr

from testbed.claims.verdicts import Verdict

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
    "level": "level of the interval, corrected for the number of verdicts",
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
    empty = [""] * table.sizes.get("row", 0)  # of columns that older results do not have
    columns = [table[name].values.tolist() if name in table else empty for name in names]
    rows = zip(*columns, strict=True)
    return [Verdict(**dict(zip(names, row, strict=True))) for row in rows]


def verdicts_text(tree: xr.DataTree) -> str:
    """The verdicts in words, a line each; empty if there are none."""
    verdicts = read_verdicts(tree)
    return "\n".join(["claims", *_lines(verdicts)]) if verdicts else ""


def _lines(verdicts: Sequence[Verdict]) -> Iterator[str]:
    for verdict in verdicts:
        name = " ".join(filter(None, [verdict.claim, verdict.point]))
        line = f"  {verdict.verdict:<12} {name}: "
        if np.isfinite(verdict.estimate):
            line += f"{verdict.estimate:.4g} [{verdict.lower:.4g}, {verdict.upper:.4g}], "
        line += f"allowed [{verdict.lowest:.4g}, {verdict.highest:.4g}]"
        yield line + (f"   {verdict.reason}" if verdict.reason else "")
    if len(verdicts) > 1:
        level = min(verdict.level for verdict in verdicts)
        text = f"corrected for {len(verdicts)} verdicts (Bonferroni)"
        yield f"  intervals at {100 * level:.4g}%: {text}"
