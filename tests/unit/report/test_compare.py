"""Two results beside each other."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from testbed.report import comparison
from tests.helpers.reports import result, with_claims
from tests.helpers.trees import WIDTHS, group


def sections(text):
    parts, name = {}, ""
    for line in text.splitlines():
        if line and not line.startswith(" "):
            name = line
            parts[name] = []
        elif line:
            parts[name].append(line.strip())
    return parts


def test_equal_results_do_not_differ():
    parts = sections(comparison(result(), result()))
    assert set(parts) == {"scenario", "versions", "verdicts", "numbers"}
    assert all(lines == ["no difference"] for lines in parts.values())


@pytest.fixture
def changed():
    shifted = group({"width": list(WIDTHS)})
    shifted["excess_risk"].loc[{"width": 100}] *= 1.5
    made = result("Another", dataset=shifted, source="python 3.11.7, testbed 0.2.0, numpy 2.1.0")
    made.attrs["scenario"] = made.attrs["scenario"].replace("100, 1000]", "100, 999]")
    return made


def test_what_changed_is_named_with_both_values(changed):
    first = with_claims(result(), claim=["falls", "gone"], verdict=["supported", "refuted"])
    second = with_claims(changed, claim=["falls"], verdict=["refuted"])
    parts = sections(comparison(first, second))
    assert "$.title: 'A title' → 'Another'" in parts["scenario"]
    assert any(line.startswith("$.estimator[network].model.width") for line in parts["scenario"])
    assert parts["versions"] == ["testbed: 0.1.0 → 0.2.0"]
    assert sorted(parts["verdicts"]) == ["falls: supported → refuted", "gone: refuted → nothing"]
    (line,) = parts["numbers"]
    assert line.startswith("network/excess_risk: largest difference") and "at width=100" in line
    assert "paired" in line and "at 1 of 3 points" in line and "50.00%" in line


def test_fewer_replicates_are_compared_with_their_like_and_it_says_so():
    fewer = result(dataset=group({"width": list(WIDTHS)}).isel(replicate=slice(0, 3)))
    (line,) = sections(comparison(result(), fewer))["numbers"]
    assert "compared over the 3 replicates that both have" in line


def test_other_seeds_are_not_paired(changed):
    changed.attrs["seed"] = 8
    (line,) = sections(comparison(result(), changed))["numbers"]
    assert "paired" not in line and "95% interval" in line


def test_results_without_points_or_estimators_in_common():
    elsewhere = result(dataset=group({"width": [7, 8]}))
    assert sections(comparison(result(), elsewhere))["numbers"] == [
        "network/excess_risk: no points in common"
    ]
    renamed = xr.DataTree.from_dict({"/other": result()["network"].to_dataset()})
    lines = sections(comparison(result(), renamed))["numbers"]
    assert lines == ["network: only in the first", "other: only in the second"]
    lost = result()
    lost["network"]["excess_risk"][:] = np.nan
    assert "missing" in sections(comparison(result(), lost))["numbers"][0]
