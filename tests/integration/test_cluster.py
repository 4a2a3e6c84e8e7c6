"""Runs on dask: the bits of a serial run, whatever happens to workers, and no process left over."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest

from testbed.errors import TestbedError
from testbed.loading import load_registry
from testbed.planning.agreement import OtherCodeError
from testbed.planning.files import read_scenario
from testbed.runs import Options, execute_run

FAULTY = Path(__file__).parent / "faulty"
PYTHON_PATH = os.pathsep.join([str(FAULTY), *filter(None, sys.path)])
SCENARIO = """
format = 1
name = "cluster"
seed = 3
replicates = 1
[design]
use = "sequence.gaussian"
n = 10
modes = 20
[target]
use = "sequence.power"
p = 1.0
[[estimator]]
name = "f"
model = { use = "faulty.model", fatal_rate = 0.0, rate = { linspace = [1.0, 6.0, 6] } }
optimizer = { use = "gradient-flow", times = { geom = [1.0, 10.0, 4] } }
[[metric]]
use = "excess-risk"
"""


@pytest.fixture(scope="module", autouse=True)
def plugin():
    """The faulty plugin, as if it were installed here and on workers."""
    sys.path.insert(0, str(FAULTY))
    load_registry.cache_clear()
    yield
    sys.path.remove(str(FAULTY))
    load_registry.cache_clear()


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    return execute_run(scenario(), tmp_path_factory.mktemp("serial")).tree


def scenario(*overrides):
    return read_scenario(SCENARIO, "cluster.toml", overrides)


def faults(*words):
    chosen = ", ".join(f'"{word}"' for word in words)
    return f'estimator.f.model.fault={{ values = [{chosen}], along = "rate" }}'


def expect_same(tree, reference, points=slice(None)):
    ours, theirs = (t["f"]["excess_risk"].isel(rate=points).values for t in (tree, reference))
    np.testing.assert_array_equal(ours, theirs)
    assert np.isfinite(ours).all()


@contextmanager
def processes(*commands, path=PYTHON_PATH):
    """Processes of dask, in one group each, which is ended afterwards."""
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "dask", *command],
            env={**os.environ, "PYTHONPATH": path},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        for command in commands
    ]
    try:
        yield started
    finally:
        for process in started:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextmanager
def scheduler(folder):
    """The address of a scheduler on the loopback interface."""
    file = folder / "scheduler.json"
    command = ["scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
    with processes([*command, "--scheduler-file", str(file)]):
        yield until(lambda: json.loads(file.read_text())["address"])


def worker(address, folder):
    quiet = ["--no-dashboard", "--nthreads", "1", "--local-directory", str(folder)]
    return ["worker", address, *quiet, "--host", "127.0.0.1"]


def until(answer, seconds=60.0):
    """The first answer that is neither false nor an error."""
    end = time.monotonic() + seconds
    while True:
        try:
            if value := answer():
                return value
        except (OSError, ValueError, KeyError, sqlite3.Error):
            pass
        assert time.monotonic() < end, "nothing came"
        time.sleep(0.05)


def workers_at(address):
    from distributed import Client

    with Client(address, set_as_default=False) as client:
        return client.run(os.getpid, nanny=False)


def descendants(parent):
    """The processes that a process has started, and those that they have."""
    processes_below = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = file.read_text().rpartition(")")[2].split()
            words = file.with_name("cmdline").read_text()
        except OSError:
            continue
        if int(fields[1]) == parent and fields[0] != "Z" and "resource_tracker" not in words:
            child = int(file.parent.name)
            processes_below += [child, *descendants(child)]
    return processes_below


# --- a local cluster ----------------------------------------------------------------------------


def test_cells_on_local_workers_have_the_bits_of_a_serial_run_and_fail_alone(tmp_path, reference):
    """One cell ends its process, one takes too long, one cannot be sent; three are well."""
    before = set(descendants(os.getpid()))
    options = Options(executor="dask", workers=2)
    chosen = faults("well", "kill", "fine", "loop", "pickle", "")
    outcome = execute_run(scenario(chosen, "compute={time_limit=5.0}"), tmp_path, options)
    errors = {cell.point["rate"]: error for cell, error in outcome.failed}
    assert "WorkerDied" in errors[2.0] and "more than 5 s" in errors[4.0]
    assert "cannot be sent to a worker" in errors[5.0] and len(errors) == 3
    expect_same(outcome.tree, reference, [0, 2, 5])
    assert set(descendants(os.getpid())) <= before


MANY = ("estimator.f.model.rate={ linspace=[1.0, 60.0, 60] }", "estimator.f.model.pause=0.02")


def test_a_killed_run_leaves_no_process_and_its_short_cells_go_on_to_the_same_bits(tmp_path):
    """Cells of 20 ms travel several in a task, which changes no number either."""
    file, folder = tmp_path / "cluster.toml", tmp_path / "run"
    file.write_text(SCENARIO)
    words = ["run", str(file), "-o", str(folder), "--executor", "dask", "--workers", "2"]
    changes = [word for change in MANY for word in ("--set", change)]
    process = subprocess.Popen(
        [sys.executable, "-m", "testbed.console.cli", *words, *changes, "--no-figures"],
        env={**os.environ, "PYTHONPATH": PYTHON_PATH},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    until(lambda: finished_cells(folder) >= 8, 200)  # on a busy machine
    started = descendants(process.pid)
    assert len(started) >= 2
    process.kill()
    process.wait()
    until(lambda: not any(Path(f"/proc/{number}").exists() for number in started), 20)
    outcome = execute_run(scenario(*MANY), folder, Options(executor="dask", workers=1))
    assert 8 <= outcome.reused < 60 and not outcome.failed
    expect_same(outcome.tree, execute_run(scenario(*MANY), tmp_path / "serial").tree)


def finished_cells(folder):
    with closing(
        sqlite3.connect(f"file:{folder / 'journal.sqlite'}?mode=ro", uri=True)
    ) as database:
        return database.execute("SELECT count(*) FROM cells").fetchone()[0]


# --- a cluster that is there --------------------------------------------------------------------


def test_a_scheduler_is_used_and_may_lose_its_workers(tmp_path, reference):
    """Workers of dask are killed in the middle of a run: the others, and new ones, go on."""
    with scheduler(tmp_path) as address:
        with pytest.raises(TestbedError, match="found no worker at the dask scheduler"):
            execute_run(scenario(), tmp_path / "a", Options(executor="dask", scheduler=address))
        commands = [worker(address, tmp_path / name) for name in "xy"]
        with processes(*commands) as (first, _):
            until(lambda: len(workers_at(address)) == 2)
            options = Options(executor="dask", scheduler=address)
            killer = Killer(first.pid)
            slow = scenario("estimator.f.model.pause=0.3")
            outcome = execute_run(slow, tmp_path / "b", options, killer)
            assert killer.done == 6 and not outcome.failed
            expect_same(outcome.tree, reference)


class Killer:
    """Kills −9 the worker that a nanny looks after, and the worker's processes, after one cell."""

    def __init__(self, nanny):
        self.nanny, self.done = nanny, 0

    def started(self, plan, missing):
        pass

    def noted(self, text):
        pass

    def finished(self, cell, result):
        self.done += 1
        for process in descendants(self.nanny) if self.done == 1 else ():
            os.kill(process, signal.SIGKILL)


