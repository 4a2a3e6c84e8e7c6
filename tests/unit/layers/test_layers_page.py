"""The page of layers: every example is defined, kept by the laws, and as short as it says."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

import pytest

from testbed.testing import PlainDescent, Plane, check_component

BLOCKS = re.findall(
    r"```python\n(.*?)```", (Path(__file__).parents[3] / "docs" / "layers.md").read_text(), re.S
)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The blocks of the page, one after another, as a plugin's module."""
    place = tmp_path_factory.mktemp("page")
    (place / "layers_page.py").write_text("\n".join(BLOCKS))
    sys.path.insert(0, str(place))
    yield importlib.import_module("layers_page")
    sys.path.remove(str(place))
    sys.modules.pop("layers_page")


def test_examples_keep_the_laws(page):
    check_component(page.Residual(width=3, depth=1), optimizer=PlainDescent())
    check_component(page.Cauchy())
    check_component(page.Accelerated(learning_rate=0.1), model=Plane())
    check_component(page.Noisy(learning_rate=0.1), model=Plane())
    check_component(page.Boosting(trees=3))


@pytest.mark.parametrize("name", ["Accelerated", "Noisy"])
def test_an_optimizer_takes_under_25_lines(name):
    (block,) = [text for text in BLOCKS if f"class {name}(" in text]
    assert len(block.strip().splitlines()) < 25
