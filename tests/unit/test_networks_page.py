"""The scenario of docs/networks.md runs, and its examples say of the results what is true."""

from __future__ import annotations

import re
from pathlib import Path

from testbed.planning.files import read_scenario
from testbed.runs import run
from testbed.soundness import read_findings

ROOT = Path(__file__).parents[2]


def blocks(language):
    page = (ROOT / "docs" / "networks.md").read_text()
    return re.findall(rf"```{language}\n(.*?)```", page, re.S)


def test_every_example_runs(tmp_path, monkeypatch):
    (text,) = blocks("toml")
    tree = run(read_scenario(text), tmp_path / "runs" / "lazy-or-rich")
    assert {finding.check for finding in read_findings(tree) if finding.severity == "expected"} == {
        "divergence"
    }
    monkeypatch.chdir(tmp_path)
    examples = blocks("python")
    assert len(examples) == 3
    names: dict[str, object] = {}
    for example in examples:
        exec(example, names)
