"""A small run whose folder tests damage, merge, prune and show."""

from __future__ import annotations

from testbed.planning.files import read_scenario

TRAINING = """
format = 1
name = "folders"
title = "Folders"
seed = 4
replicates = 4
[design]
use = "sequence.gaussian"
n = { values = [50, 100] }
modes = 20
[target]
use = "sequence.power"
p = 1.0
[[estimator]]
name = "fixed"
model = { use = "sequence.fixed", gamma = 1.5 }
optimizer = { use = "gradient-flow", times = [1.0, 2.0] }
"""
SCENARIO = f"""{TRAINING}[[metric]]
use = "excess-risk"
[[metric]]
use = "eigenvalues"
replicates = "mean"
[[theory]]
use = "sequence.expected-risk"
[compute]
block = 2
"""


def scenario(text=SCENARIO, path="folders.toml"):
    return read_scenario(text, path)


def changed(text, changes):
    """The text with parts of it replaced; each has to be there."""
    for before, after in changes.items():
        assert before in text, before
        text = text.replace(before, after)
    return text
