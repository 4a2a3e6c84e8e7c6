"""What a component does to its process costs its cell alone, and no process is left over."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from testbed.loading import load_registry
from testbed.planning.files import read_scenario
from testbed.results.files import read_tree
from testbed.runs import Options, execute_run

FAULTY = Path(__file__).parent / "faulty"
SCENARIO = """
format = 1
name = "isolation"
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
model = { use = "faulty.model", rate = { values = [0.25, 0.5, 0.75, 1.0] } }
optimizer = { use = "gradient-flow", times = { geom = [1.0, 10.0, 4] } }
[[metric]]
use = "excess-risk"
"""


@pytest.fixture(scope="module", autouse=True)
def plugin():
    """The faulty plugin, as if it were installed; workers are spawned with the same path."""
    sys.path.insert(0, str(FAULTY))
    load_registry.cache_clear()
    yield
    sys.path.remove(str(FAULTY))
    load_registry.cache_clear()


def faulty(fault="", *overrides):
    chosen = (f'estimator.f.model.fault="{fault}"', *overrides)
    return read_scenario(SCENARIO, "isolation.toml", chosen)


def errors(outcome):
    """What failed cells raised, by their rate."""
    return {cell.point["rate"]: error for cell, error in outcome.failed}


def all_at_once(*faults):
    """One point for each fault, and one without."""
    rates = ", ".join(f"{position}.0" for position in range(1, len(faults) + 2))
    words = ", ".join(f'"{fault}"' for fault in (*faults, ""))
    return read_scenario(
        SCENARIO,
        "isolation.toml",
        [
            "estimator.f.model.fatal_rate=0.0",
            f"estimator.f.model.rate={{ values = [{rates}] }}",
            f'estimator.f.model.fault={{ values = [{words}], along = "rate" }}',
        ],
    )


def test_what_components_raise_in_a_serial_run_costs_their_cells(tmp_path):
    told = {
        "exit": "SystemExit",
        "os_exit": "os._exit(0)",
        "generator_exit": "GeneratorExit",
        "wordless": "no words",
        "raise": "RuntimeError: boom",
    }
    outcome = execute_run(all_at_once(*told), tmp_path)
    for (fault, words), error in zip(told.items(), errors(outcome).values(), strict=True):
        assert words in error, fault
    assert read_tree(tmp_path)["f"]["status"].values.ravel().tolist() == [1, 1, 1, 1, 1, 0]


def test_faults_in_workers_cost_their_cells_and_leave_no_process(tmp_path):
    told = {
        "pickle": "the cell cannot be sent to a worker: TypeError: cannot be pickled",
        "unpickle": "the cell cannot be read by a worker: TypeError: cannot be unpickled",
        "kill": "WorkerDied",
        "os_exit": "os._exit",
    }
    outcome = execute_run(all_at_once(*told), tmp_path, Options("processes", 2))
    assert {cell.model.fault: error for cell, error in outcome.failed}.keys() == told.keys()
    for cell, error in outcome.failed:
        assert told[cell.model.fault] in error
    assert not children(os.getpid())


@pytest.mark.parametrize("executor", ["serial", "processes"])
def test_a_time_limit_counts_the_cell_alone_and_holds_on_every_executor(tmp_path, executor):
    """A worker takes seconds to start; the limit does not see them."""
    scenario = faulty("loop", "compute={time_limit=5.0}")
    outcome = execute_run(scenario, tmp_path, Options(executor, 1))
    assert list(errors(outcome)) == [0.5]
    assert "took more than 5 s" in errors(outcome)[0.5]


def test_failed_cells_run_again_unless_they_are_kept(tmp_path):
    assert len(execute_run(faulty("raise"), tmp_path).failed) == 1
    again = execute_run(faulty("raise"), tmp_path, Options(keep_failed=True))
    assert again.reused == 4 and len(again.failed) == 1
    assert execute_run(faulty("raise"), tmp_path).reused == 3


def test_fail_fast_stops_at_the_first_failure(tmp_path):
    outcome = execute_run(faulty("raise"), tmp_path, Options(fail_fast=True))
    assert outcome.stopped and len(outcome.failed) == 1
    status = read_tree(tmp_path)["f"]["status"]
    assert int((status == status.attrs["flag_meanings"].split().index("not_run")).sum()) == 2


# --- whole processes ----------------------------------------------------------------------------


def command(tmp_path, fault, *arguments):
    """Start a run of the faulty scenario as a user would."""
    file = tmp_path / "isolation.toml"
    file.write_text(SCENARIO)
    words = ("run", str(file), "-o", str(tmp_path / "run"), "--no-figures", *arguments)
    set_ = ("--set", f'estimator.f.model.fault="{fault}"')
    path = os.pathsep.join([str(FAULTY), *sys.path])
    return subprocess.Popen(
        [sys.executable, "-m", "testbed.console.cli", *words, *set_],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def children(process):
    """Spawned processes that are still there, by the number of their parent."""
    results = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
            words = (stat.parent / "cmdline").read_text()
        except OSError:
            continue
        if int(fields[1]) == process and "spawn_main" in words and fields[0] != "Z":
            results.append(int(stat.parent.name))
    return results


def wait_for(condition, seconds=90.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.1)


def finished_cells(tmp_path):
    import sqlite3

    journal = tmp_path / "run" / "journal.sqlite"
    if not journal.exists():
        return 0
    with sqlite3.connect(journal) as database:
        try:
            (count,) = database.execute("SELECT count(*) FROM cells").fetchone()
        except sqlite3.OperationalError:
            return 0
    database.close()
    return count


def running(number):
    return Path(f"/proc/{number}").exists()


def test_a_process_that_ends_in_a_cell_is_told_of_by_the_next_run(tmp_path):
    process = command(tmp_path, "kill")
    process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "run" / "results.nc").exists()
    for _ in range(2):  # the next run, and every later one
        process = command(tmp_path, "kill")
        output = "".join(filter(None, process.communicate(timeout=120)))
        assert process.returncode == 1, output
        assert "WorkerDied" in output
        failed = read_tree(tmp_path / "run")["f"]["error"]
        assert [str(text) != "" for text in failed.values.ravel()].count(True) == 1


def test_workers_end_with_their_parent_in_the_middle_of_a_cell(tmp_path):
    process = command(tmp_path, "loop", "--workers", "2")
    wait_for(lambda: finished_cells(tmp_path) >= 3)
    workers = children(process.pid)
    assert workers
    process.kill()
    process.communicate()
    wait_for(lambda: not any(map(running, workers)), 15)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_run_in_two_lines_and_leaves_no_process(tmp_path, number):
    workers = ("--workers", "2") if number == signal.SIGINT else ()
    process = command(tmp_path, "sleep", *workers)
    wait_for(lambda: finished_cells(tmp_path) >= (3 if workers else 1))
    started = children(process.pid)
    os.killpg(process.pid, number) if workers else process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    lines = [line for line in err.splitlines() if "cells" not in line.split("about")[0]]
    assert err.splitlines()[-2:] == [
        f"interrupted by {signal.Signals(number).name}",
        "finished cells are kept: run the same command again to go on",
    ], lines
    assert len(err.splitlines()) <= 4 and not out
    assert not any(map(running, started))
    assert finished_cells(tmp_path) >= 1


def test_exit_codes_tell_failed_cells_from_wrong_requests_and_faults(tmp_path, monkeypatch, invoke):
    import testbed.runs

    file = tmp_path / "isolation.toml"
    file.write_text(SCENARIO)
    run = ["run", str(file), "-o", str(tmp_path / "run"), "--no-figures"]
    failing = [*run, "--set", 'estimator.f.model.fault="raise"']
    assert invoke(*run).exit_code == 0
    result = invoke(*failing)
    assert result.exit_code == 1 and "3 of 4 replicates ok, 1 failed" in result.output
    assert "f(rate=0.5) on sequence.gaussian" in result.output and "boom" in result.output
    assert invoke(*run, "--set", "replicates=0").exit_code == 2

    def broken(*arguments):
        raise RuntimeError("a fault of the program")

    monkeypatch.setattr(testbed.runs, "execute_run", broken)
    result = invoke(*run)
    assert result.exit_code == 70 and "not of your request" in result.output
