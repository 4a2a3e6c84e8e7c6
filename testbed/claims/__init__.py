"""Claims of a scenario, and the verdicts that its results give them.

verdicts = judge_claims(scenario.claims, tree, findings, claim_kinds(registry), published)
tree = with_published(tree, scenario.claims, published)   # the numbers that claims name
tree = with_verdicts(tree, verdicts)        # the group `claims` of results.nc
read_verdicts(tree)                         # the same list back
"""

from testbed.claims.judging import claim_kinds, judge_claims
from testbed.claims.published import with_published
from testbed.claims.rounds import rounds_of
from testbed.claims.table import read_verdicts, verdicts_text, with_verdicts
from testbed.claims.verdicts import Verdict

__all__ = [
    "Verdict",
    "claim_kinds",
    "judge_claims",
    "read_verdicts",
    "rounds_of",
    "verdicts_text",
    "with_published",
    "with_verdicts",
]
