"""The groups of a result as figures use them, with the values of `at` selected."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import xarray as xr
from attrs import field, frozen

from testbed.contract.figures import ORACLE, GroupShape, holds
from testbed.results.groups import estimators

RECORDS = ("status", "error", "duration", "seed", "diverged_at")  # of the run, not measured


@frozen
class Group:
    """An estimator's data with the values of `at` selected."""

    name: str
    dataset: xr.Dataset
    held: Mapping[str, object] = field(factory=dict, hash=False)

    def sweep_of(self, name: str) -> list[str]:
        """The swept dimensions of a variable, those with one value included."""
        swept = set(self.dataset["status"].dims) if "status" in self.dataset else set()
        remaining = set(self.dataset[name].dims) - {"time", "replicate"}
        return [str(d) for d in self.dataset[name].dims if d in (swept & remaining or remaining)]


def shapes_of(tree: xr.DataTree) -> dict[str, GroupShape]:
    """The shapes of a result's groups: numbers that were measured or that theories expect."""
    return {name: _shape(group.to_dataset()) for name, group in estimators(tree).items()}


def _shape(dataset: xr.Dataset) -> GroupShape:
    swept = [str(d) for d in dataset["status"].dims if d != "replicate"]
    variables = {
        str(name): tuple(map(str, values.dims))
        for name, values in dataset.data_vars.items()
        if is_number(values) and name not in RECORDS and not str(name).endswith("__ok_count")
    }
    times = tuple(dataset["time"].values.tolist()) if "time" in dataset.coords else ()
    return GroupShape({d: tuple(dataset[d].values.tolist()) for d in swept}, times, variables)


def is_number(values: xr.DataArray) -> bool:
    """Whether a variable holds numbers."""
    return values.dtype.kind in "fiu"


def groups_of(tree: xr.DataTree, held_values: Mapping[str, object]) -> list[Group]:
    """All groups that have the values which `at` holds; dimensions they lack do not matter."""
    chosen = (
        _group(name, _swept(node.to_dataset()), held_values)
        for name, node in estimators(tree).items()
    )
    return [group for group in chosen if group is not None]


def _swept(dataset: xr.Dataset) -> xr.Dataset:
    """The dataset without the parameters that were not swept: xarray compares all of these scalar
    coordinates in each step of arithmetic, which takes longer than the arithmetic."""
    return dataset.drop_vars([name for name, label in dataset.coords.items() if not label.dims])


def _group(name: str, dataset: xr.Dataset, held_values: Mapping[str, object]) -> Group | None:
    held: dict[str, object] = {}
    for dim, wanted in held_values.items():
        if dim not in dataset.dims or wanted == ORACLE:
            continue
        place = holds(dim, dataset[dim].values.tolist(), wanted)
        if place is None:
            return None
        held[dim] = dataset[dim].values.tolist()[place]
        dataset = dataset.isel({dim: place})
    return Group(name, dataset, held)


def sweep_points(values: xr.DataArray, dims: Sequence[str]) -> Iterator[dict[str, object]]:
    """Every combination of coordinates along some dimensions."""
    sizes = [values.sizes[dim] for dim in dims]
    for position in np.ndindex(*sizes):
        yield {dim: values[dim].values[i] for dim, i in zip(dims, position, strict=True)}


def predictions(dataset: xr.Dataset, name: str) -> list[str]:
    """The variables in which a theory predicts this one."""
    return [str(v) for v in dataset.data_vars if dataset[v].attrs.get("predicts") == name]


def long_name(dataset: xr.Dataset, name: str) -> str:
    """A variable's long name."""
    return str(dataset[name].attrs.get("long_name", name))
