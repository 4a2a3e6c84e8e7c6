"""Findings as a group of the result, back, and in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs
import numpy as np
import xarray as xr

from testbed.contract.findings import Finding
from testbed.errors import printable

GROUP = "soundness"
LABELS = {
    "check": "check that found it",
    "severity": "how grave it is: problem, warning, note, or expected by the scenario",
    "estimator": "estimator it concerns",
    "variable": "variable in which it was observed",
    "cell": "the worst point of the sweep",
    "points": "number of points it concerns",
    "judged": "number of points that were examined",
    "observation": "what was observed",
    "advice": "what to change in the scenario",
    "because": "why the scenario expects it",
}


def with_findings(tree: xr.DataTree, findings: Sequence[Finding]) -> xr.DataTree:
    """The tree with a group `soundness`, one row for each finding; no rows if all is well."""
    variables: dict[str, object] = {}
    for name, label in LABELS.items():
        values = [getattr(finding, name) for finding in findings]
        kind = np.int32 if name in ("points", "judged") else object if values else "U1"
        labels = {"long_name": label, "units": "1"} if kind is np.int32 else {"long_name": label}
        variables[name] = ("finding", np.array(values, dtype=kind), labels)
    table = xr.Dataset(variables, attrs={"title": "what the soundness checks found"})
    return tree.assign({GROUP: xr.DataTree(table)})


def read_findings(tree: xr.DataTree) -> list[Finding]:
    """The findings stored in a result; none if it was written before the run was finished."""
    if GROUP not in tree.children:
        return []
    table = tree[GROUP].to_dataset()
    if "seen" in table:  # the name in files of earlier versions
        table = table.rename(seen="observation")
    names = [field.name for field in attrs.fields(Finding)]
    rows = zip(*(table[name].values.tolist() for name in names), strict=True)
    return [Finding(**dict(zip(names, row, strict=True))) for row in rows]


def findings_text(tree: xr.DataTree) -> str:
    """The findings of a result in words, two lines each; one line for expected ones."""
    if GROUP not in tree.children:
        return "soundness: not examined, the run is not finished"
    findings = read_findings(tree)
    if not findings:
        return "soundness: nothing found"
    return "\n".join(["soundness", *(line for finding in findings for line in _lines(finding))])


def _lines(finding: Finding) -> Iterator[str]:
    """A finding: severity, check, place and text; below it the advice or the reason."""
    where = finding.estimator + (f"/{finding.variable}" if finding.variable else "")
    if finding.judged > 1:
        where += f", {finding.points} of {finding.judged} points"
    cell = f"at {finding.cell}: " if finding.cell else ""
    place = f"  {where}" if where else ""  # an expectation for all estimators names no place
    yield printable(f"  {finding.severity:<8} {finding.check}{place}: {cell}{finding.observation}")
    yield printable(f"           → {finding.because or finding.advice}")
