"""What a user without a checkout has: the built wheel, installed, away from the repository."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder that holds what the wheel installs, and nothing else."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder / "dist")]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (wheel,) = (folder / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def run(installed, *command, cwd):
    """A command of the installed package; the checkout is not on its path."""
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    return subprocess.run(
        [sys.executable, "-P", "-m", "testbed", *command],
        cwd=cwd, env=environment, capture_output=True, text=True, timeout=240,
    )  # fmt: skip


def test_the_wheel_holds_every_package_scenario_and_marker_of_types(installed):
    for package in ("testbed", *(f.name for f in (ROOT / "plugins").glob("testbed_*"))):
        assert (installed / package / "py.typed").is_file(), package
        sources = ROOT / package if package == "testbed" else ROOT / "plugins" / package
        missing = [
            file for file in sources.rglob("*.py")
            if not (installed / package / file.relative_to(sources)).is_file()
        ]  # fmt: skip
        assert not missing
    shipped = {file.name for file in (installed / "testbed_basics" / "scenarios").glob("*.toml")}
    assert shipped == {file.name for file in (ROOT / "scenarios").glob("*.toml")}
    numbers = {file.name for file in (installed / "testbed_basics" / "published").glob("*.csv")}
    assert numbers and numbers == {file.name for file in (ROOT / "data").glob("*.csv")}


def test_the_quickstart_runs_from_the_wheel_alone(installed, tmp_path):
    code = "import testbed, testbed_basics; print(testbed.__file__, testbed_basics.__file__)"
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    homes = subprocess.run(
        [sys.executable, "-P", "-c", code], cwd=tmp_path, env=environment,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert all(word.startswith(str(installed)) for word in homes.stdout.split())
    small = ["--set", "replicates=2", "--set", "design.n=500", "--set", "design.modes=200"]
    small += ["--set", "claim=[]"]  # they speak of the sweep that is not there now
    done = run(installed, "run", "quickstart", *small, "--no-figures", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs" / "quickstart" / "results.nc").is_file()