def test_a_worker_with_other_code_refuses(tmp_path):
    changed = tmp_path / "changed"
    shutil.copytree(FAULTY, changed)
    helper = changed / "testbed_faulty_helper.py"
    helper.write_text(helper.read_text().replace("1.0", "2.0"))
    path = os.pathsep.join([str(changed), PYTHON_PATH])
    with scheduler(tmp_path) as address, processes(worker(address, tmp_path / "x"), path=path):
        until(lambda: workers_at(address))
        options = Options(executor="dask", scheduler=address)
        with pytest.raises(
            OtherCodeError, match=r"the dask worker at tcp://.* found other code .*faulty_helper;"
        ):
            execute_run(scenario(), tmp_path / "run", options)


# --- jobs of a queueing system ------------------------------------------------------------------

SBATCH = """#!/bin/sh
# stands for SLURM on one machine: the job starts at once
cp "$1" {folder}/script.sh
setsid sh {folder}/script.sh > {folder}/job.log 2>&1 < /dev/null &
echo $! > {folder}/job.pid
echo "Submitted batch job 4711"
"""
SCANCEL = """#!/bin/sh
echo "$@" > {folder}/cancelled
kill -9 -"$(cat {folder}/job.pid)"
"""


def test_jobs_of_a_queueing_system_run_cells_and_are_cancelled(tmp_path, reference, monkeypatch):
    for name, text in (("sbatch", SBATCH), ("scancel", SCANCEL)):
        file = tmp_path / name
        file.write_text(text.format(folder=tmp_path))
        file.chmod(file.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", PYTHON_PATH)
    monkeypatch.chdir(tmp_path)
    jobs = 'system="slurm", jobs=1, memory=2.0, queue="short", walltime="00:10:00", interface="lo"'
    outcome = execute_run(
        scenario(f"compute={{dask={{{jobs}}}}}"), tmp_path / "run", Options(executor="dask")
    )
    assert not outcome.failed
    expect_same(outcome.tree, reference)
    script = (tmp_path / "script.sh").read_text()
    assert "#SBATCH -p short" in script and "#SBATCH -t 00:10:00" in script
    assert (tmp_path / "cancelled").read_text().strip() == "4711"
    until(lambda: not Path(f"/proc/{(tmp_path / 'job.pid').read_text().strip()}").exists())
