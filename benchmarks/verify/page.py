"""docs/results.md, section by section, from the verdicts that results hold."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence

import numpy as np
import xarray as xr

from testbed.claims import Verdict, allowed_text, found_text, level_text, read_verdicts
from testbed.results.groups import estimators

HEAD = """# Results

What the shipped scenarios find beside what is published or derived: the verdicts on the claims that
they state ([claims.md](claims.md)). `make verify` runs every scenario at the size below and writes
this page from the results. A refuted claim makes it exit with 1. Levels of intervals are corrected
for the number of verdicts of a scenario that chance moves; intervals at the best stopping time
include the choice of that time. Sources that end with "settings ours" state what is claimed in
other settings than those of the scenario.
"""
_SECTION = re.compile(r"^## ", re.M)
_NAME = re.compile(r"testbed run scenarios/([a-z0-9-]+)\.toml")


def section(
    name: str,
    tree: xr.DataTree,
    setup: str = "",
    overrides: Sequence[str] = (),
    image: bool = False,
) -> str:
    """The section of a scenario: its command, set-up, verdicts, and what measured them."""
    verdicts = read_verdicts(tree)
    settings = "".join(f" --set {text}" for text in overrides)
    parts = [
        f"## {tree.attrs['title']}",
        f"`testbed run scenarios/{name}.toml{settings}`: {seconds(tree):.0f} s of computing."
        + (f"\n{textwrap.fill(setup, 100)}" if setup else ""),
    ]
    if image:
        parts.append(f"![{tree.attrs['title']}](images/{name}.png)")
    parts.append(table(verdicts))
    parts.append(
        textwrap.fill(f"*{sentence_on_level(verdicts)}Measured with {versions(tree)}.*", 100)
    )
    return "\n\n".join(parts) + "\n"


def table(verdicts: Sequence[Verdict]) -> str:
    """The verdicts; one that is not supported stands out."""
    lines = ["| claim | source | allowed | found | verdict |", "|---|---|---|---|---|"]
    for verdict in verdicts:
        claim = f"{verdict.title}: {verdict.statement}"
        mark = verdict.verdict if verdict.verdict == "supported" else f"**{verdict.verdict}**"
        mark += f": {verdict.reason}" if verdict.reason else ""
        cells = (claim, verdict.source, allowed_text(verdict), found_text(verdict), mark)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def sentence_on_level(verdicts: Sequence[Verdict]) -> str:
    """The level of the intervals in a sentence; empty where no claim has one."""
    text = level_text(verdicts)
    return f"{text[:1].upper()}{text[1:]}. " if text else ""


def versions(tree: xr.DataTree) -> str:
    """The libraries that made a result, and when."""
    shown = [
        part.strip()
        for part in str(tree.attrs.get("source", "")).split(",")
        if part.split() and part.split()[0] in ("testbed", "torch", "numpy", "scipy")
    ]
    date = re.search(r"\d{4}-\d{2}-\d{2}", str(tree.attrs.get("history", "")))
    return ", ".join(shown) + (f" on {date[0]}" if date else "")


def seconds(tree: xr.DataTree) -> float:
    """Seconds of computing: every replicate has the duration of its cell, which counts once."""
    total = 0.0
    for group in estimators(tree).values():
        values = group["duration"].transpose(..., "replicate").fillna(0).values
        rows = values.reshape(-1, values.shape[-1])
        total += sum(float(np.unique(row).sum()) for row in rows)
    return total


# --- the page -----------------------------------------------------------------------------------


def sections_of(page: str) -> dict[str, str]:
    """The sections of a page: by the name of their scenario, or else by their heading."""
    texts = _SECTION.split(page)[1:]
    sections = {}
    for text in texts:
        name = _NAME.search(text)
        sections[name[1] if name else text.partition("\n")[0]] = f"## {text.rstrip()}\n"
    return sections


def renewed(page: str, new: dict[str, str], order: Sequence[str]) -> str:
    """The page with new sections; those of scenarios that were not run stay as they are."""
    sections = {**sections_of(page), **new}
    names = [name for name in order if name in sections]
    names += [name for name in sections if name not in names]
    return "\n".join([HEAD, *(sections[name] for name in names)])
