"""Every page does what it says: files run, commands end well, code runs on the results.

A block that needs another machine, the network or another environment says so in a comment before
it: `<!-- not executed: the reason -->`. EXECUTED names the test of every other block.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import testbed
from tests.helpers.mistakes import mistakes_of
from tests.helpers.pages import run_page, type_block

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md"))]
LANGUAGES = ("python", "sh", "toml", "text", "yaml")
HERE = "integration/test_pages.py"
EXECUTED = {
    "README.md": {"toml": "unit/test_docs.py", "python": HERE, "sh": HERE},
    "add-metrics.md": {"python": HERE, "toml": HERE, "sh": HERE},
    "analysis.md": {"python": "unit/test_analysis_page.py"},
    "claims.md": {"toml": HERE},
    "clusters.md": {"toml": HERE},
    "datasets.md": {"toml": HERE, "python": HERE},
    "debugging.md": {"python": HERE, "sh": HERE},
    "editors.md": {"toml": HERE, "sh": HERE},
    "figures.md": {"toml": HERE, "python": HERE},
    "first-scenario.md": {"toml": HERE, "python": HERE, "sh": HERE},
    "gpus.md": {"toml": HERE, "sh": HERE},
    "layers.md": {
        "python": "unit/layers/test_layers_page.py",
        "toml": "unit/layers/test_layers_page.py",
    },
    "networks.md": {"toml": "unit/test_networks_page.py", "python": "unit/test_networks_page.py"},
    "own-data.md": {"toml": HERE, "python": HERE, "sh": HERE},
    "paper-figure.md": {"python": "unit/test_analysis_page.py"},
    "plugins.md": {
        "python": "unit/test_docs.py",
        "toml": "unit/test_docs.py",
        "sh": "integration/test_scaffold.py",
    },
    "report.md": {"python": "unit/test_analysis_page.py", "sh": HERE},
    "running.md": {"sh": HERE},
    "scenario-reference.md": {"toml": HERE, "python": HERE},
    "soundness.md": {
        "python": "unit/soundness/test_findings.py",
        "toml": "unit/soundness/test_findings.py",
    },
    "sweeps.md": {"toml": HERE, "python": HERE, "sh": HERE},
    "theories.md": {"python": "unit/theories/test_assumptions.py"},
}
FENCE = re.compile(r"^(?P<before>[^\n]*)\n(?:\n)?```(?P<language>[^\n]*)\n.*?^```", re.S | re.M)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_is_executed_or_says_why_not(page):
    for fence in FENCE.finditer(page.read_text(encoding="utf-8")):
        language, words = fence["language"], fence["before"]
        if language.startswith("{") or re.search(r"<!-- not executed: .{10,} -->", words):
            continue  # a directive of the site, or a reason
        assert language in LANGUAGES, f"found a block of {language!r} after {words!r}"
        if language != "text":
            test = EXECUTED.get(page.name, {}).get(language, "")
            assert test, f"found a block of {language} that no test executes, after {words!r}"
            assert (ROOT / "tests" / test).is_file()


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


QUESTION = "my-question.toml"


@pytest.fixture(scope="module")
def workshop(tmp_path_factory):
    """A folder with the scenario of the README, smaller, and runs of the names in the pages."""
    folder = tmp_path_factory.mktemp("workshop")
    (text,) = re.findall(r"```toml\n(format.*?)```", (ROOT / "README.md").read_text(), re.S)
    small = text.replace("replicates = 32", "replicates = 2").replace("modes = 3000", "modes = 60")
    small = small.replace("{ geom = [500, 8000, 5] }", "{ values = [100, 200] }")
    small = small.replace("[1.0, 1e4, 65]", "[1.0, 1e3, 9]").replace("[0, 1, 2]", "[0, 1]")
    small = small.replace("8000", "200")
    assert small.count("\n") == text.count("\n") and "3000" not in small
    (folder / QUESTION).write_text(small, encoding="utf-8")
    rates = small.replace('"my-question"', '"rates"') + "\n[compute]\nkeep_states = true\n"
    (folder / "rates.toml").write_text(rates, encoding="utf-8")
    for name in ("rates", "quickstart", "width", "a"):
        testbed.run(folder / "rates.toml", folder / "runs" / name)
    more = ["design.n={ values = [200, 400] }"]
    testbed.run(folder / "rates.toml", folder / "runs" / "b", overrides=more)
    return folder


@pytest.mark.parametrize(
    ("page", "position"),
    [("../README.md", 1), ("running.md", 0), ("report.md", 0), ("debugging.md", 0)],
    ids=["README", "running", "report", "debugging"],
)
def test_the_commands_on_runs_end_well(page, position, workshop, monkeypatch):
    monkeypatch.chdir(workshop)
    type_block(page, position)


def test_the_readmes_code_reads_the_result_of_its_scenario(workshop, monkeypatch):
    monkeypatch.chdir(workshop)
    testbed.run(QUESTION)
    (code,) = blocks("../README.md", "python")
    names = {}
    exec(compile(code, "README.md", "exec"), names)
    assert names["risk"].dims == ("n", "replicate", "time") and names["best"].dims == ("n",)


def test_the_commands_of_the_first_scenario_end_well(tutorial, monkeypatch):
    smaller = re.sub(r"replicates = \d+", "replicates = 2", tutorial)
    Path("learning-curve.toml").write_text(smaller, encoding="utf-8")
    type_block("first-scenario.md")


def test_the_code_of_the_page_on_figures_draws(workshop, monkeypatch):
    import matplotlib.pyplot as plt

    monkeypatch.chdir(workshop)
    with plt.rc_context():
        for code in blocks("figures.md", "python"):
            exec(compile(code, "figures.md", "exec"), {})
    assert list(Path("figures").iterdir())


def test_the_code_of_the_scenario_reference_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for code in blocks("scenario-reference.md", "python"):
        exec(compile(code, "scenario-reference.md", "exec"), {})
    assert "2000" in capsys.readouterr().out and Path("two-depths.toml").exists()


def mistakes_in(text):
    """What `check` says about a scenario."""
    from testbed.planning.files import read_scenario
    from testbed.runs import checked_plan

    return mistakes_of(lambda: checked_plan(read_scenario(text, "page.toml")))


RATES = (ROOT / "scenarios" / "adaptivity-rates.toml").read_text(encoding="utf-8")
DIGITS = (ROOT / "scenarios" / "kernel-digits.toml").read_text(encoding="utf-8")
QUICKSTART = (ROOT / "scenarios" / "quickstart.toml").read_text(encoding="utf-8")


def without(text, table):
    """A scenario without the tables of this header."""
    return re.sub(rf"^{re.escape(table)}\n(?:(?!\[).*\n?)*", "", text, flags=re.M)


@pytest.mark.parametrize(
    "page", ["claims.md", "clusters.md", "figures.md", "scenario-reference.md"]
)
def test_the_tables_of_a_page_are_right_in_a_scenario(page):
    for block in blocks(page, "toml"):
        if block.startswith("#:schema"):
            continue  # the line alone: editors.md runs it
        if block.startswith("["):
            base = without(QUICKSTART if page == "figures.md" else RATES, block.splitlines()[0])
            text = f"{base}\n{block}"
        else:  # a key of the scenario
            (line, *_) = block.splitlines()
            text = re.sub(rf"^{line.split(' = ')[0]} = .*\n", "", RATES, flags=re.M)
            text = f"{line}\n{text}"
        assert mistakes_in(text) == []
