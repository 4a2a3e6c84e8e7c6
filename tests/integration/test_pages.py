"""The tutorials do what they say: their files run, and their code runs on the results."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import testbed
from tests.helpers.pages import run_page

DOCS = Path(__file__).parents[2] / "docs"


def blocks(page, language):
    return re.findall(rf"```{language}\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.S)


@pytest.fixture
def tutorial(tmp_path, monkeypatch):
    """The tutorial's scenario in a folder of its own, smaller."""
    monkeypatch.chdir(tmp_path)
    text = "\n".join(blocks("first-scenario.md", "toml"))
    Path("learning-curve.toml").write_text(text, encoding="utf-8")
    return text


def test_the_first_scenario_runs_and_its_answer_is_read(tutorial, capsys):
    tree = testbed.run("learning-curve.toml", overrides=["replicates=3"])
    assert {name for name in tree.children} >= {"ntk", "laplace"}
    (code,) = blocks("first-scenario.md", "python")
    exec(compile(code, "first-scenario.md", "exec"), {})
    dims, ratios = capsys.readouterr().out.splitlines()
    assert dims == "('n', 'replicate', 'time')"
    assert all(0.5 < float(word) < 2 for word in ratios.strip("[]").split())


def test_the_code_for_a_failed_cell_runs(tutorial, capsys):
    testbed.run("learning-curve.toml", overrides=["replicates=2", "design.n=32"])
    inspect_error, debug = blocks("debugging.md", "python")
    text = inspect_error.replace("my-question", "learning-curve").replace("adaptive", "ntk")
    exec(compile(text, "debugging.md", "exec"), {})
    exec(compile(debug.replace("my-question", "learning-curve"), "debugging.md", "exec"), {})
    assert capsys.readouterr().out.endswith("[0]\n")


@pytest.mark.parametrize(
    "page", ["sweeps.md", "own-data.md", "gpus.md", "editors.md", "add-metrics.md"]
)
def test_a_page_does_what_it_says(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert len(run_page(page, tmp_path)) >= 2
