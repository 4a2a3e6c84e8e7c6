"""The counting plugin, for tests of kept states."""

from __future__ import annotations

import os
import shutil

import pytest

from tests.helpers.counting import COUNTING, forget_plugin


@pytest.fixture
def counting(tmp_path, monkeypatch):
    """The counting plugin, as if it were installed; it may be edited."""
    shutil.copytree(COUNTING, tmp_path / "plugin")
    monkeypatch.syspath_prepend(tmp_path / "plugin")
    path = os.pathsep.join([str(tmp_path / "plugin"), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", path)  # for workers
    monkeypatch.setenv("TESTBED_COUNTED", str(tmp_path / "trained"))
    forget_plugin()
    yield tmp_path / "plugin" / "testbed_counting"
    forget_plugin()
