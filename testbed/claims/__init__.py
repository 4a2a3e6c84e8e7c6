"""Claims of a scenario, and the verdicts that its results give them.

verdicts = judge_claims(scenario.claims, tree, findings, claim_kinds(registry), published)
tree = with_published(tree, scenario.claims, published)   # the numbers that claims name
tree = with_verdicts(tree, verdicts)        # the group `claims` of results.nc
read_verdicts(tree)                         # the same list back
found_text(verdict), allowed_text(verdict)  # what a page says of it; level_text(verdicts) of all
"""

from testbed.claims.judging import claim_kinds, judge_claims
from testbed.claims.published import with_published
from testbed.claims.rounds import rounds_of
from testbed.claims.table import read_verdicts, verdicts_text, with_verdicts
from testbed.claims.verdicts import Verdict
from testbed.claims.words import allowed_text, found_text, level_text

__all__ = [
    "Verdict",
    "allowed_text",
    "claim_kinds",
    "found_text",
    "judge_claims",
    "level_text",
    "read_verdicts",
    "rounds_of",
    "verdicts_text",
    "with_published",
    "with_verdicts",
]
