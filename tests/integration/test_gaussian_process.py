"""The outside plugin in examples/gaussian-process: it installs, and its tests pass untouched."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from testbed.scaffold import plugin_files

EXAMPLE = Path(__file__).parents[2] / "examples" / "gaussian-process"


def test_it_installs_and_its_own_tests_pass(tmp_path):
    options = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    target = ["--target", str(tmp_path), str(EXAMPLE)]
    command = [sys.executable, "-m", "pip", "install", *options, *target]
    subprocess.run(command, check=True, timeout=120)
    paths = [str(tmp_path), os.environ.get("PYTHONPATH", "")]
    flags = ["-q", "-p", "no:cacheprovider", "--import-mode=importlib", "-W", "ignore"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *flags, str(EXAMPLE / "tests")],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=280,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "gaussian-process.learning-curve" not in done.stdout  # no law is named as broken


def test_it_has_the_shape_that_the_scaffold_writes():
    written = plugin_files("gaussian-process", "fit-predict")
    kept = [place for place in written if not place.endswith("ridge.py")]
    assert [place for place in kept if not (EXAMPLE / place).exists()] == []
    assert (EXAMPLE / "tests" / "test_laws.py").read_text() == written["tests/test_laws.py"]
