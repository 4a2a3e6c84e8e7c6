"""A disk that fills up, or becomes read-only, at any call of a run that changes a file."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.folders import TRAINING, changed

HERE = Path(__file__).parent / "disks"
SMALLER = {'"folders"': '"disks"', "replicates = 4": "replicates = 1", "modes = 20": "modes = 2"}
SCENARIO = f'{changed(TRAINING, SMALLER)}[[metric]]\nuse = "eigenvalues"\n'


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """The library that lets calls fail, for SQLite and HDF5 too."""
    compiler = shutil.which("cc")
    if sys.platform != "linux" or compiler is None:
        pytest.skip("needs Linux and a C compiler, to stand between a process and its files")
    file = tmp_path_factory.mktemp("library") / "full.so"
    command = [compiler, "-shared", "-fPIC", "-o", str(file), str(HERE / "full.c"), "-ldl"]
    subprocess.run(command, check=True)
    return file


def outcomes(library, folder, word, step):
    """What each call that fails leads to, and each run after it."""
    (folder / "scenario.toml").write_text(SCENARIO)
    done = subprocess.run(
        [sys.executable, str(HERE / "every_call.py"), str(folder), word, str(step)],
        env={**os.environ, "LD_PRELOAD": str(library), "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize(("word", "step"), [("ENOSPC", 1), ("EROFS", 8)])
def test_a_disk_that_fails_at_any_call_costs_one_line_and_no_finished_cell(
    library, tmp_path, word, step
):
    """Old or new, never garbage: a full disk at every call, a read-only one at every eighth."""
    *failing, last = outcomes(library, tmp_path, word, step)
    assert len(failing) > 40 / step
    for outcome in failing:
        assert outcome["struck"], outcome
        assert outcome["kind"] in ("testbed", ""), outcome  # "": what failed was not needed
        assert "\n" not in outcome["told"], outcome
        assert outcome["state"] == ("old" if outcome["kind"] else "new"), outcome
        assert outcome["reused"] >= 1 and outcome["same"], outcome
        assert not outcome["left"], outcome
    told = [outcome["told"] for outcome in failing]
    assert any("results.nc: found that the results cannot be written" in text for text in told)
    assert any("journal.sqlite: found that the journal cannot be written" in text for text in told)
    reused = [outcome["reused"] for outcome in failing]
    assert reused == sorted(reused) and reused[-1] == 2  # a later failure leaves more finished
    assert (last["struck"], last["kind"], last["state"]) == (False, "", "new")


def test_a_read_only_folder_is_refused_in_one_line_before_anything_is_computed(library, tmp_path):
    """A whole command; as root, who may write where permissions forbid it."""
    file = tmp_path / "disks.toml"
    file.write_text(SCENARIO)
    folder = tmp_path / "run"
    folder.mkdir()
    code = (
        "import ctypes, sys\n"
        "from testbed.console.cli import main\n"
        f"ctypes.CDLL(None).disk_fails({str(folder).encode()!r}, ctypes.c_long(1), {errno.EROFS})\n"
        "main(sys.argv[1:])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "run", str(file), "-o", str(folder)],
        env={**os.environ, "LD_PRELOAD": str(library), "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.strip().splitlines()[-1] == (
        f"{folder}: found no folder that can be written (Read-only file system), expected room on "
        "a writable disk. Make room, or choose another folder with -o"
    )
    assert "Traceback" not in done.stderr and not list(folder.iterdir())
