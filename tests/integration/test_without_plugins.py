"""Core stands alone: its tests run once with no plugin installed and none importable."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
BLOCK = '''
import importlib.metadata, sys

PLUGINS = ("basics", "sequence", "ntk", "networks", "adaptive")


class Absent:
    """Refuses to import what belongs to a plugin."""

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {f"testbed_{plugin}" for plugin in PLUGINS}:
            raise ModuleNotFoundError(f"{name} is a plugin, and none is installed", name=name)


sys.meta_path.insert(0, Absent())
every = importlib.metadata.entry_points


def entry_points(**chosen):
    if chosen.get("group") == "testbed.plugins":
        return importlib.metadata.EntryPoints(())
    return every(**chosen)


importlib.metadata.entry_points = entry_points
'''
FILES = tuple(
    f"tests/unit/{name}.py"
    for name in (
        "analysis/test_analysis",
        "contract/test_grids",
        "numerics/test_products",
        "scenario/test_reader",
        "test_batching",
        "test_seeds",
    )
)
HELLO = (
    BLOCK
    + """
import testbed
from click.testing import CliRunner
from testbed.console.cli import main
from testbed.testing import Kernel, Points, check_component

for command in (["list"], ["plugins"], ["schema"], ["--help"]):
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, (command, done.output)
refused = CliRunner().invoke(main, ["describe", "ntk.relu"])
assert refused.exit_code == 2 and "none is known here" in refused.output, refused.output
check_component(Kernel(), thorough=True)
check_component(Points(), thorough=True)
print("core stands alone")
"""
)


def test_commands_and_the_kit_work_without_plugins(tmp_path):
    (tmp_path / "alone.py").write_text(HELLO)
    done = subprocess.run(
        [sys.executable, str(tmp_path / "alone.py")],
        capture_output=True, text=True, cwd=ROOT, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("core stands alone\n")


def test_tests_of_core_pass_without_plugins(tmp_path):
    (tmp_path / "without_plugins.py").write_text(BLOCK)
    options = ["-q", "-x", "-p", "without_plugins", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *FILES],
        capture_output=True, text=True, cwd=ROOT, timeout=280,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
