"""The page of verdicts: sections made from results, and those that stay."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from testbed.claims import read_verdicts
from testbed.planning.files import read_scenario
from testbed.runs import run

ROOT = Path(__file__).resolve().parents[3]
SCENARIO = """
format = 1
name = "claimed"
title = "A small question"
replicates = 4
[design]
use = "sequence.gaussian"
n = { values = [100, 400] }
modes = 30
[target]
use = "sequence.power"
p = 1.0
[[estimator]]
name = "fixed"
model = { use = "sequence.fixed", gamma = 1.5 }
optimizer = { use = "gradient-flow", times = { geom = [1.0, 1e4, 20] } }
[[metric]]
use = "excess-risk"
[[claim]]
name = "falls"
that = "monotone"
of = "fixed/excess_risk"
along = "n"
at = { time = "oracle" }
side = "decreasing"
source = "a paper"
[[claim]]
name = "impossible"
that = "bound"
of = "fixed/excess_risk"
at = { time = "oracle", n = 100 }
expect = 1e-9
side = "below"
"""


@pytest.fixture
def page(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks" / "verify"))
    import page

    yield page
    sys.modules.pop("page")


def test_a_section_shows_every_verdict_with_its_source(page, tmp_path):
    tree = run(read_scenario(SCENARIO), tmp_path)
    text = page.section("claimed", tree, "Set-up: ours.", ("replicates=4",), image=True)
    assert text.startswith("## A small question\n")
    assert "`testbed run scenarios/claimed.toml --set replicates=4`" in text
    assert "Set-up: ours." in text and "(images/claimed.png)" in text
    falls, impossible = read_verdicts(tree)
    assert falls.statement == "fixed/excess_risk is decreasing along n (at the best time)"
    assert "| a paper | ≤ 0 |" in text
    assert impossible.verdict == "refuted" and "| ≤ 1e-09 |" in text and "**refuted**" in text
    assert "Intervals at 97.5%, corrected for 2 verdicts (Bonferroni)." in text
    assert page.sections_of(f"# Results\n\n{text}") == {"claimed": text}


def test_sections_of_scenarios_that_were_not_run_stay(page):
    old = "# Results\n\n" + "\n".join(
        f"## {title}\n\n`testbed run scenarios/{name}.toml`: 1 s.\n"
        for title, name in (("First", "one"), ("Second", "two"))
    )
    new = {
        "two": "## Second\n\n`testbed run scenarios/two.toml`: 2 s.\n",
        "Verdicts": "## Verdicts\n",
    }
    text = page.renewed(old, new, ["one", "two", "Verdicts"])
    assert text.startswith(page.HEAD)
    order = [text.index(words) for words in ("one.toml`: 1 s", "two.toml`: 2 s", "## Verdicts")]
    assert order == sorted(order) and text.count("two.toml") == 1


def test_the_shipped_page_has_a_section_for_every_scenario(page):
    sections = page.sections_of((ROOT / "docs" / "results.md").read_text(encoding="utf-8"))
    assert {file.stem for file in (ROOT / "scenarios").glob("*.toml")} <= set(sections)
