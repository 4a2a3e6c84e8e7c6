"""Fixtures that tests of all folders share; functions and components are in `tests/helpers`."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result

from testbed.console.cli import main


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory):
    """Measurements of this machine go into a folder of the tests, also from other processes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TESTBED_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def invoke() -> Callable[..., Result]:
    """Runs the command line in this process: `invoke("run", path)` returns click's result."""
    return lambda *arguments: CliRunner().invoke(main, [str(argument) for argument in arguments])
