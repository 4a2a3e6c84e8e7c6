"""From one replicate to many: the views agree, whatever batching a component is written in."""

from __future__ import annotations

import pytest
import torch

from testbed.contract.capabilities import HasFlow
from testbed.contract.components import Model
from testbed.contract.facts import ModelFacts
from testbed.contract.values import Fit
from testbed.numerics.trees import Each, flatten, index, stack, tree_map, unflatten
from testbed.running.batching import Batched, Single, lift, mapped


def function(tree, factor):
    return {"sum": tree["x"].sum(-1) * factor, "same": tree["x"], "label": tree["label"]}


def test_vmap_and_loop_lift_a_function_to_the_same_thing():
    tree = {"x": torch.arange(6.0).reshape(3, 2), "label": "fixed"}
    factor = torch.tensor([1.0, 10.0, 100.0])
    results = [lift(way, function)(tree, factor) for way in ("vmap", "loop")]
    for result in results:
        assert result["sum"].tolist() == [1.0, 50.0, 900.0]
        assert result["label"] == "fixed"


def test_mapped_over_the_second_axis_keeps_the_order_of_axes():
    params = torch.arange(12.0).reshape(2, 3, 2)  # (replicates, times, size)
    result = mapped(lambda params: params * torch.tensor([[1.0], [2.0]]), axis=1)(params)
    torch.testing.assert_close(result, params * torch.tensor([1.0, 2.0]).reshape(2, 1, 1))


def test_nothing_random_maps_to_nothing():
    assert mapped(lambda x: None)(torch.ones(3)) is None


class Doubling(Model, HasFlow):
    name = "tiny.doubling"

    def start(self, drawn, prepared, problem):
        return problem

    def predict(self, prepared, params, probe):
        return 2 * params + probe

    def flow(self, fit, last, since, times):
        return torch.stack([fit.start * t for t in times])


class DoublingBatch(Doubling):
    def facts(self):
        return ModelFacts(batching="batch")

    def flow(self, fit, last, since, times):
        return torch.stack([fit.start * t for t in times], 1)


class DoublingLoop(Doubling):
    def facts(self):
        return ModelFacts(batching="loop")


@pytest.mark.parametrize("kind", [Doubling, DoublingBatch, DoublingLoop])
def test_batched_and_single_views_are_inverse(kind):
    model = kind()
    params, probe = torch.arange(6.0).reshape(3, 2), torch.ones(3, 2)
    expected = 2 * params + probe
    torch.testing.assert_close(Batched(model).predict(None, params, probe), expected)
    torch.testing.assert_close(Single(model).predict(None, params[1], probe[1]), expected[1])
    problem = {"y": params}
    flow = Batched(model).flow(Fit(model, None, params, problem, None), params, 0.0, (1.0, 3.0))
    torch.testing.assert_close(flow, torch.stack([params, 3 * params], 1))


def test_stack_and_index_are_inverse_and_keep_what_is_not_a_tensor():
    trees = [{"x": torch.ones(2) * i, "pair": (None, [torch.tensor(i)])} for i in range(3)]
    stacked = stack(trees)
    assert stacked["x"].shape == (3, 2) and stacked["pair"][0] is None
    assert index(stacked, 2)["pair"][1][0] == 2
    actual = stack([object(), object()])
    assert isinstance(actual, Each) and index(actual, 1) is actual.items[1]


def test_flatten_and_unflatten_are_inverse_also_with_a_time_axis():
    tree = {"a": torch.rand(4, 2, 3), "b": torch.rand(4)}
    flat = flatten(tree)
    assert flat.shape == (4, 7)
    back = unflatten(tree, torch.stack([flat, 2 * flat], 1))
    tree_map(lambda new, old: torch.testing.assert_close(new[:, 1], 2 * old), back, tree)
