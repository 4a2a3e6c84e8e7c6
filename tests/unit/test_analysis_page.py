"""The examples of docs/analysis.md run, one after the other, on results of the quickstart."""

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
    assert len(blocks) == 6
    names: dict[str, object] = {}
    for block in blocks:
        exec(block, names)
