"""The claim that training escapes: most replicates reach a level."""

from __future__ import annotations

from testbed import ClaimKind, Evidence, Judgement


def judge_escapes(evidence: Evidence) -> Judgement:
    """The share of draws in which `of` ever reaches `expect` is at least 1 − `within`, with the
    interval of Clopper and Pearson."""
    from scipy import stats  # imported here: it slows down start-up

    values = evidence.values
    present = values.notnull().any("time")
    total = int(present.sum())
    count = int(((values >= evidence.expect).any("time") & present).sum())
    allowed = (1 - evidence.within, 1.0)
    level = 1 - (1 - evidence.level) / evidence.looks
    interval = stats.binomtest(count, total).proportion_ci(level)
    return Judgement(
        estimate=count / total, lower=interval.low, upper=interval.high, allowed=allowed
    )


ESCAPES = ClaimKind(
    "adaptive.escapes",
    "most replicates reach a level",
    judge_escapes,
    requires=("expect", "within"),
    takes=("time",),
    sentence="at least {least} of replicates have {of} reach {expect}",
)
