"""Verdicts that a run of a scenario finds, and claims that are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from attrs import evolve

from testbed.claims import Verdict, judge_claims, read_verdicts, verdicts_text, with_verdicts
from testbed.claims.kinds import KINDS
from testbed.errors import ScenarioError
from testbed.planning.files import read_scenario
from testbed.results.files import read_tree, write_tree
from testbed.runs import run
from tests.helpers.reports import result, with_claims
from tests.helpers.sequences import sequence_scenario

ROOT = Path(__file__).resolve().parents[3]

SCENARIO = (
    sequence_scenario(
        "claimed",
        head="replicates = 16",
        models={"fixed": 'use = "sequence.fixed", gamma = { values = [1.5, 3.0] }'},
        times="{ geom = [1.0, 1e5, 25] }",
        more='[[theory]]\nuse = "sequence.expected-risk"\n',
    )
    + """
[[claim]]
name = "falls"
that = "monotone"
of = "fixed/excess_risk"
along = "n"
side = "decreasing"
at = { time = "oracle" }
each = ["gamma"]
[[claim]]
name = "too-steep"
that = "slope"
of = "fixed/excess_risk"
along = "n"
at = { time = "oracle", gamma = 1.5 }
expect = -3.0
within = 0.1
[[claim]]
name = "too-exact"
that = "bound"
of = "fixed/excess_risk"
at = { time = "oracle", gamma = 1.5, n = 100 }
expect = "excess_risk__expected_risk"
side = "below"
[[claim]]
name = "as-predicted"
that = "agrees"
of = "fixed/excess_risk"
at = { gamma = 1.5, n = 1600 }
expect = "excess_risk__expected_risk"
within = 4.0
"""
)


def test_a_run_supports_refutes_and_leaves_open(tmp_path):
    tree = run(read_scenario(SCENARIO), tmp_path)
    verdicts = read_verdicts(tree)
    words = [(verdict.claim, verdict.point, verdict.verdict) for verdict in verdicts]
    assert words == [
        ("falls", "gamma=1.5", "supported"),
        ("falls", "gamma=3", "supported"),
        ("too-steep", "", "refuted"),
        ("too-exact", "", "inconclusive"),
        ("as-predicted", "", "supported"),
    ]
    assert all(verdict.level == pytest.approx(0.99) for verdict in verdicts)
    assert read_verdicts(read_tree(tmp_path)) == verdicts


EXACT = """
[[claim]]
name = "theory-falls"
that = "monotone"
of = "fixed/excess_risk__expected_risk"
along = "n"
at = { time = "oracle", gamma = 1.5 }
side = "decreasing"
[[claim]]
name = "silent"
that = "unflagged"
of = "fixed"
expect = "divergence"
"""


def test_claims_that_chance_does_not_move_widen_no_interval(tmp_path):
    tree = run(read_scenario(SCENARIO + EXACT), tmp_path)
    *moved, theory, finding = read_verdicts(tree)
    assert all(verdict.level == pytest.approx(0.99) for verdict in moved)
    assert np.isnan([theory.level, finding.level]).all()
    assert theory.verdict == finding.verdict == "supported" and theory.lower == theory.upper
    lines = verdicts_text(tree).splitlines()
    assert lines[-1] == "  intervals at 99%, corrected for 5 verdicts (Bonferroni)"
    assert lines[-3].endswith(f"theory-falls: {theory.estimate:.4g}, allowed ≤ 0")


def test_the_page_on_claims_shows_what_a_terminal_shows():
    made = with_claims(
        result(),
        claim=["smooth-wins", "rough-wins", "rate"],
        verdict=["supported", "refuted", "inconclusive"],
        estimate=[-0.0035756, 0.0035756, -0.83924],
        lower=[-0.0046391, 0.0021911, -1.06881],
        upper=[-0.0021911, 0.0046391, -0.60981],
        lowest=[-np.inf, -np.inf, -0.69],
        highest=[0.0, 0.0, -0.65],
        level=[1 - 0.05 / 3] * 3,
    )
    page = (ROOT / "docs" / "claims.md").read_text(encoding="utf-8")
    assert verdicts_text(made) in page


def test_refuted_claims_have_an_exit_code_if_asked(tmp_path, invoke):
    file = tmp_path / "claimed.toml"
    file.write_text(SCENARIO)
    arguments = ["run", str(file), "-o", str(tmp_path / "run"), "--no-figures"]
    plain = invoke(*arguments)
    assert plain.exit_code == 0 and "refuted      too-steep" in plain.output
    assert "corrected for 5 verdicts" in plain.output
    assert invoke(*arguments, "--require-claims").exit_code == 3


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('that = "slope"', 'that = "slop"', "$.claim[1].that"),
        ('expect = -3.0\n', "", "$.claim[1]"),
        ('of = "fixed/excess_risk"\nalong', 'of = "fixd/excess_risk"\nalong', "$.claim[0].of"),
        ('gamma = 1.5 }\nexpect', 'gamma = 2.5 }\nexpect', "$.claim[1].at.gamma"),
        ('gamma = 1.5, n = 100', 'gamma = 1.5', "'n' is left open"),
        ('within = 4.0', 'within = 4.0\nconfidence = 1.5', "$.claim[3].confidence"),
        ('expect = "excess_risk__expected_risk"\nwithin', 'expect = "no"\nwithin', "claim[3]"),
    ],
)  # fmt: skip
def test_claims_that_cannot_be_judged_are_refused_before_anything_runs(tmp_path, old, new, words):
    with pytest.raises(ScenarioError) as caught:
        run(read_scenario(SCENARIO.replace(old, new, 1)), tmp_path)
    assert words in str(caught.value)


def test_verdicts_survive_the_file_and_lost_replicates_leave_none(tmp_path):
    scenario = read_scenario(SCENARIO)
    tree = run(scenario, tmp_path / "run")
    lost = tree.copy()
    lost["fixed"]["status"][0, 0, 0] = 2
    (claim,) = (claim for claim in scenario.claims if claim.name == "too-steep")
    (verdict,) = judge_claims([claim], lost, [], KINDS)
    assert isinstance(verdict, Verdict) and verdict.verdict == "inconclusive"
    assert "15 of 16 replicates are left at n=100; survivors = true" in verdict.reason
    (judged,) = judge_claims([evolve(claim, survivors=True)], lost, [], KINDS)
    assert judged.verdict == "refuted"
    write_tree(with_verdicts(tree, [verdict]), tmp_path / "results.nc")
    assert read_verdicts(read_tree(tmp_path / "results.nc"))[0].reason == verdict.reason


def test_all_mistakes_are_shown_at_once_with_their_paths_and_suggestions(tmp_path):
    text = SCENARIO
    for old, new in (
        ('that = "slope"', 'that = "slop"'),
        ('at = { time = "oracle" }\neach', 'at = { time = "orcale" }\neach'),
        ("gamma = 1.5, n = 100 }", "gamma = 1.5, m = 100 }"),
        ('expect = "excess_risk__expected_risk"\nwithin', 'expect = "excess_risk__exp"\nwithin'),
        ("within = 4.0", "within = 4.0\nrange = [3.0, 1.0]\nconfidence = 1.5"),
    ):
        assert old in text
        text = text.replace(old, new, 1)
    with pytest.raises(ScenarioError) as caught:
        read_scenario(text)
    assert "$.claim[3].confidence" in str(caught.value)
    text = text.replace("confidence = 1.5", "").replace("range = [3.0, 1.0]", "range = [1.0, 3.0]")
    with pytest.raises(ScenarioError) as caught:
        run(read_scenario(text), tmp_path)
    message = str(caught.value)
    for words in (
        "$.claim[0].at.time: found 'orcale'", "did you mean 'oracle'",
        "$.claim[1].that: found 'slop'", "did you mean 'slope'",
        "$.claim[2].at.m", "$.claim[2]: found that 'n' is left open",
        "$.claim[3].expect: found 'excess_risk__exp'", "did you mean 'excess_risk__expected_risk'",
        "$.claim[3].range: found no 'along'",
    ):  # fmt: skip
        assert words in message, message
    assert not (tmp_path / "results.nc").exists()


def test_most_paths_reach_a_level_or_do_not(tmp_path):
    """The plugin's kind: the share of replicates whose path ever reaches a level."""
    claims = """
[[claim]]
name = "all-do"
that = "adaptive.escapes"
of = "fixed/training_loss"
at = { n = 100, gamma = 1.5 }
expect = 1e-9
within = 0.4
[[claim]]
name = "none-does"
that = "adaptive.escapes"
of = "fixed/training_loss"
at = { n = 100, gamma = 1.5 }
expect = 1e9
within = 0.4
[[claim]]
name = "nobody-knows"
that = "adaptive.escapes"
of = "fixed/training_loss"
at = { n = 100, gamma = 1.5 }
expect = 1e-9
within = 0.01
"""
    text = SCENARIO.partition("[[claim]]")[0] + '[[metric]]\nuse = "training-loss"\n' + claims
    verdicts = read_verdicts(run(read_scenario(text), tmp_path))
    words = [verdict.verdict for verdict in verdicts]
    assert words == ["supported", "refuted", "inconclusive"]
    reach = "at least 60% of replicates have fixed/training_loss reach 1e+09"
    assert verdicts[1].statement.startswith(reach)
    # all of 16, at 98.33%: Clopper and Pearson's lower limit is (0.0167/2)^(1/16)
    assert verdicts[0].lower == pytest.approx((0.05 / 3 / 2) ** (1 / 16))


def test_a_damaged_result_gives_one_line(tmp_path, invoke):
    run(read_scenario(SCENARIO), tmp_path)
    file = tmp_path / "results.nc"
    file.write_bytes(file.read_bytes()[:-2000])
    for command in ("show", "report"):
        result = invoke(command, str(tmp_path))
        assert result.exit_code not in (0, 70), command
        lines = (result.output or "").strip().splitlines()
        assert len(lines) == 1 and "results.nc" in lines[0], (command, result.output)
