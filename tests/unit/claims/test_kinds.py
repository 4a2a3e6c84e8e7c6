"""Kinds of claims on shares, times and pairs of slopes, and claims that nothing is found."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from testbed.analysis import slope, time_ratio
from testbed.claims import read_verdicts
from testbed.claims.kinds import KINDS
from testbed.claims.shares import binomial_limits
from testbed.contract.claims import Evidence
from testbed.errors import ScenarioError
from testbed.planning.files import read_scenario
from testbed.runs import run

N = np.array([10.0, 100, 1000])
DESCENT = """
format = 1
name = "edges"
replicates = 12
times = { values = [20.0, 40.0, 100000.0] }
[design]
use = "sphere"
dim = 4
n = 12
noise = 0.1
[target]
use = "linear"
[[estimator]]
name = "linearised"
model = { use = "networks.linearised", of = { use = "networks.two-layer", width = 8 } }
optimizer = { use = "gradient-descent", learning_rate = { edge = { values = [0.5, 1.5] } } }
[[metric]]
use = "training-loss"
[[soundness]]
expect = "divergence"
because = "the larger step is past the edge"
"""
SHARE = 'that = "share"\nof = "linearised/diverged"\nexpect = 0.5\nwithin = 0.4\n'


def paths(slowness: np.ndarray) -> xr.DataArray:
    """Exponential decays from 2, one for each replicate."""
    times = np.concatenate([[0.0], np.geomspace(0.01, 100, 400)])
    values = 2 * np.exp(-times / slowness[:, None])
    return xr.DataArray(values, {"time": times}, ("replicate", "time"), "excess_risk")


def judged(kind: str, **facts: object) -> str:
    return KINDS[kind].judge(Evidence(**facts)).verdict


def test_limits_of_shares_leave_half_of_the_error_on_each_side():
    """By their definition, and as SciPy finds them by searching."""
    for total in (1, 5, 16):
        for count in range(total + 1):
            low, high = (float(part) for part in binomial_limits(count, total, 0.98))
            if count:
                assert stats.binom.sf(count - 1, total, low) == pytest.approx(0.01)
            if count < total:
                assert stats.binom.cdf(count, total, high) == pytest.approx(0.01)
            expected = stats.binomtest(count, total).proportion_ci(0.98)
            assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert np.isnan(binomial_limits(0, 0, 0.98)).all()


def test_few_replicates_prove_no_share():
    values = xr.DataArray(np.ones(4), dims="replicate")
    facts = {"expect": 0.5, "side": "above", "within": 0.1}
    assert judged("share", values=values, **facts) == "inconclusive"
    ones = xr.DataArray(np.ones(64), dims="replicate")
    assert judged("share", values=ones, **facts) == "supported"
    assert judged("share", values=0 * ones, **facts) == "refuted"


def test_a_share_of_pairs_is_untouched_by_a_tail():
    """Nine of ten draws gain, and one loses so much that the mean does."""
    rng = np.random.Generator(np.random.Philox(3))
    rival = 1 + 0.1 * rng.standard_normal(60)
    values = rival - 0.5
    values[::10] = 40.0
    values, rival = (xr.DataArray(part, dims="replicate") for part in (values, rival))
    facts = {"values": values, "rival": rival}
    assert judged("share", **facts, expect=0.0, side="below", within=0.5) == "supported"
    assert judged("order", **facts) != "supported"


def test_the_ratio_of_times_is_that_of_the_slownesses():
    slow = 1 + 0.1 * np.random.Generator(np.random.Philox(1)).standard_normal(20)
    table = time_ratio(paths(slow / 4), paths(slow), 0.5)
    assert float(table["estimate"]) == pytest.approx(0.25, rel=2e-3)  # times are interpolated
    assert float(table["lower"]) <= 0.25 <= float(table["upper"]) < 0.3
    assert judged("sooner", values=paths(slow / 4), rival=paths(slow), expect=0.5) == "supported"
    assert judged("sooner", values=paths(slow), rival=paths(slow / 4), expect=0.5) == "refuted"
    never = paths(slow * 1e6)
    assert judged("sooner", values=never, rival=paths(slow), expect=0.5) == "inconclusive"


def test_slopes_are_compared_in_pairs_and_on_one_side():
    rng = np.random.Generator(np.random.Philox(2))
    common = np.exp(0.5 * rng.standard_normal((16, 3)))  # each replicate's, shared by both

    def power(exponent: float) -> xr.DataArray:
        noise = np.exp(0.02 * rng.standard_normal((16, 3)))
        return xr.DataArray(common * noise * N**exponent, {"n": N}, ("replicate", "n"))

    first, second = power(-0.9), power(-0.8)
    facts = {"values": first, "along": "n", "side": "below", "level": 0.99}
    assert judged("slope", **facts, rival=second, expect=0.0) == "supported"
    assert judged("slope", **facts, rival=second, expect=-0.3) == "refuted"
    width = float(slope(first, "n", 0.99)["upper"] - slope(first, "n", 0.99)["lower"])
    assert width > 0.2, "unpaired intervals could not tell the two"
    assert judged("slope", **facts, expect=-0.5) == "supported"
    assert judged("slope", **{**facts, "side": "above"}, expect=-0.5) == "refuted"


def test_divergence_is_claimed_as_a_share_and_findings_as_missing(tmp_path):
    claims = f"""
[[claim]]
name = "diverges"
at = {{ edge = 1.5 }}
side = "above"
{SHARE}
[[claim]]
name = "stays"
at = {{ edge = 0.5 }}
side = "below"
{SHARE}
[[claim]]
name = "blown-up"
that = "unflagged"
of = "linearised"
expect = "divergence"
[[claim]]
name = "bracketed"
that = "unflagged"
of = "linearised"
expect = "truncation"
"""
    verdicts = read_verdicts(run(read_scenario(DESCENT + claims), tmp_path, figures=False))
    assert [verdict.verdict for verdict in verdicts] == [
        "supported", "supported", "refuted", "supported",
    ]  # fmt: skip
    assert verdicts[0].statement == (
        "at least 60% of replicates have linearised/diverged above 0.5 (at edge=1.5)"
    )


@pytest.mark.parametrize(
    ("claim", "words"),
    [
        ('that = "bound"\nof = "linearised/diverged"\nat = { edge = 1.5 }\nexpect = 0.5\n'
         'side = "above"', "that = 'share'"),
        (SHARE + 'at = { edge = 1.5 }\nside = "increasing"', "$.claim[0].side"),
        ('that = "slope"\nof = "linearised/training_loss"\nalong = "edge"\nexpect = 1.0\n'
         'at = { time = 20.0 }', "neither 'within' nor 'side'"),
        ('that = "unflagged"\nof = "lineraised"\nexpect = "divergence"', "$.claim[0].of"),
    ],
)  # fmt: skip
def test_claims_that_make_no_sense_are_refused(tmp_path, claim, words):
    text = f'{DESCENT}[[claim]]\nname = "wrong"\n{claim}\n'
    with pytest.raises(ScenarioError) as caught:
        run(read_scenario(text), tmp_path)
    assert words in str(caught.value)
