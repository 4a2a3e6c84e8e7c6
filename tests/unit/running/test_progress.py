"""What a run prints of its cells: failures, and the time left."""

from __future__ import annotations

import io

import numpy as np
from attrs import evolve
from rich.console import Console

from testbed.contract.cells import CellResult
from testbed.planning.files import read_scenario
from testbed.planning.plan import make_plan
from testbed.running import progress
from testbed.running.execute import execute_cell
from testbed.running.progress import ProgressWatcher
from testbed.testing import Kernel, NumericFlow
from testbed_basics.designs.dataset import Dataset
from testbed_basics.metrics.labels import TestError
from testbed_basics.optimizers.gradient_flow import GradientFlow
from testbed_basics.targets.labels import Labels
from testbed_ntk.models import DotProduct
from tests.helpers.cells import make_cell

TEN_CELLS = """
format = 1
name = "ten"
replicates = 2
[design]
use = "sequence.gaussian"
n = { values = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10] }
modes = 2
[target]
use = "sequence.power"
p = 1.0
[[estimator]]
name = "fixed"
model = { use = "sequence.fixed", gamma = 1.5 }
optimizer = { use = "gradient-flow", times = [1.0] }
[[metric]]
use = "excess-risk"
"""


def printed(cell):
    """What a run prints of a cell that fails."""
    lines = io.StringIO()
    ProgressWatcher(Console(file=lines)).finished(cell, execute_cell(cell))
    return lines.getvalue()


def test_failures_name_the_cell_and_the_data(tmp_path):
    """Eigenvalues that are negative on digits, of a kernel that is none; NaN in a file's labels."""
    design = Dataset(data="digits", classes=(3, 8), n=30, n_test=20)
    model = DotProduct(coefficients=(1.0, -1.0))
    cell = make_cell(design, Labels(), model, GradientFlow(), (1.0,), [TestError()])
    text = printed(evolve(cell, estimator="indefinite", point={"n": 30}))
    where = 'failed: indefinite(n=30) on dataset (data = "digits", classes = [3, 8]), replicates 0'
    assert where in text and "not positive semidefinite on these data" in text
    path = str(tmp_path / "bad.npz")
    np.savez(path, x=np.ones((9, 2)), y=np.full(9, np.nan))
    design = Dataset(data="file", path=path, n=5, n_test=2)
    text = printed(make_cell(design, Labels(), Kernel(), NumericFlow(), (0.0,), [TestError()]))
    where = f'failed: main() on dataset (data = "file", path = "{path}"), replicates 0 to 2: '
    assert "found 9" in text
    assert where in text and "NaN or infinite" in text


def left_after(monkeypatch, *seconds):
    """What is said of the time left, of ten equal cells, when some have taken `seconds`."""
    clock = iter(np.cumsum([0.0, *seconds]))
    now = [next(clock)]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    watcher = ProgressWatcher(Console(file=io.StringIO()))
    cells = make_plan(read_scenario(TEN_CELLS)).cells
    plan = make_plan(read_scenario(TEN_CELLS))
    watcher.started(plan, {cell.key: 0.001 for cell in plan.cells})
    for cell, now[0] in zip(cells, clock, strict=False):
        watcher.finished(cell, CellResult(cell.key, np.zeros(1, dtype=np.int8)))
    return watcher.time_left()


def test_the_first_cell_does_not_say_how_long_the_others_take(monkeypatch):
    """It loads libraries: sixty seconds that the others do not need."""
    assert left_after(monkeypatch, 60.0) == left_after(monkeypatch, 60.0, 2.0, 2.0) == ""
    assert left_after(monkeypatch, 60.0, 2.0, 2.0, 2.0) == "about 0:00:12 left"
