"""The shipped scenario provokes every failure, and the run finds each of them by itself."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from attrs import evolve

from testbed.planning.files import load_scenario
from testbed.results.files import read_tree
from testbed.runs import run
from testbed.soundness import read_findings

FILE = Path(__file__).parents[2] / "scenarios" / "failure-signatures.toml"
FITTED = {"sound", "overfitting", "unbracketed", "misalignment", "coarse"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, invoke):
    """The scenario as it is, run from the command line."""
    place = tmp_path_factory.mktemp("signatures")
    result = invoke("run", str(FILE), "-o", str(place), "--no-figures")
    assert result.exit_code == 0, result.output
    (place / "shown").write_text(result.output)
    return place


def test_each_failure_is_found_where_it_is_provoked_and_nowhere_else(folder):
    findings = read_findings(read_tree(folder))
    pairs = {(finding.check, finding.estimator) for finding in findings}
    assert len(pairs) == len(findings)  # one finding for each check and estimator
    assert pairs == {
        *(("truncation", name) for name in FITTED),
        ("overfitting", "overfitting"),
        ("unbracketed", "unbracketed"),
        ("collapse", "collapse"),
        ("misalignment", "collapse"),
        ("misalignment", "misalignment"),
        ("integrator", "coarse"),
        ("divergence", "divergence"),
    }
    assert all(finding.severity == "expected" and finding.because for finding in findings)


def test_the_sound_estimator_is_blamed_for_the_endless_truth_alone(folder):
    findings = read_findings(read_tree(folder))
    blamed = [item for item in findings if item.estimator == "sound"]
    assert [
        (finding.check, finding.cell, finding.points, finding.judged) for finding in blamed
    ] == [("truncation", "target=endless", 1, 2)]


def test_findings_are_printed_after_the_run_and_shown_again(folder, invoke):
    shown = invoke("show", str(folder)).output
    for text in ((folder / "shown").read_text(), shown):
        assert "soundness\n  expected divergence  divergence/status" in text
        assert "→ three layers that start at 10⁻³ stay at their saddle" in text


def test_without_expectations_they_are_warnings_that_say_what_to_change(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "again")  # with its journal: nothing is computed
    tree = run(evolve(load_scenario(FILE), soundness=()), tmp_path / "again")
    severities = {finding.check: finding.severity for finding in read_findings(tree)}
    assert severities == {
        "divergence": "problem",
        "unbracketed": "warning",
        "collapse": "warning",
        "misalignment": "warning",
        "truncation": "warning",
        "integrator": "warning",
        "overfitting": "note",
    }
    assert read_findings(tree)[0].check == "divergence"


def test_what_follows_the_advice_is_found_sound(tmp_path):
    """Four estimators' findings go; that 400 coefficients are too few stays."""
    advice = [
        "replicates=8",
        "estimator.overfitting.optimizer.times=[0.0, 30.0, 60.0, 90.0, 120.0, 150.0]",
        "estimator.unbracketed.optimizer.times=[0.0, 100.0, 400.0, 700.0, 1000.0, 1500.0, 3000.0]",
        "estimator.coarse.optimizer.learning_rate=0.01",
        "estimator.divergence.optimizer.learning_rate=0.01",
        "estimator.divergence.optimizer.times=[0.0, 30.0, 60.0, 90.0, 120.0, 150.0]",
    ]
    cured = {"overfitting", "unbracketed", "coarse", "divergence"}
    scenario = load_scenario(FILE, advice)
    estimators = tuple(item for item in scenario.estimators if item.name in cured)
    metrics = tuple(item for item in scenario.metrics if not item.of)
    changes = dict.fromkeys(("figure", "claim", "soundness"), ())
    tree = run(evolve(scenario, estimator=estimators, metric=metrics, **changes), tmp_path)
    left = {(finding.check, finding.estimator) for finding in read_findings(tree)}
    assert left == {("truncation", name) for name in cured}
