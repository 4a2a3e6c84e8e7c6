"""A key that nobody reads is a mistake at its place, whatever table it stands in."""

from __future__ import annotations

import copy
import tomllib

import pytest

from testbed.errors import ScenarioError
from testbed.runs import checked_plan
from testbed.scenario.scenario import Scenario

TEXT = """
format = 1
name = "unread"
seed = 3
replicates = 2
times = { geom = [1.0, 10.0, 4], include = [0.0] }
[design]
use = "sequence.gaussian"
n = { values = [50, 100], dim = "n" }
modes = 20
[target]
use = "sequence.power"
p = 1.0
[compute]
memory = 1.0
[[estimator]]
name = "a"
simulate = { n = 100 }
model = { use = "sequence.diagonal", gamma = { linspace = [1.5, 2.5, 2] } }
optimizer = { use = "gradient-descent", learning_rate = { edge = 0.2 } }
[[estimator]]
name = "b"
model = { use = "sequence.fixed", gamma = 1.5 }
optimizer = { use = "gradient-flow" }
[[metric]]
use = "excess-risk"
times = { values = [1.0, 10.0] }
[[theory]]
use = "sequence.expected-risk"
[[figure]]
kind = "paths"
of = "excess_risk"
at = { n = 50 }
[[claim]]
name = "c"
that = "slope"
of = "b/excess_risk"
along = "n"
at = { time = "oracle" }
expect = -0.5
within = 0.5
[[soundness]]
expect = "wide-mean"
because = "few replicates"
"""


def tables(value, place="$"):
    """Every table of a document, by its place."""
    if isinstance(value, dict):
        yield place, value
        for key, part in value.items():
            yield from tables(part, f"{place}.{key}")
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from tables(part, f"{place}[{index}]")


PLACES = [place for place, _ in tables(tomllib.loads(TEXT))]


def mistakes(document):
    with pytest.raises(ScenarioError) as caught:
        checked_plan(Scenario.from_dict(document))
    return [mistake.where.removeprefix("scenario: ") for mistake in caught.value.mistakes]


def test_the_scenario_is_right_without_such_keys():
    assert checked_plan(Scenario.from_text(TEXT)).cells
    assert len(PLACES) == 23


@pytest.mark.parametrize("place", PLACES)
def test_a_key_that_nobody_reads_is_a_mistake_at_its_place(place):
    document = tomllib.loads(TEXT)
    dict(tables(document))[place]["nobody"] = 1
    of_a_choice = place.endswith("learning_rate")  # a number, or a table with a single key
    assert mistakes(document)[0] == (place if of_a_choice else f"{place}.nobody")


def test_all_of_them_are_named_at_once():
    document = tomllib.loads(TEXT)
    late = [place for place in PLACES if place.endswith((".at", "learning_rate"))]
    for place, table in list(tables(copy.deepcopy(document))):
        if place not in late:
            dict(tables(document))[place]["nobody"] = table
    named = set(mistakes(document))
    assert named >= {f"{place}.nobody" for place in PLACES if place not in late}


def test_mistakes_of_figures_and_claims_are_named_at_once():
    document = tomllib.loads(TEXT)
    document["figure"][0]["at"] = {"noone": 1}
    document["figure"].append({"kind": "learning-curves", "x": "nonsense"})
    document["claim"][0]["at"] = {"noone": 1, "time": "oracle"}
    assert mistakes(document) == ["$.figure[0].at.noone", "$.figure[1].x", "$.claim[0].at.noone"]
