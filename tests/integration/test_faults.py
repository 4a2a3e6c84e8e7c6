"""What is promised when things go wrong: kills, full disks, dying workers, damaged files."""

from __future__ import annotations

import os
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from testbed.errors import ResultError
from testbed.planning.files import read_scenario
from testbed.planning.plan import make_plan
from testbed.results.store import RunFolder
from testbed.running.executors import processes, serial
from testbed.runs import RunWarning, execute_run, open_results, run

SCENARIO = """
format = 1
name = "faults"
seed = 11
replicates = 6
[design]
use = "sequence.gaussian"
n = { geom = [100, 1000, 4] }
modes = 80
[target]
use = "sequence.sparse-power"
p = 1.0
q = 2.0
[[estimator]]
name = "adaptive"
model = { use = "sequence.diagonal", gamma = 1.5, depth = { values = [0, 1] } }
optimizer = { use = "gradient-flow", times = { geom = [1.0, 1e3, 9] } }
[[metric]]
use = "excess-risk"
[[metric]]
use = "eigenvalues"
replicates = "mean"
[compute]
block = 2
"""
OTHER = """
[[estimator]]
name = "aaa"
model = { use = "sequence.fixed", gamma = 1.5 }
optimizer = { use = "gradient-flow", times = { geom = [1.0, 1e3, 9] } }
"""


def scenario(text=SCENARIO, *overrides):
    return read_scenario(text, "faults.toml", overrides)


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """The results of an undisturbed serial run."""
    return run(scenario(), tmp_path_factory.mktemp("reference"))


def same(first: xr.DataTree, second: xr.DataTree, group="adaptive"):
    """Equal to the bit, but for how long cells took."""
    xr.testing.assert_identical(
        first[group].to_dataset().drop_vars("duration"),
        second[group].to_dataset().drop_vars("duration"),
    )


def test_a_result_survives_writing_and_reading(reference, tmp_path):
    from testbed.results.files import write_tree

    write_tree(reference, tmp_path / "results.nc")
    xr.testing.assert_identical(open_results(tmp_path), reference)
    with xr.open_datatree(tmp_path / "results.nc") as plain:
        dataset = plain["adaptive"].to_dataset()
        assert dataset["excess_risk"].dims == ("n", "depth", "replicate", "time")
        assert dataset["eigenvalue"].dims == ("n", "depth", "time", "mode")
        assert float(dataset["excess_risk"].sel(n=100, depth=1, time=1.0, replicate=3)) > 0
        assert dataset["status"].attrs["flag_meanings"].split()[0] == "ok"
        for name, variable in dataset.variables.items():
            assert "long_name" in variable.attrs, name
        assert not plain.to_dataset().variables


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_numbers_do_not_depend_on_workers(reference, tmp_path, workers):
    same(run(scenario(), tmp_path, executor="processes", workers=workers), reference)


def test_another_estimator_changes_nothing(reference, tmp_path):
    head, tail = SCENARIO.split("[[estimator]]")
    before = head + OTHER + "[[estimator]]" + tail
    tree = run(scenario(before), tmp_path)
    same(tree, reference)
    assert set(tree.children) == {"aaa", "adaptive", "soundness"}


