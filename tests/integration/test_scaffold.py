"""What the scaffold writes installs, passes its tests and the kit, and runs, untouched."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from testbed.console.cli import main
from testbed.scaffold import KINDS

RUN = """
import sys, testbed
from pathlib import Path
for name in sys.argv[1:]:
    scenario = testbed.load_scenario(testbed_scenarios[name], ["replicates=2"])
    tree = testbed.run(scenario, Path("runs") / name)
    groups = [group for group in tree.children.values() if "status" in group]
    assert groups and not any((group["status"] != 0).any() for group in groups), name
    print("ran", name)
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a distribution of each kind, all installed into its folder `site`."""
    folder = tmp_path_factory.mktemp("authors")
    for kind in KINDS:
        arguments = ["new-plugin", f"my-{kind}", "--kind", kind, "-o", str(folder)]
        written = CliRunner().invoke(main, arguments)
        assert written.exit_code == 0, written.output
    sources = sorted(map(str, folder.glob("testbed-*")))
    assert len(sources) == len(KINDS)
    options = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    command = [sys.executable, "-m", "pip", "install", *options, "--target", str(folder / "site")]
    subprocess.run([*command, *sources], check=True, timeout=240)
    return folder


def python(place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Python beside the installed distributions."""
    paths = [str(place / "site"), os.environ.get("PYTHONPATH", "")]
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        cwd=place,
        timeout=280,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
    )


def test_their_tests_pass_untouched(place):
    options = ["-q", "-p", "no:cacheprovider", "--import-mode=importlib"]
    tests = [str(path / "tests") for path in sorted(place.glob("testbed-*"))]
    done = python(place, "-m", "pytest", *options, *tests)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout and "failed" not in done.stdout


def test_check_plugin_passes_untouched(place):
    """It tries the same laws as the tests of the distributions; three of them show the command."""
    chosen = [f"testbed-my-{kind}" for kind in ("design", "kernel", "metric")]
    done = python(place, "-m", "testbed", "check-plugin", *chosen)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith(
        f"{done.stdout.count(' kept ')} laws of {len(chosen)} components"
    )
    assert "my-kernel.rational-quadratic\n" in done.stdout


def test_their_scenarios_run(place):
    """With two replicates, which go through all that sixteen would."""
    find = "from testbed.loading import load_registry\n"
    find += "testbed_scenarios = load_registry().scenarios()\n"
    done = python(place, "-c", find + RUN, *(f"my-{kind}" for kind in KINDS))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("ran my-") == len(KINDS)
