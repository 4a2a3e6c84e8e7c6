"""Tell the groups of estimators in a result from its tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed.contract.names import RESERVED_GROUPS

if TYPE_CHECKING:
    import xarray as xr


def estimators(tree: xr.DataTree) -> dict[str, xr.DataTree]:
    """The estimators' groups by name, without tables such as `soundness`."""
    return {name: group for name, group in tree.children.items() if name not in RESERVED_GROUPS}


def without_scalars(tree: xr.DataTree) -> xr.DataTree:
    """The tree without the parameters that are not swept.

    xarray compares all coordinates of the arrays in each operation; these scalars, one for each
    parameter, take most of the time of an analysis and say nothing to it.
    """
    groups = {node.path: node.to_dataset(inherit=False) for node in tree.subtree}
    return tree.from_dict(
        {
            path: group.drop_vars([name for name, coord in group.coords.items() if not coord.dims])
            for path, group in groups.items()
        },
        name=tree.name,
    )


def without_tables(tree: xr.DataTree) -> xr.DataTree:
    """The tree with the groups of estimators alone."""
    return tree.drop_nodes(sorted(RESERVED_GROUPS), errors="ignore")