def test_a_killed_run_resumes_to_the_same_results(reference, tmp_path):
    file, folder = tmp_path / "faults.toml", tmp_path / "run"
    file.write_text(SCENARIO)
    code = (
        "import sys, time, testbed.runs as r, testbed.results.store as s\n"
        "add = s.RunFolder.add\n"
        "def slow(self, x, origin):\n"
        "    add(self, x, origin); print('cell', flush=True); time.sleep(.2)\n"
        "s.RunFolder.add = slow\n"
        "r.run(sys.argv[1], sys.argv[2])\n"
    )
    command = [sys.executable, "-c", code, str(file), str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for _ in range(5):
            assert process.stdout.readline().strip() == "cell"
        process.send_signal(signal.SIGKILL)
        process.wait(30)
    outcome = execute_run(scenario(), folder)
    assert 5 <= outcome.reused < 24
    same(outcome.tree, reference)
    assert execute_run(scenario(), folder).reused == 24


def test_a_changed_scenario_reuses_the_cells_that_stayed(tmp_path):
    execute_run(scenario(), tmp_path)
    outcome = execute_run(scenario(SCENARIO + OTHER), tmp_path)
    assert outcome.reused == 24 and len(outcome.plan.cells) == 36


def test_a_folder_of_another_scenario_is_refused_unless_fresh(tmp_path):
    run(scenario(), tmp_path)
    second = scenario(SCENARIO.replace('"faults"', '"other"'))
    with pytest.raises(ResultError, match=r"run of another scenario, 'faults'.*--fresh"):
        run(second, tmp_path)
    assert open_results(tmp_path).attrs["title"] == "faults"
    assert run(second, tmp_path, fresh=True).attrs["title"] == "other"


def test_two_runs_in_one_folder_do_not_meet(tmp_path):
    code = "import sys, time; from testbed.results.store import RunFolder\n" + (
        "f = RunFolder(sys.argv[1], 'faults'); print('open', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline().strip() == "open"
        with pytest.raises(ResultError, match="another run at work in this folder"):
            run(scenario(), tmp_path)
        process.kill()
    run(scenario(), tmp_path)


def test_a_damaged_journal_row_is_computed_again(reference, tmp_path):
    run(scenario(), tmp_path)
    with sqlite3.connect(tmp_path / "journal.sqlite") as database:
        database.execute("UPDATE cells SET arrays = substr(arrays, 1, 100) WHERE rowid = 3")
    database.close()
    with pytest.warns(RunWarning, match="damaged row .* its cell is computed again"):
        same(run(scenario(), tmp_path), reference)
    same(run(scenario(), tmp_path), reference)


def test_a_journal_that_is_no_database_is_explained(tmp_path):
    (tmp_path / "journal.sqlite").write_bytes(b"not a database at all" * 100)
    with pytest.warns(
        RunWarning, match=r"damaged journal.*set aside as journal\.sqlite\.damaged-1"
    ):
        run(scenario(), tmp_path)
    assert (tmp_path / "journal.sqlite.damaged-1").exists()


def test_a_full_disk_loses_no_finished_cell(tmp_path):
    """A file-size limit stands for the full disk: results.nc cannot be written."""
    file, folder = tmp_path / "faults.toml", tmp_path / "run"
    file.write_text(SCENARIO)
    code = (
        "import sys, resource, signal, testbed.results.store as s\n"
        "from testbed.console.cli import main\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "write = s.write_tree\n"
        "def full(tree, path):\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))\n"
        "    write(tree, path)\n"
        "s.write_tree = full\n"
        "main(['run', sys.argv[1], '-o', sys.argv[2]])\n"
    )
    command = [sys.executable, "-c", code, str(file), str(folder)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert result.returncode == 2, result.stderr
    assert "make room and run the same command again" in result.stderr
    assert (
        [p.name for p in folder.glob("*.nc*")] == [] == [p.name for p in folder.glob(".writing*")]
    )
    assert execute_run(scenario(), folder).reused == 24
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


def test_a_dying_worker_costs_a_try_and_not_the_run(reference):
    cells = make_plan(scenario()).cells
    results = {}
    for count, result in enumerate(processes(cells, 2)):
        results[result.key] = result
        if count == 2:
            _kill_one_child()
    assert set(results) == {cell.key for cell in cells}
    for expected in serial(cells):
        actual = results[expected.key]
        assert not actual.error
        np.testing.assert_array_equal(
            actual.variables["excess_risk"], expected.variables["excess_risk"]
        )


def _kill_one_child():
    """Kill −9 one of this process's spawned workers."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
            words = (stat.parent / "cmdline").read_text()
        except OSError:
            continue
        if int(fields[1]) == os.getpid() and "spawn_main" in words:
            os.kill(int(stat.parent.name), signal.SIGKILL)
            return
    raise AssertionError("no worker process was found")


def test_a_cell_over_its_time_limit_fails_alone():
    slow = SCENARIO.replace("1e3, 9]", "1e7, 9]").replace(
        'use = "gradient-flow",',
        'use = "gradient-flow", method = "numeric", max_evaluations = 100000000,',
    )
    slow += "time_limit = 4.0\n"
    cells = make_plan(scenario(slow, "design.n=100", "replicates=2")).cells
    quick = make_plan(scenario(SCENARIO, "design.n=100", "replicates=2")).cells
    started = time.monotonic()
    results = list(processes((cells[0], *quick), 2))
    assert time.monotonic() - started < 60
    errors = {result.key: result.error for result in results}
    assert "took more than 4 s" in errors[cells[0].key]
    assert not any(errors[cell.key] for cell in quick)


def test_the_journal_is_durable_before_the_next_cell(tmp_path):
    cells = make_plan(scenario()).cells[:3]
    with RunFolder(tmp_path, "faults") as folder:
        for result in serial(cells):
            folder.add(result)
            second = sqlite3.connect(tmp_path / "journal.sqlite")
            reference = {key for (key,) in second.execute("SELECT key FROM cells")}
            second.close()
            assert result.key in reference
