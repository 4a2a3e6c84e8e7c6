"""Read-only results: the same numbers, which raise when they are written to."""

from __future__ import annotations

import xarray as xr


def read_only(tree: xr.DataTree) -> xr.DataTree:
    """A new tree that shares the numbers of another; additions to it leave the other unchanged.

    Texts are copied, since xarray keeps no view of them.
    """
    nodes = {node.path: _read_only(node.to_dataset(inherit=False).copy()) for node in tree.subtree}
    return xr.DataTree.from_dict(nodes, name=tree.name)


def _read_only(dataset: xr.Dataset) -> xr.Dataset:
    for name, variable in dataset.variables.items():
        if name not in dataset.indexes:  # which are immutable as they are
            variable.data = variable.values.view()
            variable.values.setflags(write=False)
    return dataset
