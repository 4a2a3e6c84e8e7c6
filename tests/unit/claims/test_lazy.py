"""Claims on chunked results: one of each kind has the verdict that it has in memory."""

from __future__ import annotations

import numpy as np

from testbed.claims import judge_claims
from testbed.claims.kinds import KINDS
from testbed.planning.files import read_scenario
from testbed.runs import run
from tests.helpers.sequences import FIXED, LEARNED, sequence_scenario

CLAIMED = sequence_scenario(
    "claimed",
    head="replicates = 12\ntimes = { geom = [1.0, 1e4, 9] }",
    modes=40,
    models={"fixed": FIXED, "learned": LEARNED},
    more='[[theory]]\nuse = "sequence.expected-risk"\n',
)
KEYS = {
    "slope": 'along = "n"\nat = { time = "oracle" }\nexpect = -0.5\nwithin = 0.2',
    "order": 'than = "learned/excess_risk"\nat = { time = "oracle", n = 100 }',
    "equal": 'than = "learned/excess_risk"\nat = { time = 10.0, n = 100 }\nwithin = 0.3',
    "ratio": 'than = "learned/excess_risk"\nalong = "n"\nat = { time = "oracle" }\nexpect = 1.0\n'
    'side = "above"',
    "agrees": 'expect = "excess_risk__expected_risk"\nwithin = 0.9',
    "monotone": 'along = "n"\nat = { time = "oracle" }\nside = "decreasing"',
    "converges": 'along = "n"\nat = { time = 10.0 }\nexpect = 0.0\nwithin = 0.5',
    "bound": 'along = "time"\nat = { n = 100 }\nexpect = 2.0\nside = "below"',
    "collapse": 'along = "n"\nexpect = 0.5\nwithin = 0.5',
    "share": 'along = "n"\nat = { time = "oracle" }\nexpect = 0.5\nside = "below"\nwithin = 0.5',
    "sooner": 'than = "learned/excess_risk"\nat = { n = 1600 }\nexpect = 0.5',
}


def test_claims_on_chunked_results_have_the_same_verdicts(tmp_path):
    assert set(KEYS) == set(KINDS) - {"flagged", "unflagged"}
    text = CLAIMED + "".join(
        f'[[claim]]\nname = "{kind}"\nthat = "{kind}"\nof = "fixed/excess_risk"\n{keys}\n'
        for kind, keys in KEYS.items()
    )
    scenario = read_scenario(text)
    tree = run(scenario, tmp_path, figures=False)
    expected = judge_claims(scenario.claims, tree, [], KINDS)
    assert not any("could not be judged" in verdict.reason for verdict in expected)
    lazy = tree.chunk({"n": 2, "replicate": 7, "time": 5})
    assert lazy["fixed"]["excess_risk"].chunks
    verdicts = judge_claims(scenario.claims, lazy, [], KINDS)
    for verdict, reference in zip(verdicts, expected, strict=True):
        assert (verdict.verdict, verdict.reason) == (reference.verdict, reference.reason)
        for part in ("estimate", "lower", "upper"):
            np.testing.assert_allclose(getattr(verdict, part), getattr(reference, part), rtol=1e-10)
