"""Modules that are loaded when they are first used, tried in processes of their own."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from testbed.running.postponed import PostponingFinder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A package `heavy` with a submodule, and a module `broken` that cannot be loaded."""
    package = tmp_path / "heavy"
    package.mkdir()
    (package / "__init__.py").write_text(
        "import time\n"
        "early = 1\n"
        "time.sleep(0.2)\n"
        "import heavy.part\n"
        "with open(__file__ + '.log', 'a') as log: log.write('loaded ')\n"
        "late = heavy.part.value\n"
        "def __getattr__(name):\n"
        "    if name == 'made': return 'made'\n"
        "    raise AttributeError(name)\n"
    )
    (package / "part.py").write_text("value = object()\n")
    (tmp_path / "broken.py").write_text("raise RuntimeError('no library')\n")
    return tmp_path


def _log(folder: Path, code: str) -> str:
    """Run code after `postpone(["heavy", "broken"])`; how often `heavy` was loaded."""
    prepared = "from testbed.running.postponed import *\npostpone(['heavy', 'broken'])\n"
    process = subprocess.run(
        [sys.executable, "-c", prepared + textwrap.dedent(code)],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    log = folder / "heavy" / "__init__.py.log"
    return log.read_text() if log.exists() else ""


def test_an_import_alone_loads_nothing(folder):
    assert _log(folder, "import heavy, broken\nassert heavy.__file__ and heavy.__spec__") == ""


@pytest.mark.parametrize(
    "code",
    [
        "import heavy\nassert heavy.late and heavy.early == 1 and heavy.made == 'made'",
        "from heavy import late",
        "import heavy.part\nassert heavy.late is heavy.part.value",
        "import heavy\nimport heavy.part as part\nassert heavy.late is part.value",
        "import heavy\nfrom heavy.part import value\nassert value is heavy.late",
        "import heavy\nload_postponed()",
    ],
)
def test_it_is_loaded_once_however_it_is_used(folder, code):
    check = "\nimport sys, types\nassert type(sys.modules['heavy']) is types.ModuleType"
    same = "\nassert heavy.part is sys.modules['heavy.part'] and heavy.part.__spec__.origin"
    assert _log(folder, code + check + "\nimport heavy" + same) == "loaded "


def test_threads_wait_until_it_is_complete(folder):
    code = """
        import heavy
        from concurrent.futures import ThreadPoolExecutor
        with ThreadPoolExecutor(4) as pool:
            assert len(set(pool.map(lambda _: heavy.late, range(4)))) == 1
    """
    assert _log(folder, code) == "loaded "


def test_names_that_it_lacks_are_told_as_usual(folder):
    code = """
        import heavy
        try:
            heavy.latent
        except AttributeError as error:
            assert 'latent' in str(error)
        else:
            raise AssertionError
    """
    assert _log(folder, code) == "loaded "


def test_a_module_that_cannot_be_loaded_raises_when_it_is_used(folder):
    code = """
        import sys, broken
        try:
            broken.name
        except RuntimeError:
            assert 'broken' not in sys.modules
        else:
            raise AssertionError
    """
    assert _log(folder, code) == ""


def test_a_library_can_be_gone_without(folder):
    code = """
        go_without('heavy')
        try:
            import heavy
        except ModuleNotFoundError:
            pass
        else:
            raise AssertionError
    """
    assert _log(folder, code) == ""


def test_a_process_that_uses_testbed_as_a_library_imports_as_usual():
    assert not any(isinstance(finder, PostponingFinder) for finder in sys.meta_path)
