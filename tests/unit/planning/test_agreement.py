"""A process that loaded other code than a run was planned with refuses, and says what differs."""

from __future__ import annotations

import importlib
import importlib.metadata
import sys

import pytest

from testbed.planning import source
from testbed.planning.agreement import Agreement, OtherCodeError, Witness
from testbed.planning.source import source_of, state_of

FORMULA = "def law(t):\n    return 2.0 * t\n"


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A module that no process has loaded yet."""
    file = tmp_path / "agreed_law.py"
    file.write_text(FORMULA)
    monkeypatch.syspath_prepend(tmp_path)
    source.refresh()
    yield file
    sys.modules.pop("agreed_law", None)


def witness(file, **libraries):
    """Of an agreement that was made while the module was as it is now."""
    digest = source_of("agreed_law").digest
    files = {"agreed_law": (file, state_of(file))}
    return Witness(Agreement({"agreed_law": digest}, files, libraries))


@pytest.mark.parametrize(
    ("text", "same"),
    [
        (FORMULA, True),
        (FORMULA.replace("def", "# why\ndef"), True),
        (FORMULA.replace("2.0", "3.0"), False),
    ],
)
def test_a_module_that_is_loaded_after_an_edit_is_seen(file, text, same):
    here = witness(file)
    here.expect_same_code()  # not loaded yet
    file.write_text(text)
    importlib.import_module("agreed_law")
    if same:
        here.expect_same_code()
    else:
        with pytest.raises(OtherCodeError, match=r"found other code .* in agreed_law; expected"):
            here.expect_same_code()


def test_an_edit_of_what_is_loaded_already_does_not_stop_a_run(file):
    """The process goes on with the code that the run was planned with."""
    here = witness(file)
    importlib.import_module("agreed_law")
    here.expect_same_code()
    file.write_text(FORMULA.replace("2.0", "3.0"))
    sys.modules["agreed_unrelated"] = sys.modules["agreed_law"]
    try:
        here.expect_same_code()
    finally:
        del sys.modules["agreed_unrelated"]


def test_a_copy_in_another_place_is_the_same_code(file, tmp_path, monkeypatch):
    here = witness(file)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / file.name).write_text(FORMULA)
    monkeypatch.syspath_prepend(elsewhere)
    importlib.import_module("agreed_law")
    here.expect_same_code()


def test_other_versions_of_libraries_are_refused_and_python_does_not_count(file):
    version = importlib.metadata.version("numpy")
    witness(file, numpy=version, python="2.7").expect_same_libraries()
    with pytest.raises(OtherCodeError, match=rf"found numpy {version} instead of 0\.1"):
        witness(file, numpy="0.1").expect_same_libraries()
