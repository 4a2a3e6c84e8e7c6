"""Commands for authors of plugins."""

from __future__ import annotations

from testbed import scaffold
from testbed.console.commands import authors


def test_new_plugin_offers_every_kind_that_the_scaffold_writes():
    assert tuple(scaffold.KINDS) == authors.KINDS
