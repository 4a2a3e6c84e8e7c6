"""The house keeps its order: arrows run down, and the page that draws them is true."""

from __future__ import annotations

import pytest

from tests import house

NAMED_BY_CONTRACT = {
    ("testbed/errors.py", "found"): "a mistake says where, found, expected, advice",
    ("testbed/scenario/tables.py", "at"): "a key of [[claim]]: claims say at which point they hold",
    ("testbed/scenario/tables.py", "each"): "a key of [[claim]]: one verdict for each value",
}
"""Vague names that users meet in files and messages, and why they stay."""
CLOSED = [
    name
    for name in house.FLOW
    if name not in house.OPEN and (house.ROOT / "testbed" / name).is_dir()
]
MARKDOWN = [
    *house.ROOT.glob("*.md"), *(house.ROOT / "docs").glob("*.md"),
]  # fmt: skip


def test_every_room_has_its_place_in_the_flow():
    rooms = {house.room(file) for file in house.sources("testbed")}
    assert rooms - {"__init__", "__main__"} <= set(house.FLOW)


def test_arrows_run_down():
    order = {name: height for height, name in enumerate(house.FLOW)}
    upward = {
        (above, below)
        for above, rooms in house.arrows().items()
        for below in rooms
        if order[below] >= order[above]
    }
    assert not upward


def test_an_arrow_inside_a_function_counts_and_one_for_types_does_not(tmp_path):
    file = tmp_path / "module.py"
    file.write_text(
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from testbed.runs import run\n"
        "def late():\n    from testbed.console.cli import main\n    return main\n"
    )
    assert list(house.imported(file)) == ["typing.TYPE_CHECKING", "testbed.console.cli.main"]


@pytest.mark.parametrize("part", house.COMPUTED)
def test_the_page_says_what_the_sources_say(part):
    written = house.part_of_page(house.PAGE.read_text(encoding="utf-8"), part)
    assert written == house.COMPUTED[part](), "renew docs/architecture.md: python -m tests.house"


def test_plugins_import_public_names_and_numerics_alone():
    modules = set(house.plugin_imports())
    assert {name for name in modules if not name.startswith("testbed.numerics.")} <= {
        "testbed",
        "testbed.testing",
    }


@pytest.mark.parametrize("name", CLOSED)
def test_a_package_lists_the_modules_that_others_use(name):
    """Other packages and their tests import these modules and no other."""
    users = house.modules_used_elsewhere().get(name, {})
    remedy = f"list in the docstring of testbed/{name}/__init__.py what is used: {dict(users)}"
    assert set(users) == house.listed_modules(name), remedy


PUBLIC = {"_replace", "_fields", "_asdict", "_exit"}
"""Names with an underscore that Python itself documents, such as those of named tuples."""


@pytest.mark.parametrize("file", list(house.sources("tests")), ids=lambda file: file.stem)
def test_no_test_reaches_into_a_private_module_that_it_does_not_test(file):
    assert set(house.private_names(file)) <= PUBLIC


@pytest.mark.parametrize("page", MARKDOWN, ids=lambda page: page.name)
def test_lines_of_pages_wrap_at_100_columns(page):
    """But for tables, and lines that a link makes long."""
    long = [
        number
        for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1)
        if len(line) > 100 and not line.startswith(("|", "![")) and "](" not in line
    ]
    assert not long


def test_no_name_is_vague():
    """Names say what a thing is, not how it relates to what was just spoken of."""
    vague = {
        (str(file.relative_to(house.ROOT)), name)
        for file in house.sources(*house.CODE)
        for name, _ in house.vague_names(file)
    }
    assert vague == set(NAMED_BY_CONTRACT)


def test_vague_names_are_seen_wherever_they_are_given(tmp_path):
    file = tmp_path / "module.py"
    file.write_text(
        "import os as other\n"
        "def found(at, *rest): ...\n"
        "class Holder:\n    known: int = 0\n"
        "Holder().own = [one for one in ()]\n"
        "fine = os.path.found\n"
    )
    assert sorted(name for name, _ in house.vague_names(file)) == [
        "at", "found", "known", "one", "other", "own", "rest",
    ]  # fmt: skip
