"""Published numbers: read, found by key, laid beside results, stored and refused."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from testbed.claims import read_verdicts
from testbed.claims.published import as_dataset, beside, published_number, selected
from testbed.contract.published import read_published
from testbed.errors import ScenarioError, TestbedError
from testbed.loading import load_registry
from testbed.planning.files import read_scenario
from testbed.results.files import read_tree
from testbed.runs import checked_plan, run
from tests.helpers.sequences import SPARSE, sequence_scenario

FIGURE = "2409.00894_figure-1"


@pytest.fixture(scope="module")
def published():
    return load_registry().published()


def test_shipped_numbers_are_those_of_the_papers(published):
    slope = published_number(f"{FIGURE}/fixed_slope", published)
    assert selected(slope, {"gamma": 3.0}).item() == -0.341
    spans = published_number("2509.20294_figure-1/span_at_start", published)
    assert dict(zip(spans["q"].values, spans.values, strict=True)) == {
        1.0: 15, 1.5: 46, 2.0: 121, 2.5: 253, 3.0: 512,
    }  # fmt: skip
    assert "arXiv:2409.00894" in published[f"{FIGURE}/fixed_slope"].labels["source"]


def test_printed_lines_are_those_of_the_slopes_and_levels(published):
    """Two routes: the ends of the lines, and slope and level as printed."""
    n = xr.DataArray(np.geomspace(2000, 10_000, 6), dims="n")
    values = xr.DataArray(np.zeros(6), {"n": n}, "n")
    for name in ("fixed", "adaptive"):
        ends = published_number(f"{FIGURE}-lines/{name}_risk", published).sel(gamma=1.5)
        slope, level = (
            published_number(f"{FIGURE}/{name}_{part}", published).sel(gamma=1.5).item()
            for part in ("slope", "level")
        )
        line = beside(ends, values)
        np.testing.assert_allclose(line, 10 ** (slope * np.log10(n) + level), rtol=1e-5)


def test_every_shipped_number_is_found_at_its_coordinates(published):
    """Also in tables of one row without coordinates, such as the slopes of wide networks."""
    assert as_dataset(published["1806.07572_width/gap_slope"])["gap_slope"].item() == -0.43
    for key, table in published.items():
        numbers = as_dataset(table)[key.partition("/")[2]]
        for row, number in enumerate(table.columns[key.partition("/")[2]]):
            point = {name: table.columns[name][row] for name in table.coordinates}
            np.testing.assert_equal(numbers.sel(point).item(), number)


def test_numbers_are_not_continued_beyond_what_is_published(published):
    ends = published_number(f"{FIGURE}-lines/fixed_risk", published).sel(gamma=1.5)
    values = xr.DataArray(np.zeros(3), {"n": [1000.0, 2000.0, 20_000.0]}, "n")
    assert np.isnan(beside(ends, values)).values.tolist() == [True, False, True]


def test_rows_without_a_partner_leave_gaps(tmp_path):
    file = tmp_path / "a_table.csv"
    head = "# source: S\n# kind: printed\n# settings: none\n#   at all\n# coordinates: m, name\n"
    file.write_text(head + "m,name,value\n2,b,1.5\n1,a,0.5\n")
    table = read_published(file)
    assert table.labels["settings"] == "none at all"
    dataset = as_dataset(table)
    assert dataset["value"].dims == ("m", "name")
    assert dataset["value"].sel(m=2, name="b") == 1.5
    assert np.isnan(dataset["value"].sel(m=1, name="b"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x\n1\n", "found no line `# source"),
        ("# source: S\n# kind: guessed\n# settings: s\nx\n1\n", "found the kind 'guessed'"),
        ("# source: S\n# kind: printed\n# settings: s\nx,y\n1\n", "found a row of 1 values"),
        ("# source: S\n# kind: printed\n# settings: s\nx\n", "found no row"),
        (
            "# source: S\n# kind: printed\n# settings: s\n# coordinates: z\nx\n1\n",
            "found the coordinate 'z'",
        ),
    ],
)
def test_a_file_that_is_no_table_is_named_in_one_line(tmp_path, text, words):
    file = tmp_path / "wrong.csv"
    file.write_text(text)
    with pytest.raises(TestbedError) as caught:
        read_published(file)
    assert words in str(caught.value) and str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


SCENARIO = (
    sequence_scenario(
        "published",
        head="replicates = 8",
        n="{ values = [2000, 6000, 10000] }",
        modes=4000,
        target=SPARSE,
        models={"fixed": 'use = "sequence.fixed", gamma = { values = [1.5, 3.0] }'},
        times="{ geom = [10.0, 1e9, 41] }",
    )
    + """
[[claim]]
name = "slope"
that = "slope"
of = "fixed/excess_risk"
along = "n"
at = { time = "oracle" }
each = ["gamma"]
expect = "2409.00894_figure-1/fixed_slope"
within = 0.2
[[claim]]
name = "level"
that = "agrees"
of = "fixed/excess_risk"
at = { time = "oracle", gamma = 1.5 }
expect = "2409.00894_figure-1-lines/fixed_risk"
within = 0.5
"""
)


def test_a_claim_takes_the_number_of_its_point_and_the_result_keeps_it(tmp_path):
    run(read_scenario(SCENARIO), tmp_path)
    tree = read_tree(tmp_path)
    first, second, level = read_verdicts(tree)
    assert (first.lowest + first.highest) / 2 == pytest.approx(-0.374)
    assert (second.lowest + second.highest) / 2 == pytest.approx(-0.341)
    assert level.verdict == "supported"
    assert first.source.endswith("Figure 1") and "power" in first.statement
    stored = tree["published"][f"{FIGURE}-lines"]["fixed_risk"]
    assert stored.attrs["compares"] == "fixed/excess_risk"
    assert stored.sel(gamma=1.5, n=2000).item() == pytest.approx(0.1136, rel=1e-3)
    assert "gamma" in tree["published"][FIGURE].coords


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("figure-1/fixed_slope", "figure-1/fixed_slop", "did you mean '2409.00894_figure-1/fixed"),
        ('each = ["gamma"]', "", "'gamma' is left open"),
        ("gamma = { values = [1.5, 3.0] }", "gamma = { values = [1.5, 2.0] }", "gamma = 2.0, for"),
    ],
)
def test_a_wrong_key_is_refused_with_a_suggestion(old, new, words):
    with pytest.raises(ScenarioError) as caught:
        checked_plan(read_scenario(SCENARIO.replace(old, new, 1)))
    assert "$.claim[0]" in str(caught.value) and words in str(caught.value)
