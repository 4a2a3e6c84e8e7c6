"""How many threads a cell has follows from the cell alone."""

from __future__ import annotations

import os

import pytest
import torch
from threadpoolctl import threadpool_info

from testbed.planning.files import read_scenario
from testbed.planning.plan import make_plan
from testbed.running.executors import groups_of
from testbed.running.threads import SMALL, takes_all_threads, threads_of

SCENARIO = """
format = 1
name = "threads"
replicates = 1
[design]
use = "sphere"
dim = 3
n = {{ values = [50, {small}, {large}] }}
[target]
use = "linear"
[[estimator]]
name = "kernel"
model = {{ use = "ntk.rbf" }}
optimizer = {{ use = "spectral-filter", filter = "ridge", times = [1.0] }}
[[estimator]]
name = "network"
model = {{ use = "networks.two-layer", width = 4 }}
optimizer = {{ use = "gradient-descent", learning_rate = 0.1, times = [1.0] }}
[[metric]]
use = "excess-risk"
"""


@pytest.fixture(scope="module")
def cells():
    plan = make_plan(read_scenario(SCENARIO.format(small=SMALL, large=SMALL + 1)))
    return plan.cells


def test_large_kernel_cells_alone_take_all_threads(cells):
    wanting = [(cell.estimator, cell.index) for cell in cells if takes_all_threads(cell)]
    assert wanting == [("kernel", (2,))]
    shared, alone = groups_of(cells)
    assert [cell.index for group in alone for cell in group] == [(2,)]
    assert sum(map(len, shared)) == len(cells) - 1


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one core")
def test_the_libraries_have_the_threads_of_the_cell(cells):
    for cell in cells:
        count = os.cpu_count() if takes_all_threads(cell) else 1
        with threads_of(cell):
            assert torch.get_num_threads() == count
            blas = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
            assert {pool["num_threads"] for pool in blas} == {count}
