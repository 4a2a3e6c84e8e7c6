"""The examples of analysis.md, and of the pages on figures and reports, run on the quickstart."""

from __future__ import annotations

import re
from pathlib import Path

from testbed.runs import run

ROOT = Path(__file__).parents[2]


def test_every_example_runs(tmp_path, monkeypatch):
    small = ["replicates=6", "design.modes=400"]
    run(ROOT / "scenarios" / "quickstart.toml", tmp_path / "runs" / "quickstart", overrides=small)
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "analysis.md").read_text(), re.S)
    assert len(blocks) == 8
    names: dict[str, object] = {}
    for block in blocks:
        exec(block, names)
    for page, made in (("paper-figure", "learning-curves.pdf"), ("report", "report.html")):
        text = (ROOT / "docs" / f"{page}.md").read_text()
        (block,) = re.findall(r"```python\n(.*?)```", text, re.S)
        exec(block, {})
        assert (tmp_path / made).stat().st_size > 5000
