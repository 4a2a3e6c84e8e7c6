"""What is printed when training diverges, or when there are too few replicates for an interval."""

from __future__ import annotations

import re

import pytest

from testbed.console.summary import summary
from testbed.planning.files import read_scenario
from testbed.runs import run
from tests.helpers.sequences import FIXED, LEARNED, SPARSE, sequence_scenario

DIVERGING = """
format = 1
name = "diverging"
seed = 5
replicates = 16
[design]
use = "gaussian"
dim = 4
n = 40
n_test = 200
noise = 0.3
[target]
use = "single-index"
coefficients = [0.0, 0.5, 1.0]
[[estimator]]
name = "net"
[estimator.model]
use = "networks.two-layer"
width = 32
parameterization = "mean-field"
activation = "quadratic"
[estimator.optimizer]
use = "gradient-descent"
learning_rate = 0.1
times = { linspace = [1.0, 40.0, 40] }
[[metric]]
use = "excess-risk"
"""
SWEPT = sequence_scenario(
    "swept",
    head='title = "Something to look at"\nreplicates = 4\n'
    "times = { geom = [1.0, 1e3, 9], include = [0.0] }",
    target=SPARSE,
    models={"fixed": FIXED, "adaptive": f"{LEARNED}, depth = {{ values = [0, 1] }}"},
)
ALONE = sequence_scenario(
    "alone", head="seed = 1\ntimes = [1.0, 10.0]", n="{ linspace = [100, 130, 31] }", modes=4
)


@pytest.mark.parametrize(("rate", "left"), [(0.1, 2), (0.2, 0)])
def test_lost_replicates_leave_no_best_risk_and_are_counted(tmp_path, rate, left):
    settings = [f"estimator.net.optimizer.learning_rate={rate}"]
    text = summary(run(read_scenario(DIVERGING, overrides=settings), tmp_path))
    assert f"no best risk: {left} of 16 replicates are left" in text
    assert f"{16 - left} of 16 replicates are diverged" in text
    assert not re.search(r"inf|e\+\d\d", text)


@pytest.mark.parametrize("replicates", [1, 2])
def test_few_replicates_have_slopes_without_limits(tmp_path, replicates):
    scenario = read_scenario(ALONE, overrides=[f"replicates={replicates}"])
    text = summary(run(scenario, tmp_path))
    (line,) = [line for line in text.splitlines() if "slope in n" in line]
    assert "[" not in line and "an interval needs at least 3" in line
    assert "7 more points" in text  # 24 of 31 rows are shown


def test_a_summary_has_best_times_slopes_and_what_went_wrong(tmp_path):
    tree = run(read_scenario(SWEPT), tmp_path)
    text = summary(tree)
    assert text.startswith("Something to look at")
    assert text.count("slope in n") == 3
    assert "n=1600 depth=1" in text and "(95% interval)" in text
    cut = tree.copy()
    cut["fixed"] = cut["fixed"].to_dataset().isel(time=slice(0, 4))
    assert "not bracketed: at an end of the time grid, where it still falls by" in summary(cut)
    broken = tree.copy()
    broken["fixed"]["status"][0] = 1
    assert "4 of 12 replicates are failed" in summary(broken)
    assert "no best risk: 0 of 4 replicates are left" in summary(broken)
    assert "no slope: 0 of 4 replicates are left" in summary(broken)
