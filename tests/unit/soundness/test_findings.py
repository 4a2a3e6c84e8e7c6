"""Findings of all checks together: in files, from plugins, as a scenario expects them."""

from __future__ import annotations

import re

import numpy as np
import pytest
import tomli_w
import xarray as xr

from testbed import Finding, hookimpl
from testbed.contract.findings import worst_place
from testbed.loading import Plugin, PluginWarning, load_registry, make_registry
from testbed.planning.files import read_scenario
from testbed.planning.plan import make_plan
from testbed.results.files import read_tree, write_tree
from testbed.running.execute import draw_problem
from testbed.runs import run
from testbed.scenario.tables import Expectation
from testbed.soundness import CHECKS, examine, findings_text, read_findings, with_findings
from tests.helpers.findings import INSIDE, ROOT, SCENARIO, group
from tests.helpers.tiny import Entry, Module

# --- putting findings together --------------------------------------------------------------------


FINDING = Finding(check="c", estimator="fixed", observation="s", advice="a", cell="n=1", judged=3)


def test_a_finding_is_strict_and_the_worst_place_is_the_first_of_equals():
    for wrong in ({"severity": "bad"}, {"observation": ""}, {"points": 0}, {"cell": 3}):
        with pytest.raises((ValueError, TypeError)):
            Finding(**{"check": "c", "observation": "s", "advice": "a", **wrong})
    values = xr.DataArray([[1.0, np.nan], [5.0, 5.0]], {"n": [10, 20], "word": ["x", "y"]})
    place = worst_place(values, 2.0)
    assert place == ({"n": 1, "word": 0}, "n=20 word=x", 2, 3)
    assert worst_place(values, 5.0) is None
    assert worst_place(xr.DataArray(3.0), 2.0).cell == ""


@pytest.mark.parametrize(
    "findings", [[], [FINDING, Finding(check="d", observation="τ ± 1", advice="b")]]
)
def test_findings_survive_the_file(tmp_path, findings):
    tree = with_findings(xr.DataTree.from_dict({"/main": group()}), findings)
    write_tree(tree, tmp_path / "results.nc")
    back = read_tree(tmp_path)
    assert read_findings(back) == findings
    xr.testing.assert_identical(back, tree)
    text = findings_text(back)
    assert ("nothing found" in text) == (not findings)
    assert back["soundness"]["check"].dtype.kind in "OTU"  # text, with or without rows
    assert all(finding.observation in text for finding in findings)


def test_an_unfinished_run_does_not_claim_to_be_sound():
    tree = xr.DataTree.from_dict({"/main": group()})
    assert read_findings(tree) == [] and "not examined" in findings_text(tree)


def test_a_run_stores_what_it_finds_and_other_runs_find_the_same(tmp_path):
    scenario = read_scenario(SCENARIO, overrides=["target.start=30", "replicates=2"])
    first, second = (run(scenario, tmp_path / name) for name in ("one", "other"))
    again = run(scenario, tmp_path / "one")
    assert "unbracketed" in {finding.check for finding in read_findings(first)}
    assert read_findings(first) == read_findings(second) == read_findings(again)
    assert read_findings(first) == read_findings(read_tree(tmp_path / "one"))
    assert set(first["soundness"].dims) == {"finding"}
    assert all("long_name" in variable.attrs for variable in first["soundness"].variables.values())


def test_a_sound_run_finds_nothing(tmp_path):
    assert read_findings(run(read_scenario(SCENARIO), tmp_path)) == []


STEPS = """
format = 1
name = "steps"
replicates = 3
[design]
use = "gaussian"
n = 20
n_test = 50
dim = 3
noise = 0.1
[target]
use = "linear"
[[estimator]]
name = "net"
model = { use = "networks.two-layer", width = 8, activation = "tanh" }
optimizer = { use = "gradient-descent", learning_rate = { values = [0.1, 100.0] }, times = [100.0] }
[[metric]]
use = "excess-risk"
"""


def test_descent_that_blew_up_within_finite_numbers_is_found(tmp_path):
    """The activation is bounded, so that nothing overflows and the loss is not measured."""
    tree = run(read_scenario(STEPS), tmp_path)
    assert (tree["net"]["status"] == 0).all()
    (blown,) = (f for f in read_findings(tree) if f.check == "divergence")
    assert (blown.severity, blown.cell, blown.points) == ("problem", "learning_rate=100", 1)
    assert "of 3 replicates is over 10 times that of the function 0" in blown.observation
    widths = [f for f in read_findings(tree) if f.check == "wide-mean"]
    assert not any("learning_rate=100" in finding.cell for finding in widths)


def test_the_risk_of_the_function_zero_is_that_of_the_truth():
    """For a linear truth and Gaussian points it is the mean of f*² over the test points."""
    from testbed.soundness.blow_up import blown_up

    plan = make_plan(read_scenario(STEPS))
    risk = np.full((2, 3, 1), 3.0)
    net = xr.Dataset(
        {
            "excess_risk": (("learning_rate", "replicate", "time"), risk),
            "status": ("replicate", [0] * 3),
        },
        {"learning_rate": [0.1, 100.0], "time": [100.0]},
    )
    shares = blown_up(plan, xr.DataTree.from_dict({"/net": net}))["net"]
    cell = plan.cells[0]
    truth = np.asarray(draw_problem(cell, 0).test.truth)
    assert shares.dims == ("learning_rate", "replicate")
    np.testing.assert_allclose(shares, 3.0 / np.square(truth).mean(), rtol=1e-12)


