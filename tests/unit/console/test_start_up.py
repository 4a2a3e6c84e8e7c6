"""Commands that compute nothing load no heavy library; tried in processes of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.house import ROOT

SCENARIOS = sorted((ROOT / "scenarios").glob("*.toml"))
CODE = """
import json, sys
from testbed.console import cli
from testbed.running.postponed import PostponedModule

others = ("pandas", "sklearn", "matplotlib", "dask", "distributed", "pyarrow")
names = (*cli.HEAVY, *others)

def loaded():
    return [n for n in names if not isinstance(sys.modules.get(n), (PostponedModule, type(None)))]

answers = []
for arguments in json.loads(sys.argv[1]):
    try:
        cli.main(arguments)
    except SystemExit as end:
        answers.append([end.code or 0, loaded()])
print(json.dumps(answers))
"""


def _loaded(*commands: Sequence[str]) -> list[tuple[int, list[str]]]:
    """The exit code of each command, and the heavy libraries that are loaded after it."""
    process = subprocess.run(
        [sys.executable, "-c", CODE, json.dumps(commands)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    answers: list[tuple[int, list[str]]] = json.loads(process.stdout.splitlines()[-1])
    return answers


def test_lists_and_descriptions_load_nothing_heavy():
    commands = [
        ["list"],
        ["describe", "gradient-flow"],
        ["describe", "networks.two-layer"],
        ["plugins"],
    ]
    assert _loaded(*commands) == [[0, []]] * len(commands)


def test_a_plan_loads_scipy_at_most():
    """Theories without a closed form take SciPy to see whether they apply; nothing takes torch."""
    files = [str(file) for file in SCENARIOS]
    answers = _loaded(["plan", "scenarios/quickstart.toml"], *[["check", file] for file in files])
    assert answers[0] == [0, []]
    assert len(answers) == 1 + len(files) and not any(code for code, _ in answers)
    assert all(name.startswith("scipy.") for name in answers[-1][1]), answers[-1]


@pytest.fixture
def small(tmp_path: Path) -> list[str]:
    """A run of quickstart that takes a moment."""
    changes = ("replicates=2", "design.n=50", "design.modes=64", "claim=[]")
    words = [word for change in changes for word in ("--set", change)]
    return ["run", "scenarios/quickstart.toml", "-o", str(tmp_path / "run"), "--no-figures", *words]


def test_torch_is_loaded_by_the_first_cell_and_never_by_figures_or_show(small, tmp_path):
    code, names = _loaded(small)[0]
    assert code == 0 and "torch" in names
    assert not {"dask", "distributed", "pyarrow", "scipy.stats", "matplotlib"} & set(names)
    commands = [["show", str(tmp_path / "run")], ["plot", str(tmp_path / "run")]]
    (code, shown), (drawing, drawn) = _loaded(*commands)
    assert code == 0 and not {"torch", "dask", "pyarrow", "matplotlib", "sklearn"} & set(shown)
    assert drawing == 0 and "matplotlib" in drawn and "torch" not in drawn
