"""Tell the groups of estimators in a result from its tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed.contract.names import RESERVED_GROUPS

if TYPE_CHECKING:
    import xarray as xr


def estimators(tree: xr.DataTree) -> dict[str, xr.DataTree]:
    """The estimators' groups by name, without tables such as `soundness`."""
    return {name: group for name, group in tree.children.items() if name not in RESERVED_GROUPS}


def without_tables(tree: xr.DataTree) -> xr.DataTree:
    """The tree with the groups of estimators alone."""
    return tree.drop_nodes(sorted(RESERVED_GROUPS), errors="ignore")
