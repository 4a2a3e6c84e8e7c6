"""Fixtures that tests of all folders share; functions and components are in `tests/helpers`."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result

from testbed.console.cli import main


@pytest.fixture(scope="session")
def invoke() -> Callable[..., Result]:
    """Runs the command line in this process: `invoke("run", path)` returns click's result."""
    return lambda *arguments: CliRunner().invoke(main, [str(argument) for argument in arguments])
