"""The tables of the documentation say what the contract says."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.contract.capabilities import HasLeverage
from testbed.contract.components import KINDS, Component
from testbed.contract.needs import TABLE, Need
from testbed.contract.parameters import ROLES
from testbed.contract.shape import capabilities_of, members_of

DOCS = Path(__file__).parents[3] / "docs"
PLUGINS = ("basics", "sequence", "ntk", "networks", "adaptive")
MANY = 5  # implementations that are not counted any further
ALONE = {
    "files": "data sets are the only first-party components that read files of no parameter",
    "attributes": "the same: only a data set has a source and a licence",
    "problem": "only labels know no truth; other models of observations have their place here",
    "declared": "the optimizers' half of what metrics say: their variables depend on parameters",
    "reached_by": "step sizes of their own exist in gradient descent alone",
    "facts": "the one place of a kind's facts, which most components leave as they are",
    "needed": "only target-alignment needs another thing for other parameter values",
    "comment": "only leave-one-out has an accuracy that depends on the optimizer",
    "coordinates": "only the theory of population spectra has dims; metrics have the same member",
    "population_risk": "all kernels share one implementation",
    "initial_covariance": "all wide networks share one implementation",
}
"""Members with fewer than two implementations among the first-party classes, and why they stay."""


def table(path: str, head: str) -> list[list[str]]:
    """The cells of the table of a page whose first heading is `head`."""
    lines = iter((DOCS / path).read_text(encoding="utf-8").splitlines())
    next(line for line in lines if line.startswith(f"| {head} |"))
    next(lines)
    rows = []
    for line in lines:
        if not line.startswith("|"):
            return rows
        rows.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return rows


def written(rows: list[list[str]]) -> str:
    """Rows as a page has them."""
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


# --- needs and capabilities -----------------------------------------------------------------------


def need_row(need: Need) -> list[str]:
    served = " and ".join(
        f"`{capability.__name__}`" for capability in (need.capability, need.optimizer) if capability
    )
    options = ", ".join(f"`{role}`" for role in need.options)
    return [f"`{need.name}`", need.words, served or "every model", options]


def test_the_page_lists_the_needs():
    expected = [need_row(need) for need in TABLE]
    assert table("plugins.md", "need") == expected, written(expected)


def test_the_page_lists_the_capabilities_of_models_and_optimizers():
    rows = table("plugins.md", "if your model …")
    named = [row[1].strip("`") for row in rows]
    assert named == [
        *(capability.__name__ for capability in capabilities_of("model")),
        HasLeverage.__name__,
    ]


@pytest.mark.parametrize("capability", [*capabilities_of("model"), HasLeverage])
def test_the_page_names_what_a_capability_asks_for(capability):
    (row,) = [
        row for row in table("plugins.md", "if your model …") if capability.__name__ in row[1]
    ]
    for member in getattr(capability, "__abstractmethods__", ()):
        assert f"`{member}(" in row[2], row


def test_the_page_lists_the_roles():
    assert [row[0].strip("`") for row in table("plugins.md", "role")] == list(ROLES)


# --- members --------------------------------------------------------------------------------------


def first_party() -> set[type[Component]]:
    """Every component class of the first-party plugins and of the layers, bases included."""
    for name in PLUGINS:
        package = importlib.import_module(f"testbed_{name}")
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    importlib.import_module("testbed.layers")
    ours = ("testbed_", "testbed.layers")
    return {cls for cls in below(Component) if cls.__module__.startswith(ours)}


def below(cls: type) -> Iterator[type]:
    for child in cls.__subclasses__():
        yield child
        yield from below(child)


def member_rows() -> list[list[str]]:
    classes = first_party()
    bases = [(Component, Component), *((base, base) for base in KINDS.values())]
    bases += [(KINDS["model"], capability) for capability in capabilities_of("model")]
    bases += [(KINDS["optimizer"], HasLeverage)]
    rows = []
    for kind, base in bases:
        for member in members_of(base):
            writers = {cls.__qualname__ for cls in classes if issubclass(cls, kind)
                       and member in vars(cls)}  # fmt: skip
            reason = ALONE[member] if len(writers) < 2 else ""
            count = str(len(writers)) if len(writers) < MANY else f"{MANY} or more"
            rows.append([f"`{base.__name__}`", f"`{member}`", count, reason])
    return rows


def test_the_page_counts_who_implements_each_member():
    expected = member_rows()
    remedy = "run python tests/unit/contract/test_pages.py, which writes the table anew"
    assert table("architecture.md", "class") == expected, remedy


def test_every_reason_is_needed():
    lonely = {row[1].strip("`") for row in member_rows() if row[3]}
    assert lonely == set(ALONE)


def rewrite() -> None:
    """Write the table of members anew: `python tests/unit/contract/test_pages.py`."""
    page = DOCS / "architecture.md"
    text = page.read_text(encoding="utf-8")
    old, new = written(table("architecture.md", "class")), written(member_rows())
    page.write_text(text.replace(old, new), encoding="utf-8")


if __name__ == "__main__":
    rewrite()
