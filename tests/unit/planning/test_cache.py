"""Facts about files that are kept for later processes: they save time and decide nothing."""

from __future__ import annotations

import pytest

from testbed.planning import cache
from testbed.planning.cache import Facts, cache_folder, write_cache

NAME = "facts.json"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TESTBED_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def kept(**facts: list[str]) -> None:
    """Facts as an earlier process leaves them."""
    earlier = Facts(NAME)
    for key, fact in facts.items():
        earlier.add(key, fact)
    earlier.save()


def test_a_later_process_finds_what_was_kept(folder):
    kept(a=["1", "x"], b=[])
    later = Facts(NAME)
    assert later.get("a") == ["1", "x"] and later.get("b") == [] and later.get("c") is None
    assert [file.name for file in folder.iterdir()] == [NAME]  # nothing aside is left


def test_every_flipped_byte_makes_the_file_count_as_empty(folder):
    kept(a=["1", "x"])
    content = (folder / NAME).read_bytes()
    for position in range(len(content)):
        damaged = bytearray(content)
        damaged[position] ^= 1
        (folder / NAME).write_bytes(damaged)
        assert Facts(NAME).get("a") is None, position
    for length in range(len(content)):
        (folder / NAME).write_bytes(content[:length])
        assert Facts(NAME).get("a") is None


def test_the_oldest_facts_make_room(monkeypatch):
    monkeypatch.setattr(cache, "KEPT", 2)
    kept(a=["1"], b=["2"], c=["3"])
    assert Facts(NAME).get("a") is None and Facts(NAME).get("c") == ["3"]


def test_a_folder_that_cannot_be_written_costs_nothing(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("TESTBED_CACHE", str(tmp_path / "file"))
    kept(a=["1"])
    assert Facts(NAME).get("a") is None


def test_without_a_name_the_folder_is_that_of_the_user(monkeypatch, tmp_path):
    monkeypatch.delenv("TESTBED_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "testbed"
    write_cache("note", "text")
    assert (tmp_path / "testbed" / "note").read_text() == "text"
