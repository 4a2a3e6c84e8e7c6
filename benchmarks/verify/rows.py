"""A row of the table: what is claimed, by whom, what was expected, what came out."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Row(NamedTuple):
    """One check of a published or derived statement against a run."""

    claim: str
    source: str
    expected: str
    found: str
    holds: bool


def near(
    claim: str, source: str, found: float, expected: float, within: float, *, interval: str = ""
) -> Row:
    """|found − expected| ≤ within; `interval` is shown beside what was found."""
    shown = f"{found:.4g} {interval}".strip()
    holds = bool(abs(found - expected) <= within)
    return Row(claim, source, f"{expected:.4g} ± {within:.2g}", shown, holds)


def exact(claim: str, source: str, found: object, expected: object) -> Row:
    """Equal, to the last digit."""
    found, expected = np.asarray(found).tolist(), np.asarray(expected).tolist()
    return Row(claim, source, str(expected), str(found), found == expected)


def at_least(claim: str, source: str, found: float, bound: float, *, interval: str = "") -> Row:
    """found ≥ bound."""
    shown = f"{found:.4g} {interval}".strip()
    return Row(claim, source, f"≥ {bound:.4g}", shown, bool(found >= bound))


def at_most(claim: str, source: str, found: float, bound: float, *, interval: str = "") -> Row:
    """found ≤ bound."""
    shown = f"{found:.4g} {interval}".strip()
    return Row(claim, source, f"≤ {bound:.4g}", shown, bool(found <= bound))


def between(lower: float, upper: float) -> str:
    """A confidence interval, in brackets."""
    return f"[{float(lower):.3f}, {float(upper):.3f}]"


def markdown(rows: list[Row]) -> str:
    """The table; a row that does not hold stands out."""
    lines = ["| claim | source | expected | found | |", "|---|---|---|---|---|"]
    for row in rows:
        mark = "holds" if row.holds else "**fails**"
        lines.append(f"| {row.claim} | {row.source} | {row.expected} | {row.found} | {mark} |")
    return "\n".join(lines)
