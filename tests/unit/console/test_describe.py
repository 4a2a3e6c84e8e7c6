"""A plan in words."""

from __future__ import annotations

from testbed.console.describe import plan_text
from tests.helpers.planned_components import planned, text

GROWN = '[design]\nuse = "grown"\ngamma = { values = [2, 3] }'
LAW = '[[theory]]\nuse = "tiny.sharp-law"'


def test_what_is_left_out_is_listed_with_its_reason():
    shown = plan_text(planned(text(GROWN, extra=LAW)))
    assert "without tiny.sharp-law: the law needs gamma below 3" in shown