def registry(*functions):
    """The installed plugins' results are not asked for; these functions are."""
    pairs = []
    for number, function in enumerate(functions):
        module = Module()
        module.testbed_check_results = hookimpl(function)
        pairs.append((Plugin(f"p{number}", f"stranger-{number}", "1.0"), Entry(module)))
    return make_registry(pairs)


def looked_at(*functions, soundness=()):
    from attrs import evolve

    scenario = evolve(read_scenario(SCENARIO), soundness=tuple(soundness))
    tree = xr.DataTree.from_dict({"/fixed": group(excess_risk=("time", INSIDE))})
    return examine(make_plan(scenario), tree, registry(*functions))


def test_plugins_add_checks_and_the_gravest_come_first():
    problem = Finding(check="p", severity="problem", observation="s", advice="a")
    assert looked_at(lambda plan, tree: [FINDING], lambda plan, tree: [problem]) == [
        problem,
        FINDING,
    ]


@pytest.mark.parametrize("answer", ["words", ["words"], FINDING])
def test_a_plugin_that_answers_nonsense_is_named_and_costs_no_other(answer):
    with pytest.warns(PluginWarning, match="stranger-0:p0"):
        findings = looked_at(lambda plan, tree: answer, lambda plan, tree: [FINDING])
    assert FINDING in findings and len(findings) == 2
    assert [
        "stranger-0:p0" in finding.observation
        for finding in findings
        if finding.check == "plugin-check"
    ] == [True]


def test_a_broken_check_does_not_break_the_run(tmp_path, monkeypatch):
    def broken(plan, tree):
        raise RuntimeError("no idea")

    monkeypatch.setattr("testbed.runs.load_registry", lambda: registry(broken))
    with pytest.warns(PluginWarning, match="raised RuntimeError: no idea"):
        tree = run(read_scenario(SCENARIO), tmp_path)
    assert (tree["fixed"]["status"] == 0).all() and (tmp_path / "results.nc").exists()


def test_a_check_of_core_that_fails_says_so_itself(monkeypatch):
    monkeypatch.setitem(CHECKS, "collapse", lambda tree: 1 / 0)
    (finding,) = looked_at()
    assert finding.check == "collapse" and "ZeroDivisionError" in finding.observation


def test_what_is_expected_of_all_and_found_nowhere_has_no_place():
    findings = looked_at(soundness=[Expectation(expect="c", because="on purpose")])
    text = findings_text(with_findings(xr.DataTree.from_dict({"/fixed": group()}), findings))
    assert "  note     c: the scenario expects it, and it was not found" in text


def test_what_a_scenario_expects_is_marked_and_missed_where_it_is_not_found():
    here, elsewhere = (
        Expectation(expect="c", because="on purpose", of=of) for of in (("fixed",), ("other",))
    )
    (finding,) = looked_at(lambda plan, tree: [FINDING], soundness=[here])
    assert (finding.severity, finding.because) == ("expected", "on purpose")
    missed, marked = looked_at(lambda plan, tree: [FINDING], soundness=[here, elsewhere])
    assert marked.severity == "expected"
    assert (missed.estimator, missed.severity) == (
        "other",
        "note",
    ) and "not found" in missed.observation


def test_expectations_are_read_strictly_and_written_back():
    from testbed.errors import ScenarioError

    table = '[[soundness]]\nexpect = "truncation"\nbecause = "short"\nof = ["fixed"]\n'
    scenario = read_scenario(SCENARIO + table)
    assert scenario.expectations == (
        Expectation(expect="truncation", because="short", of=("fixed",)),
    )
    assert read_scenario(tomli_w.dumps(scenario.to_dict())) == scenario
    wrong = '[[soundness]]\nexpects = "truncation"\nof = ["fixd"]\n'
    with pytest.raises(ScenarioError) as caught:
        read_scenario(SCENARIO + wrong)
    words = ("found no 'expect';", "found no 'because';", "'expects'", "did you mean 'fixed'?")
    assert all(text in str(caught.value) for text in words)


# --- the pages ------------------------------------------------------------------------------------


def blocks(page: str, language: str = "python") -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / "docs" / page).read_text(), re.S)


def test_the_page_names_every_check_and_its_examples_run(tmp_path, monkeypatch, capsys):
    page = (ROOT / "docs" / "soundness.md").read_text()
    for name in (*CHECKS, "truncation", "integrator", "unsettled"):
        assert f"| `{name}` |" in page
    small = ["replicates=4", "design.modes=100"]
    run(ROOT / "scenarios" / "quickstart.toml", tmp_path / "runs/quickstart", overrides=small)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for block in blocks("soundness.md"):
        exec(block, names)
    assert "truncation" in capsys.readouterr().out
    (table,) = blocks("soundness.md", "toml")
    text = SCENARIO.replace('"fixed"', '"adaptive"') + table
    assert read_scenario(text).expectations[0].of == ("adaptive",)


def test_the_guides_check_finds_what_it_says():
    names: dict[str, object] = {"__name__": "guide"}
    guide = [block for block in blocks("plugins.md") if "check_component" not in block]
    exec("\n".join(guide), names)  # without the block that tries the conformance kit
    steps = {"theirs": group(readout_norm=("time", [0.0, 1.0, 10.0, 1e2, 1e3, 1e4]))}
    tree = xr.DataTree.from_dict({**steps, "fixed": group(excess_risk=("time", INSIDE))})
    (finding,) = names["testbed_check_results"](None, tree)
    assert finding.observation == "the readout's norm is 1e+04" and finding.estimator == "theirs"


def test_the_installed_plugins_bring_checks():
    implementations = load_registry().manager.hook.testbed_check_results.get_hookimpls()
    assert {item.plugin.__name__ for item in implementations} >= {"testbed_sequence"}
