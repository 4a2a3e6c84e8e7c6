"""A run with nothing to do leaves results.nc as it is; whatever results depend on renews it."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import attrs
import pytest
import xarray as xr

import testbed
from testbed.planning.files import load_scenario, read_scenario
from testbed.planning.plan import make_plan
from testbed.results.current import results_state

TEXT = """
format = 1
name = "current"
title = "first"
seed = 1
replicates = 2
[design]
use = "sequence.gaussian"
n = 100
modes = 4
[target]
use = "sequence.coefficients"
values = [1.0]
[[estimator]]
name = "fixed"
model = { use = "sequence.fixed", gamma = { values = [1.5, 2.0] } }
optimizer = { use = "gradient-flow", times = [1.0, 2.0] }
[[metric]]
use = "excess-risk"
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("current")
    (folder / "current.toml").write_text(TEXT)
    testbed.run(folder / "current.toml", folder / "run")
    return folder


@pytest.fixture
def home(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished run, so that its scenario may be changed."""
    shutil.copytree(finished, tmp_path / "home", copy_function=_copied)
    return tmp_path / "home"


def _copied(source: str, target: str) -> str:
    return str(shutil.copy2(source, target))


def _renewed(home: Path, **options: bool) -> tuple[bool, xr.DataTree]:
    """Whether another run writes results.nc, and what it returns."""
    file = home / "run" / "results.nc"
    before = file.stat().st_ino if file.exists() else 0
    tree = testbed.run(home / "current.toml", home / "run", **options)
    return file.stat().st_ino != before, tree


def test_nothing_to_do_writes_nothing_and_returns_the_same(home):
    _renewed(home)  # in another place the scenario has another path
    renewed, tree = _renewed(home)
    assert not renewed
    xr.testing.assert_identical(tree, testbed.open_results(home / "run"))


def _edit(home: Path) -> None:
    file = home / "current.toml"
    file.write_text(file.read_text().replace('"first"', '"second"'))


def _damage(home: Path) -> None:
    file = home / "run" / "results.nc"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def _replace(home: Path) -> None:
    """An intact file of another run of this scenario."""
    edited = home / "edited.toml"
    edited.write_text(TEXT.replace('"first"', '"third"'))
    testbed.run(edited, home / "elsewhere")
    shutil.copy(home / "elsewhere" / "results.nc", home / "run" / "results.nc")


def _remove(home: Path) -> None:
    (home / "run" / "results.nc").unlink()


@pytest.mark.parametrize("change", [_edit, _damage, _replace, _remove])
def test_results_that_are_not_as_they_would_be_written_are_renewed(home, change):
    _renewed(home)
    change(home)
    renewed, tree = _renewed(home)
    title = "second" if change is _edit else "first"
    assert renewed and tree.attrs["title"] == title
    assert testbed.open_results(home / "run").attrs["title"] == title
    assert not _renewed(home)[0]


def test_results_store_the_text_of_a_scenario_that_was_changed_in_python(home):
    changed = attrs.evolve(load_scenario(home / "current.toml"), title="third")
    attributes = testbed.run(changed, home / "run").attrs
    assert 'title = "third"' in str(attributes["scenario"])
    assert read_scenario(str(attributes["scenario"])) == changed
    assert hashlib.sha256(changed.text.encode()).hexdigest() == attributes["scenario_sha256"]


def test_the_state_covers_cells_published_numbers_and_code(home, monkeypatch):
    plan = make_plan(load_scenario(home / "current.toml"))
    table = home / "table.csv"
    table.write_text("1")
    keys = {cell.key: cell.key for cell in plan.cells}

    def state(*cells: dict[str, str]) -> str:
        return results_state(plan, cells or (keys, {}, {}), [table])

    first = state()
    assert first == state()
    assert len({first, state(keys, {plan.cells[0].key: "stale"}, {}), state({}, {}, {})}) == 3
    table.write_text("22")
    second = state()
    assert second != first
    plugin = home / "plugin"
    plugin.mkdir()
    (plugin / "__init__.py").write_text("")
    monkeypatch.setattr("testbed.results.current.plugin_packages", lambda: {"plugin": "a-plugin"})
    monkeypatch.setattr("testbed.results.current.locations", lambda top: (plugin,))
    third = state()
    os.utime(plugin / "__init__.py", (1, 1))
    assert len({second, third, state()}) == 3
