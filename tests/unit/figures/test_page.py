"""docs/figures.md keeps up with the declarations of kinds and keys."""

from __future__ import annotations

import re
from pathlib import Path

import matplotlib.pyplot as plt

from testbed.contract.figures import KINDS, OPTIONS

PAGE = (Path(__file__).parents[3] / "docs" / "figures.md").read_text()


def test_each_kind_and_key_has_a_row():
    rows = re.findall(r"^\| `([\w-]+)` \|", PAGE, re.M)
    assert sorted(rows) == sorted([*KINDS, *OPTIONS])


def test_the_styles_can_be_used_by_their_names():
    for name in re.findall(r'"(testbed\.figures\.\w+)"', PAGE):
        with plt.style.context(name):
            assert plt.rcParams["pdf.fonttype"] == 42
