"""States as arrays and back: every number, and every order in memory."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import numpy as np
import pytest
import tomli_w
import torch
from attrs import evolve

from benchmarks.reduced import reduced
from testbed.contract.cells import Compute
from testbed.contract.states import MAIN, InMemory, Kept
from testbed.errors import UnsuitableError
from testbed.planning.files import read_scenario
from testbed.planning.plan import make_plan
from testbed.results.states import StateFolder, read_path
from testbed.running import paths
from testbed.running.execute import execute_cell
from testbed.running.kept import Keeper, Restored, joined, nesting_of, settled
from testbed.testing import Points, Smooth
from testbed_basics.metrics.risks import ExcessRisk, TrainingLoss
from testbed_basics.metrics.spectra import Eigenvalues
from testbed_basics.optimizers.gradient_descent import GradientDescent
from testbed_networks.models.convolutional import Convolutional
from testbed_networks.models.two_layer import TwoLayerNetwork
from tests.helpers.cells import make_cell

SCENARIOS = Path(__file__).parents[3] / "scenarios"
REPLICATES, TIMES = 2, 3


def leaf(*shape, dtype=torch.float64):
    return torch.arange(np.prod(shape), dtype=torch.float64).reshape(shape).to(dtype)


TREES = {
    "a tensor": leaf(2, 3, 4),
    "a dict": {"w": leaf(2, 3, 4), "b": {"deep": leaf(2, 3)}},
    "tuples, lists and plain values": (leaf(2, 3), [leaf(2, 3, 1), None, "word", 1.5, True]),
    "single precision": leaf(2, 3, 4, dtype=torch.float32),
    "complex numbers": torch.complex(leaf(2, 3, 4), -leaf(2, 3, 4)),
    "integers and truth values": {"i": leaf(2, 3, dtype=torch.int64), "t": leaf(2, 3) > 2},
    "transposed": leaf(4, 3, 2).permute(2, 1, 0),
    "time slowest": leaf(3, 2, 5, 4).permute(1, 0, 3, 2),
    "expanded along time": leaf(2, 1, 4).expand(2, 3, 4),
    "a part of larger memory": leaf(2, 3, 8)[..., 1::2],
    "nothing": {"none": leaf(2, 3, 0), "some": leaf(2, 3, 2)},
    "names that no file takes": {"a/b": leaf(2, 3), "a b": leaf(2, 3, 2), "a_b": leaf(2, 3, 3)},
}


@pytest.mark.parametrize("words", TREES)
def test_states_survive_arrays_and_files_with_their_order_in_memory(words, tmp_path):
    tree = settled(TREES[words])
    keeper = Keeper(REPLICATES)
    keeper.add(0, tree)
    kept = keeper.path([0.0, 1.0, 2.0], {"noted": np.ones((2, 3))})
    folder = StateFolder(tmp_path)
    folder.write("a.b", kept, origin(), {"estimator": "f"})
    for path in (kept, read_path(folder.file("a.b"))):
        again = Restored(path, 0, "cpu").params(range(3))
        assert nesting_of(again, "params")[0] == nesting_of(tree, "params")[0]
        before, after = (list(nesting_of(t, "p")[1].values()) for t in (tree, again))
        for first, second in zip(before, after, strict=True):
            assert torch.equal(first, second) and first.dtype == second.dtype
            large = [axis for axis in range(first.ndim) if first.shape[axis] > 1]
            assert first.numel() == 0 or all(
                first.stride(axis) == second.stride(axis) for axis in large
            )
        np.testing.assert_array_equal(path.records["noted"], np.ones((2, 3)))
        assert path.times == (0.0, 1.0, 2.0)


def origin():
    from testbed.planning.origin import Origin

    return Origin({"module": "digest"}, {"distribution": "1.0"}, {"torch": "2"})


def test_blocks_and_chunks_come_back_where_they_were():
    """Two chunks of replicates, two blocks of times, memory in other orders."""
    first, second = Keeper(2), Keeper(1)
    first.add(0, leaf(2, 2, 4))
    first.add(2, leaf(4, 1, 2).permute(2, 1, 0))
    second.add(0, leaf(1, 2, 4))
    second.add(2, -leaf(1, 1, 4))
    path = joined([keeper.path([0.0, 1.0, 2.0], {}) for keeper in (first, second)])
    assert path.arrays["params"].shape == (3, 3, 4)
    late = Restored(path, 0, "cpu").params(range(2, 3))
    assert torch.equal(late, leaf(4, 1, 2).permute(2, 1, 0)) and late.stride(2) == 2
    assert torch.equal(Restored(path, 2, "cpu").params(range(2, 3)), -leaf(1, 1, 4))
    with pytest.raises(UnsuitableError, match="begin with replicate 1"):
        Restored(path, 1, "cpu")


@pytest.mark.parametrize(
    "tree, words",
    [
        ({"fitted": object()}, "an object of the type object at p.fitted"),
        ({1: leaf(2)}, "of the type dict"),
        (leaf(2, dtype=torch.float16), "float16"),
    ],
)
def test_what_no_file_can_hold_is_refused_with_its_place(tree, words):
    with pytest.raises(UnsuitableError, match=words):
        nesting_of(tree, "p")


# --- families -------------------------------------------------------------------------------------


def without_training(monkeypatch):
    def trained(self, times):
        raise AssertionError("trained")

    monkeypatch.setattr(paths.Path, "advance", trained)


def expect_same_bits(cell, monkeypatch):
    """What restored states measure has the bits of what is measured in training, whether states
    are kept or not. Returns the number of blocks that were trained."""
    keeping = evolve(cell, compute=evolve(cell.compute, keep_states=True))
    full, kept = execute_cell(cell), execute_cell(keeping)
    assert not full.error and not kept.unkept and MAIN in kept.states
    with monkeypatch.context() as patch:
        without_training(patch)
        again = execute_cell(evolve(cell, kept=Kept(InMemory(kept.states))))
    for result in (kept, again):
        assert not result.error and result.faults == full.faults
        assert set(result.variables) == set(full.variables)
        for name in full.variables:
            np.testing.assert_array_equal(result.variables[name], full.variables[name])
        np.testing.assert_array_equal(result.diverged_at, full.diverged_at)
    return sum(len(blocks) for _, blocks, _ in json.loads(kept.states[MAIN].layout)["chunks"])


FAMILIES = {  # scenario → what it trains
    "quickstart": "sequence models",
    "feature-alignment": "orthogonal sequence models",
    "polynomial-barrier": "kernels and spectral filters",
    "double-descent": "random features",
    "architecture": "deep networks",
    "equivalence": "adaptive kernels with companions",
    "single-index": "directional features",
    "high-dimension": "kernels that learn in their preparation",
}


@pytest.mark.parametrize("memory", [2.0, 2e-6])
@pytest.mark.parametrize("name", FAMILIES)
def test_restored_states_of_every_family_measure_the_same_bits(name, memory, monkeypatch):
    """Also in many small blocks of times and chunks of replicates."""
    document = reduced(name, tomllib.loads((SCENARIOS / f"{name}.toml").read_text()))
    document["compute"] = {**document.get("compute", {}), "memory": memory}
    scenario = read_scenario(tomli_w.dumps(document), f"{name}.toml")
    cells = {c.estimator: c for c in reversed(make_plan(scenario).cells) if c.replicates}
    chosen = list(cells.values())[-1:] if name == "feature-alignment" else cells.values()  # slow
    parts = [expect_same_bits(cell, monkeypatch) for cell in chosen]
    assert memory == 2.0 or max(parts) > 1


def test_restored_torch_modules_measure_the_same_bits(monkeypatch):
    cell = make_cell(
        Points(n=6, dim=9, noise=0.1), Smooth(), Convolutional(width=2),
        GradientDescent(learning_rate=0.1), [0.0, 0.5, 2.0], (ExcessRisk(), TrainingLoss()),
    )  # fmt: skip
    expect_same_bits(cell, monkeypatch)


def test_no_metric_changes_what_is_trained():
    """A metric that needs large matrices shrinks the blocks of measuring, not those of training."""
    network = TwoLayerNetwork(width=4, activation="tanh")
    states = []
    for metrics in ((ExcessRisk(),), (ExcessRisk(), Eigenvalues())):
        cell = make_cell(
            Points(n=30, dim=3, noise=0.1), Smooth(), network, GradientDescent(learning_rate=0.1),
            np.linspace(0.0, 4.0, 9), metrics, compute=Compute(memory=2e-4, keep_states=True),
        )  # fmt: skip
        states.append(execute_cell(cell).states[MAIN])
    assert states[0].layout == states[1].layout
    for name in states[0].arrays:
        np.testing.assert_array_equal(states[0].arrays[name], states[1].arrays[name])
