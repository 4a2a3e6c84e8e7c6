"""True claims are refuted in at most 5% of trials, false ones found with the stated power.

The trials are those of `benchmarks/verify/calibration.py`; seeds are fixed. A bound on a share
allows two binomial standard errors, 1.0 points at 2000 trials: a kind whose true rate is 5% passes
with 97.5%. `make verify` runs all kinds at 2000 trials and 64 replicates too.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from testbed.claims.kinds import KINDS, MEASURES, Measured
from testbed.contract.claims import Evidence, Judgement

TRIALS = 2000
FAST = ("slope", "order", "equal", "ratio", "agrees", "monotone", "bound", "share")


@pytest.fixture(scope="module")
def calibration():
    folder = str(Path(__file__).resolve().parents[3] / "benchmarks" / "verify")
    sys.path.insert(0, folder)
    import calibration

    yield calibration
    sys.path.remove(folder)
    sys.modules.pop("calibration")


def test_every_kind_is_calibrated(calibration):
    assert set(calibration.KINDS) == set(MEASURES) == set(KINDS) - {"flagged", "unflagged"}


@pytest.mark.parametrize("law", ["normal", "skewed"])
@pytest.mark.parametrize("kind", FAST)
def test_true_claims_are_seldom_refuted_and_false_ones_are_found(calibration, kind, law):
    for count in (8, 16, 64):
        rate = calibration.rate(kind, law, count, TRIALS)
        assert rate.refuted <= 0.05 + 2 * rate.error, rate
        assert rate.detected >= calibration.POWER, rate


@pytest.mark.parametrize(
    ("kind", "trials"), [("converges", TRIALS), ("collapse", 200), ("sooner", 1000)]
)
def test_kinds_that_take_long_are_calibrated(calibration, kind, trials):
    for law in ("normal", "skewed"):
        rate = calibration.rate(kind, law, 8, trials)
        assert rate.refuted <= 0.05 + 2 * rate.error, rate
        assert rate.detected >= calibration.POWER, rate


def test_several_claims_together_are_wrong_in_five_per_cent(calibration):
    """Of five true bounds at their edge, any is refuted in at most 5%; uncorrected in more."""
    for law, count in (("normal", 16), ("skewed", 64)):
        assert calibration.family_rate(law, count, TRIALS) <= 0.05 + 0.0098
        assert calibration.family_rate(law, count, TRIALS, correct=False) > 0.07


@pytest.mark.parametrize("law", ["normal", "skewed"])
@pytest.mark.parametrize("kind", FAST)
def test_adaptive_replication_keeps_the_error_rates(calibration, kind, law):
    """Replicates are doubled from 8 to 64 until a claim is decided."""
    rate = calibration.adaptive_rate(kind, law, TRIALS)
    assert rate.refuted <= 0.05 + 2 * rate.error, rate
    assert rate.detected >= calibration.POWER, rate


def test_intervals_cover_where_a_standard_error_stops_a_run(calibration):
    for law in ("normal", "skewed"):
        assert calibration.stopped_coverage(law, TRIALS) >= 0.95 - 0.0098
    assert calibration.stopped_coverage("skewed", TRIALS, accounted=False) < 0.94


def test_many_trials_are_judged_like_each_alone(calibration):
    rng = np.random.Generator(np.random.Philox(5))
    for kind in calibration.KINDS:
        facts = calibration.evidence(kind, calibration.Trials(rng, "skewed", 8, 4), 1.0)
        together = MEASURES[kind][1](Evidence(**facts, separate=("trial",)))
        words = together.verdicts()
        for trial in range(4):
            alone = {
                key: value.isel(trial=trial, drop=True) if "trial" in getattr(value, "dims", ())
                else value
                for key, value in facts.items()
            }  # fmt: skip
            judgement = KINDS[kind].judge(Evidence(**alone))
            assert judgement.verdict == str(words.isel(trial=trial).item()), kind
            np.testing.assert_allclose(judgement.lower, together.table["lower"][trial])


def test_the_rule_of_many_verdicts_is_that_of_one():
    rng = np.random.Generator(np.random.Philox(6))
    lower = rng.standard_normal(300).round(1)
    upper = lower + abs(rng.standard_normal(300)).round(1)
    lower[:3], upper[3:6] = np.nan, np.nan
    reason = np.array(["", "because"])[(rng.random(300) < 0.1).astype(int)].astype(object)
    rows = {"estimate": lower, "lower": lower, "upper": upper, "reason": reason}
    table = xr.Dataset({name: ("trial", values) for name, values in rows.items()})
    allowed = (-0.5, 0.5)
    words = Measured(table, allowed).verdicts().values
    for i in range(300):
        judgement = Judgement(
            estimate=lower[i], lower=lower[i], upper=upper[i], allowed=allowed, reason=reason[i]
        )
        assert judgement.verdict == words[i]
    assert len(set(words)) == 3
