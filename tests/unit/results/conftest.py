"""A finished run, and a copy of it for each test that changes it."""

from __future__ import annotations

import shutil

import pytest

from testbed.runs import execute_run
from tests.helpers.folders import scenario


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    execute_run(scenario(), folder)
    return folder


@pytest.fixture
def folder(finished, tmp_path):
    """A copy of a finished run."""
    shutil.copytree(finished, tmp_path / "run")
    return tmp_path / "run"
