"""A module's file is parsed once for each content, also by later processes."""

from __future__ import annotations

import ast

import pytest

from testbed.planning.source import (
    Source,
    _facts,
    _parsed,
    keep_for_later,
    refresh,
    source_of,
)


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module of this name on the path, written with a text; what was read of it is forgotten."""
    monkeypatch.setenv("TESTBED_CACHE", str(tmp_path / "cache"))
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(text: str) -> Source:
        (tmp_path / "cached_law.py").write_text(text)
        _facts.cache_clear()  # as a new process
        _parsed.cache_clear()
        refresh()
        read = source_of("cached_law")
        assert read is not None
        keep_for_later()
        return read

    yield write
    _facts.cache_clear()
    refresh()


def test_a_file_is_parsed_once_for_each_content(module, monkeypatch):
    first = module("import math\nlaw = 1.0\n")
    edited = module("import math\nlaw = 1.5\n")
    assert first.digest != edited.digest
    monkeypatch.setattr(ast, "parse", lambda *_: pytest.fail("parsed again"))
    assert module("import math\nlaw = 1.0\n") == first
    assert module("import math\nlaw = 1.5\n") == edited


def test_a_module_that_is_no_file_has_no_source():
    import torch

    assert torch.ops.__file__ == "_ops.py", "torch calls its made-up modules so"
    assert source_of("torch.ops") is None
