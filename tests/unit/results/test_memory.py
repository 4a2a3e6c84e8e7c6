"""The memory that recording takes, beside the size of its result."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from testbed.errors import ResultError
from testbed.planning.files import load_scenario, read_scenario
from testbed.planning.plan import make_plan
from testbed.results import files
from testbed.results.journal import LARGE, Journal
from testbed.running.execute import execute_cell
from testbed.runs import execute_run

SCENARIO = """
format = 1
name = "memory"
seed = 4
replicates = 8
[design]
use = "sequence.gaussian"
n = { values = [50, 100] }
modes = 2000
[target]
use = "sequence.power"
p = 1.0
[[estimator]]
name = "fixed"
model = { use = "sequence.fixed", gamma = 1.5 }
optimizer = { use = "gradient-flow", times = { geom = [1.0, 100.0, 150] } }
[[metric]]
use = "excess-risk"
[[metric]]
use = "eigenvalues"
modes = { linspace = [1, 2000, 2000] }
"""
TIMES = (150, 300)
TO_SYSTEM = {"MALLOC_MMAP_THRESHOLD_": "262144"}  # give back what is freed, so that peaks are true
MEASURE = """
import gc, json, sys
from pathlib import Path
from testbed.planning.files import load_scenario
from testbed.runs import execute_run
from testbed.running.memory import forget_peak, peak
for folder in map(Path, sys.argv[1:]):
    scenario = load_scenario(folder / "memory.toml")
    forget_peak()
    outcome = execute_run(scenario, folder)
    assert outcome.reused == len(outcome.plan.cells)
    print(json.dumps([outcome.tree.nbytes, peak()]), flush=True)
    del outcome
    gc.collect()  # trees refer to themselves
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for the peak of a part of a run")
def test_recording_takes_less_than_twice_the_memory_of_its_result(tmp_path):
    """What a larger result takes more, over how much larger it is: start-up drops out."""
    folders = [tmp_path / str(times) for times in TIMES]
    for folder, times in zip(folders, TIMES, strict=True):
        folder.mkdir()
        file = folder / "memory.toml"
        file.write_text(SCENARIO.replace("100.0, 150", f"100.0, {times}"))
        execute_run(load_scenario(file), folder)
        (folder / "results.nc").unlink()
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *map(str, folders)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **TO_SYSTEM},
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    (small, less), (large, more) = map(json.loads, done.stdout.splitlines())
    assert small > files.SMALL and large - small > 35e6
    assert (more - less) / (large - small) < 2


def test_results_for_which_there_may_be_no_room_are_not_begun(tmp_path, monkeypatch):
    """netCDF's libraries may end the process on a full disk, so that they are kept from it."""
    execute_run(read_scenario(SCENARIO, "memory.toml", SMALLER), tmp_path)
    before = (tmp_path / "results.nc").read_bytes()
    monkeypatch.setattr(files, "SMALL", 0)
    monkeypatch.setattr(files, "_free", lambda folder: 1000)
    larger = read_scenario(SCENARIO, "memory.toml", (*SMALLER, "replicates=10"))
    with pytest.raises(
        ResultError, match=r"1000 bytes are free, and up to \d+ are needed"
    ) as error:
        execute_run(larger, tmp_path)
    assert "\n" not in str(error.value) and not list(tmp_path.glob(".writing*"))
    assert (tmp_path / "earlier" / "results.nc").read_bytes() == before
    monkeypatch.undo()
    assert execute_run(larger, tmp_path).reused == len(make_plan(larger).cells)


SMALLER = ("design.modes=4", "metric.eigenvalues.modes=[1, 2]")


def test_large_arrays_of_a_cell_survive_the_journal_and_damage_to_them_is_told(tmp_path):
    scenario = read_scenario(SCENARIO, "memory.toml")
    result = execute_cell(make_plan(scenario).cells[0])
    assert sum(array.nbytes for array in result.variables.values()) > LARGE
    journal = Journal(tmp_path, "memory")
    journal.add(result)
    (stored,) = journal.stored([result.key])
    assert all((stored.result.variables[k] == v).all() for k, v in result.variables.items())
    for value in ("zeroblob(length(arrays))", "CAST(hex(arrays) AS TEXT)"):
        with closing(sqlite3.connect(journal.path)) as database, database:
            database.execute(f"UPDATE cells SET arrays = {value}")
        assert list(journal.stored([result.key])) == []
        assert "found a damaged row" in journal.notes.pop() and not journal.notes
        journal.add(result)
    assert len(list(journal.stored([result.key]))) == 1
    journal.close()


def test_a_cell_that_no_row_can_hold_is_explained(tmp_path, monkeypatch):
    result = execute_cell(make_plan(read_scenario(SCENARIO, "memory.toml")).cells[0])
    journal = Journal(tmp_path, "memory")
    monkeypatch.setattr("testbed.results.journal.LARGEST", LARGE)
    with pytest.raises(ResultError, match=rf"expected at most {LARGE}.*Lower compute\.block"):
        journal.add(result)
    assert not journal.notes and not journal.cell_keys()
    journal.close()
