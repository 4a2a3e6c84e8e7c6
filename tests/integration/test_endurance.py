"""Whatever happens to a run, its numbers are those of an undisturbed one, and no cell is lost."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from testbed.errors import ResultError
from testbed.loading import load_registry
from testbed.planning.files import read_scenario
from testbed.results.files import read_tree
from testbed.results.states import StateFolder
from testbed.results.status import open_journal
from testbed.runs import Options, execute_run
from testbed.runs.merging import merge_runs

FAULTY = Path(__file__).parent / "faulty"
SCENARIO = """
format = 1
name = "endurance"
seed = 11
replicates = 2
[design]
use = "sequence.gaussian"
n = {{ values = [{points}] }}
modes = 12
[target]
use = "sequence.power"
p = 1.0
[[estimator]]
name = "f"
model = {{ use = "sequence.fixed", gamma = 1.5 }}
optimizer = {{ use = "gradient-flow", times = [1.0, 10.0] }}
[[metric]]
use = "excess-risk"
{more}
[compute]
block = 1
"""
EDITED = 'model = { use = "faulty.model", rate = 0.5 }'


def text(points=range(100, 1000, 100), metrics=()):
    more = "\n".join(f'[[metric]]\nuse = "training-loss"\nname = "{name}"' for name in metrics)
    return SCENARIO.format(points=", ".join(map(str, points)), more=more)


# --- kill -9 ------------------------------------------------------------------------------------

KILLER = """
import os, random, sys, time
from pathlib import Path
from testbed.planning.files import load_scenario
from testbed.runs import execute_run
import testbed.running.execute, testbed.running.postponed
file, folder, count = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
random.seed(7)
scenario = load_scenario(file)
keeping = load_scenario(file, ["compute.keep_states=true"])
started = time.monotonic()
execute_run(keeping, folder / "warm")                   # loads what a run needs
started = time.monotonic()
execute_run(scenario, folder / "measured")
length = time.monotonic() - started
for trial in range(count):
    place = folder / f"killed-{trial // 4}"              # four kills in a row in one folder
    child = os.fork()
    if not child:
        execute_run(keeping if trial // 4 % 2 else scenario, place)
        os._exit(0)
    time.sleep(random.uniform(0.0, 1.2 * length))
    os.kill(child, 9)
    os.waitpid(child, 0)
    print(trial, flush=True)
"""


def test_twenty_kills_at_random_moments_cost_no_cell_and_change_no_bit(tmp_path):
    """After every kill the result is whole or not there, every row of the journal is true, and so
    is every file of kept states; half of the runs keep them."""
    file = tmp_path / "endurance.toml"
    file.write_text(text())
    command = [sys.executable, "-c", KILLER, str(file), str(tmp_path), "20"]
    process = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)
    assert process.returncode == 0, process.stderr
    reference = read_tree(tmp_path / "measured")["f"]["excess_risk"]
    for trial in range(5):
        place = tmp_path / f"killed-{trial}"
        if not place.exists():
            continue
        if (place / "results.nc").exists():
            np.testing.assert_array_equal(read_tree(place)["f"]["excess_risk"], reference)
        journal = open_journal(place)
        cells = len(list(journal.stored(journal.cell_keys())))
        assert not journal.notes
        journal.close()
        states = StateFolder(place)
        assert all(states.is_whole(key) for key in states.sizes())
        assert len(states.sizes()) >= cells * (trial % 2)
        # a watcher takes the note that a cell was running, which would else be a warning
        outcome = execute_run(read_scenario(text(), str(file)), place, Options(), Stopper(-1))
        assert outcome.reused == cells and not outcome.failed
        xr.testing.assert_identical(outcome.tree["f"]["excess_risk"], reference)
        assert not list(place.rglob(".writing*"))


# --- every order of events ------------------------------------------------------------------------


class Stopped(BaseException):
    """Ends a run between two cells, as a kill does."""


class Stopper:
    """Lets so many cells finish."""

    def __init__(self, cells):
        self.left = cells

    def started(self, plan, missing):
        if not self.left:
            raise Stopped

    def noted(self, text):
        pass

    def finished(self, cell, result):
        self.left -= 1
        if not self.left:
            raise Stopped


class Folder(RuleBasedStateMachine):
    """A run folder beside a plain model of it: the cells that its journal holds, and the factor
    with which the kept states of every (point, replicate) were trained last.

    A cell is (point, replicate, metrics, factor of the plugin's formula). The values of a cell are
    those that a run in a folder of its own gives.
    """

    base: Path
    truth: ClassVar[dict[float, xr.Dataset]] = {}
    number = 0

    def __init__(self):
        super().__init__()
        Folder.number += 1
        self.folder = self.base / f"folder-{Folder.number}"
        self.points, self.metrics, self.replicates = [100, 300], [], 2
        self.cells: set[tuple[object, ...]] = set()
        self.states: dict[tuple[int, int], float] = {}
        self.keeping = False

    @initialize(factor=st.sampled_from([1.0, 2.0]))
    def install(self, factor):
        self.write(factor)

    def write(self, factor):
        """Put a formula into the plugin's helper module, and load the plugin anew."""
        (self.base / "testbed_faulty_helper.py").write_text(f"FACTOR = {factor}\n")
        for name in ("testbed_faulty", "testbed_faulty_helper"):
            sys.modules.pop(name, None)
        load_registry.cache_clear()
        self.factor = factor

    def scenario(self, points=None):
        written = text(points or self.points, self.metrics)
        written = written.replace('model = { use = "sequence.fixed", gamma = 1.5 }', EDITED)
        keeping = f"compute.keep_states={str(self.keeping).lower()}"
        return read_scenario(written, "endurance.toml", [f"replicates={self.replicates}", keeping])

    def planned(self, points=None):
        return [
            (point, replicate, tuple(self.metrics), self.factor)
            for point in points or self.points
            for replicate in range(self.replicates)
        ]

    @rule()
    def run(self):
        self.expect(execute_run(self.scenario(), self.folder, Options(), Stopper(-1)))

    @rule(cells=st.integers(0, 3))
    def kill(self, cells):
        missing = self.missing()
        try:
            outcome = execute_run(self.scenario(), self.folder, Options(), Stopper(cells))
        except Stopped:
            self.finish(missing[:cells])
        else:
            self.expect(outcome)

    @rule(factor=st.sampled_from([1.0, 2.0, 3.0]))
    def edit(self, factor):
        self.write(factor)

    @rule(point=st.sampled_from([50, 200, 500]))
    def add_point(self, point):
        if point not in self.points:
            self.points.insert(0, point)

    @rule()
    def add_replicate(self):
        self.replicates = min(self.replicates + 1, 4)

    @rule(metric=st.sampled_from(["loss", "fit"]), keeping=st.booleans())
    def add_metric(self, metric, keeping):
        """With kept states and without; states that are there serve either way."""
        self.metrics, self.keeping = sorted({*self.metrics, metric}), keeping

    @rule()
    def drop_metrics(self):
        self.metrics = []

    @rule(keeping=st.booleans())
    def keep_states(self, keeping):
        self.keeping = keeping

    @rule()
    def measure(self):
        """Measuring alone refuses if a cell would have to be trained, and changes nothing then."""
        if not self.folder.exists():
            return
        only, missing = Options(measure_only=True), self.missing()
        if all(self.has_states(cell) for cell in missing):
            self.expect(execute_run(self.scenario(), self.folder, only, Stopper(-1)))
        else:
            with pytest.raises(ResultError, match="cannot be measured without training"):
                execute_run(self.scenario(), self.folder, only, Stopper(-1))

    @rule(point=st.sampled_from([700, 900]))
    def merge(self, point):
        """A run of another point, made elsewhere, joins."""
        if point in self.points or not self.folder.exists():
            return
        execute_run(self.scenario(), self.folder, Options(), Stopper(-1))
        self.finish(self.missing())
        elsewhere = self.base / f"elsewhere-{Folder.number}-{point}-{len(self.cells)}"
        execute_run(self.scenario([point]), elsewhere, Options(), Stopper(-1))
        joined = self.base / f"joined-{Folder.number}-{point}-{len(self.cells)}"
        merge_runs([self.folder, elsewhere], joined)
        for cell in self.planned([point]):
            self.states.pop(cell[:2], None)  # a new folder has the states of its own runs alone
        self.finish(self.planned([point]))
        self.points = sorted([*self.points, point])
        self.folder = joined

    def expect(self, outcome):
        """What the run reused is what the model holds, and every number is right."""
        planned, missing = self.planned(), self.missing()
        assert outcome.reused == len(planned) - len(missing)
        assert outcome.measured == sum(map(self.has_states, missing))
        assert not outcome.failed
        self.finish(missing)
        results = outcome.tree["f"].to_dataset()
        for point, replicate, metrics, factor in planned:
            truth = self.true_values(point, replicate, factor)
            values = results.sel(n=point, replicate=replicate)
            np.testing.assert_array_equal(values["excess_risk"], truth["excess_risk"])
            for metric in metrics:
                np.testing.assert_array_equal(values[metric], truth["loss"])

    def missing(self):
        return [cell for cell in self.planned() if cell not in self.cells]

    def has_states(self, cell):
        """Whether the states of a cell were kept, trained with the formula as it is now."""
        return self.states.get(cell[:2]) == self.factor

    def finish(self, cells):
        """Cells have run: the journal holds them, and states where they were trained and kept."""
        self.cells |= set(cells)
        if self.keeping:
            self.states |= {cell[:2]: self.factor for cell in cells}

    def true_values(self, point, replicate, factor):
        """The values of one cell, from a run of all cells with one formula in another folder."""
        if factor not in self.truth:
            written, replicates, metrics = self.factor, self.replicates, self.metrics
            self.replicates, self.metrics = 4, ["loss"]
            self.write(factor)
            folder = self.base / f"truth-{factor}"
            points = [50, 100, 200, 300, 500, 700, 900]
            outcome = execute_run(self.scenario(points), folder, Options(), Stopper(-1))
            self.truth[factor] = outcome.tree["f"].to_dataset()
            self.replicates, self.metrics = replicates, metrics
            self.write(written)
        return self.truth[factor].sel(n=point, replicate=replicate)


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A plugin that can be edited, as if it were installed."""
    shutil.copytree(FAULTY, tmp_path / "plugin")
    monkeypatch.syspath_prepend(tmp_path / "plugin")
    yield tmp_path / "plugin"
    for name in ("testbed_faulty", "testbed_faulty_helper"):
        sys.modules.pop(name, None)
    load_registry.cache_clear()


def test_any_order_of_runs_kills_edits_additions_and_merges_agrees_with_a_plain_model(installed):
    class InFolder(Folder):
        base = installed
        truth: ClassVar[dict[float, xr.Dataset]] = {}

    run_state_machine_as_test(
        InFolder,
        settings=settings(
            max_examples=int(os.environ.get("TESTBED_EXAMPLES", "6")),  # more take longer
            stateful_step_count=8,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
