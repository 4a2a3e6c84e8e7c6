"""Verdicts: calibrated on samples of known truth, and found by a run of a scenario."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from click.testing import CliRunner

from testbed.claims import Verdict, judge_claims, read_verdicts, with_verdicts
from testbed.claims.kinds import KINDS
from testbed.console.cli import main
from testbed.contract.claims import Evidence
from testbed.errors import ScenarioError
from testbed.planning.files import read_scenario
from testbed.results.files import read_tree, write_tree
from testbed.runs import run

N = np.array([100.0, 1000, 10_000])
TRIALS = 30


def replicates(rng, law: str, scale, count: int) -> xr.DataArray:
    """Replicates with mean `scale` along n."""
    shape = (count, len(N))
    factor = rng.exponential(size=shape) if law == "exponential" else (
        1 + 0.3 * rng.standard_normal(shape)
    )  # fmt: skip
    return xr.DataArray(scale * factor, {"n": N}, ("replicate", "n"), "excess_risk")


CASES = {  # evidence of a true claim at the edge of what it allows, or a false one far off
    "slope": lambda a, b, true: {"values": a, "along": "n", "expect": -0.4 if true else 0.5,
                                 "within": 0.1},
    "order": lambda a, b, true: {"values": a.isel(n=0), "rival": (b if true else b / 9).isel(n=0)},
    "equal": lambda a, b, true: {"values": a.isel(n=0), "rival": (b if true else 9 * b).isel(n=0),
                                 "within": 0.02},
    "agrees": lambda a, b, true: {"values": a, "within": 0.1,
                                  "theory": a["n"] ** -0.5 / (1.1 if true else 8)},
    "monotone": lambda a, b, true: {"values": a, "along": "n",
                                    "side": "decreasing" if true else "increasing"},
    "bound": lambda a, b, true: {"values": a.isel(n=0), "expect": 0.1 if true else 0.01,
                                 "side": "below"},
}  # fmt: skip


@pytest.mark.parametrize("law", ["normal", "exponential"])
@pytest.mark.parametrize("kind", CASES)
def test_true_claims_are_seldom_refuted_and_false_ones_are_found(kind, law):
    """30 trials of 16 replicates: at most 5 true claims are refuted (0.3% have more), and more
    than 70% of those that are far off."""
    rng = np.random.Generator(np.random.Philox(len(kind) + (law == "normal")))
    refuted = {True: 0, False: 0}
    for _ in range(TRIALS):
        first, second = (replicates(rng, law, N**-0.5, 16) for _ in range(2))
        for true in refuted:
            evidence = Evidence(**CASES[kind](first, second, true))
            refuted[true] += KINDS[kind].judge(evidence).verdict == "refuted"
    assert refuted[True] <= 5
    assert refuted[False] > 0.7 * TRIALS


SCENARIO = """
format = 1
name = "claimed"
replicates = 16
[design]
use = "sequence.gaussian"
n = { values = [100, 400, 1600] }
modes = 60
[target]
use = "sequence.power"
p = 1.0
[[estimator]]
name = "fixed"
model = { use = "sequence.fixed", gamma = { values = [1.5, 3.0] } }
optimizer = { use = "gradient-flow", times = { geom = [1.0, 1e5, 25] } }
[[metric]]
use = "excess-risk"
[[theory]]
use = "sequence.expected-risk"
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


def test_refuted_claims_have_an_exit_code_if_asked(tmp_path):
    file = tmp_path / "claimed.toml"
    file.write_text(SCENARIO)
    arguments = ["run", str(file), "-o", str(tmp_path / "run"), "--no-figures"]
    plain = CliRunner().invoke(main, arguments)
    assert plain.exit_code == 0 and "refuted      too-steep" in plain.output
    assert "corrected for 5 verdicts" in plain.output
    assert CliRunner().invoke(main, [*arguments, "--require-claims"]).exit_code == 3


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
    assert "15 of 16 replicates are left" in verdict.reason
    write_tree(with_verdicts(tree, [verdict]), tmp_path / "results.nc")
    assert read_verdicts(read_tree(tmp_path / "results.nc"))[0].reason == verdict.reason
