"""What a component does wrong costs its own variables: not the cell, not its siblings, not the
file. What it is handed it cannot change."""

from __future__ import annotations

import importlib.metadata

import numpy as np
import pytest
import torch
from attrs import frozen

from testbed import Estimator, Finding, Metric, Theory, Variable, hookimpl
from testbed.contract.border import ComponentFault, calling, title
from testbed.contract.facts import MetricFacts, TheoryFacts
from testbed.loading import PluginWarning
from testbed.running.border import private
from tests.helpers.strangers import SCENARIO, Module, mistakes_with, plan_with, run_with


class Measures(Metric):
    """A metric of the predictions."""

    needs = ("predictions",)
    variables = {"a": Variable("a")}  # noqa: RUF012

    def measure(self, problem, predictions):
        return {"a": predictions.std()}


class Predicts(Theory):
    """A theory of the excess risk."""

    variables = {"excess_risk": Variable("a", predicts="excess_risk")}  # noqa: RUF012

    def predict(self, cell, times, problem=None):
        return {"excess_risk": np.ones(len(times))}


def metric(name, base=Measures, batching="vmap", **members):
    """A metric class with some members of its own."""
    if base is Measures:
        members["facts"] = lambda self: MetricFacts(batching=batching)
    return frozen(kw_only=True)(type(name, (base,), {"name": f"strange.{name}", **members}))


def theory(name, conditional=False, **members):
    members["facts"] = lambda self: TheoryFacts(conditional=conditional)
    return metric(name, Predicts, **members)


def centre(self, problem, predictions):
    predictions -= predictions.mean()
    return {"a": predictions.std()}


def centre_by_numpy(self, problem, predictions):
    array = predictions.numpy()
    array -= array.mean()
    return {"a": predictions.std()}


def write_inputs(self, problem, predictions):
    problem.test.truth.zero_()
    return {"a": predictions.std()}


def centre_batch(self, problem, predictions):
    predictions -= predictions.mean(-1, keepdim=True)
    return {"a": predictions.std(-1)}


def raises(*_, **__):
    raise AttributeError("no depth")


@pytest.fixture(scope="module")
def risk(tmp_path_factory):
    """The excess risk without any stranger."""
    with pytest.MonkeyPatch.context() as patch:
        tree, failed = run_with(Module(), SCENARIO, tmp_path_factory.mktemp("alone"), patch)
    assert not failed
    return tree["m"]["excess_risk"].values


GUILTY = [
    (metric("raises", measure=raises), "measure raised AttributeError: no depth"),
    (metric("shape", measure=lambda self, problem, predictions: {"a": predictions[:3]}), "shape"),
    (metric("names", measure=lambda self, problem, predictions: {"b": predictions.std()}), "of a"),
    (metric("none", measure=lambda self, problem, predictions: None), "returned NoneType"),
    (
        metric("floats", batching="loop", measure=lambda self, problem, predictions: {"a": 1.0}),
        "found a as ",
    ),
    (
        metric("complex", measure=lambda self, problem, predictions: {"a": predictions.std() * 1j}),
        "complex numbers in a",
    ),
    (
        metric(
            "axes",
            batching="batch",
            measure=lambda self, problem, predictions: {"a": predictions.std()},
        ),
        "found a of shape ()",
    ),
    (metric("writes", measure=centre), "measure wrote into predictions"),
    (metric("inputs", measure=write_inputs), "measure wrote into problem"),
    (metric("batch", batching="batch", measure=centre_batch), "measure wrote into predictions"),
    (metric("numpy", batching="loop", measure=centre_by_numpy), "measure wrote into predictions"),
    (metric("exits", measure=lambda *_, **__: raise_exit()), "SystemExit"),
    (
        metric(
            "long",
            variables={"a": Variable("a", dims=("k",))},
            coordinates=lambda self, sizes: {"k": np.arange(4.0)},
            measure=lambda self, problem, predictions: {"a": predictions[:3]},
        ),
        "found a of shape (3,)",
    ),
    (
        metric(
            "matrix",
            variables={"a": Variable("a", dims=("k",))},
            coordinates=lambda self, sizes: {"k": np.ones((2, 2))},
            measure=lambda self, problem, predictions: {"a": predictions[:3]},
        ),
        "found the coordinate k of shape (2, 2)",
    ),
    (
        metric(
            "equal",
            variables={"a": Variable("a", dims=("k",))},
            coordinates=lambda self, sizes: {"k": np.ones(3)},
            measure=lambda self, problem, predictions: {"a": predictions[:3]},
        ),
        "with equal values",
    ),
    (
        metric(
            "concludes",
            variables={"a": Variable("a"), "last": Variable("l", time=False)},
            concluded=("last",),
            conclude=lambda self, times, measured: {"last": measured["a"].__imul__(0)[:, -1]},
        ),
        "read-only",
    ),
    (
        metric(
            "conclusion",
            variables={"a": Variable("a"), "last": Variable("l", time=False)},
            concluded=("last",),
            conclude=lambda self, times, measured: {"last": np.ones(7)},
        ),
        "found last of shape (7,), expected (1,)",
    ),
]


def raise_exit():
    raise SystemExit(3)


@pytest.mark.parametrize(("guilty", "words"), GUILTY, ids=lambda item: getattr(item, "name", ""))
def test_a_metric_that_does_wrong_costs_itself_alone(guilty, words, risk, tmp_path, monkeypatch):
    # the guilty one first, so that it would spoil what the others read
    text = SCENARIO.replace("[[metric]]", f'[[metric]]\nuse = "{guilty.name}"\n[[metric]]')
    tree, failed = run_with(Module(metrics=[guilty]), text, tmp_path, monkeypatch)
    group = tree["m"].to_dataset()
    np.testing.assert_array_equal(group["excess_risk"], risk)
    assert (group["status"] == 0).all() and "a" not in group
    assert words in str(group["a__error"].values) and guilty.name in str(group["a__error"].values)
    assert failed and all(words in text for text in failed)
    assert [x for x in tree["soundness"]["observation"].values if words in x]


@pytest.mark.parametrize(
    ("guilty", "words"),
    [
        (metric("applies", applies=raises), "applies raised AttributeError: no depth"),
        (metric("reason", applies=lambda self, cell: 3), "applies returned int"),
        (metric("companion", companion=raises), "companion raised AttributeError"),
        (
            metric("partner", companion=lambda self, params, remaining: "m"),
            "companion returned str",
        ),
        (
            metric(
                "coordinates",
                variables={"a": Variable("a", dims=("k",))},
                coordinates=lambda self, sizes: {"k": np.arange(sizes["width"])},
            ),
            "coordinates raised KeyError",
        ),
    ],
    ids=lambda item: getattr(item, "name", ""),
)
def test_a_metric_at_fault_while_planning_is_left_out_by_name(guilty, words):
    text = f'{SCENARIO}\n[[metric]]\nuse = "{guilty.name}"'
    plan = plan_with(Module(metrics=[guilty]), text)
    assert [item.metric.name for item in plan.cells[0].metrics] == ["excess-risk"]
    (warning,) = plan.warnings
    assert "$.metric[1]" in warning and guilty.name in warning and words in warning


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        ({"a": Variable("a", dims=("time",))}, "along 'time', which is reserved"),
        ({"a": Variable("a", dims=("replicate",))}, "along 'replicate', which is reserved"),
        ({"a": Variable("a", dims="mode")}, "expected a tuple"),
        ({"a": Variable("a", dims=("k", "k"))}, "expected each once"),
        ({"a b": Variable("a")}, "found the variable 'a b'"),
        ({"a": "a"}, "expected a Variable"),
        ({"a": Variable("a", units=None)}, "with units = None"),
        ({"a": Variable("a", attrs={"flag": True})}, "the attribute flag = True"),
        (["a"], "not a dict from names"),
        ({"time_reached": Variable("a")}, "'time_reached', which is reserved"),
    ],
)
def test_variables_that_no_result_can_hold_are_refused_while_planning(declared, words):
    """Variables that parameter values lead to; those of a class are refused when it is loaded."""
    stranger = metric("declares", declared=lambda self: declared)
    result = mistakes_with(
        Module(metrics=[stranger]), f'{SCENARIO}\n[[metric]]\nuse = "strange.declares"'
    )
    assert any("$.metric[1]" in text and words in text for text in result), result


@pytest.mark.parametrize(
    ("dim", "optimizer", "owner"),
    [
        ("ridge", 'use = "spectral-filter", filter = "ridge"', "spectral-filter"),
        ("step", 'use = "gradient-descent", learning_rate = 0.1', "gradient-descent"),
    ],
)
def test_a_dim_that_is_a_coordinate_already_is_refused(dim, optimizer, owner):
    stranger = metric(
        "clash",
        variables={"a": Variable("a", dims=(dim,))},
        coordinates=lambda self, sizes: {dim: np.arange(3.0)},
    )
    text = SCENARIO.replace('use = "gradient-flow"', optimizer)
    text += '\n[[metric]]\nuse = "strange.clash"'
    (result,) = mistakes_with(Module(metrics=[stranger]), text)
    assert f"found 'a' along '{dim}', which is a coordinate of {owner} too" in result
    assert "rename the dim" in result and "$.metric[1]" in result


@pytest.mark.parametrize(
    ("guilty", "words"),
    [
        (theory("raises", predict=raises), "predict raised AttributeError: no depth"),
        (theory("shape", predict=lambda *_, **__: {"excess_risk": np.ones(5)}), "expected (2,)"),
        (theory("names", predict=lambda *_, **__: {"risk": np.ones(2)}), "of excess_risk"),
        (theory("text", predict=lambda *_, **__: {"excess_risk": ["x", "y"]}), "not an array of"),
        (theory("none", predict=lambda *_, **__: None), "returned NoneType"),
    ],
    ids=lambda item: getattr(item, "name", ""),
)
@pytest.mark.parametrize("conditional", [False, True])
def test_a_theory_that_does_wrong_costs_itself_alone(
    guilty, words, conditional, risk, tmp_path, monkeypatch
):
    members = {"conditional": conditional, "predict": guilty.predict}
    guilty = theory("guilty", **members)
    text = f'{SCENARIO}\n[[theory]]\nuse = "{guilty.name}"'
    tree, failed = run_with(Module(theories=[guilty]), text, tmp_path, monkeypatch)
    group = tree["m"].to_dataset()
    np.testing.assert_array_equal(group["excess_risk"], risk)
    assert words in str(group["excess_risk__guilty__error"].values)
    assert failed and (group["status"] == 0).all()


def test_a_theory_writes_into_copies_alone(risk, tmp_path, monkeypatch):
    def spoil(self, cell, times, problem=None):
        problem.test.truth.numpy()[:] = 0.0
        return {"excess_risk": np.ones(len(times))}

    spoils = theory("spoils", conditional=True, predict=spoil)
    text = f'{SCENARIO}\n[[theory]]\nuse = "{spoils.name}"'
    tree, failed = run_with(Module(theories=[spoils]), text, tmp_path, monkeypatch)
    np.testing.assert_array_equal(tree["m"]["excess_risk"], risk)
    assert not failed


class WritingCheck(Module):
    @hookimpl
    def testbed_check_results(self, plan, tree):
        values = tree["m"]["excess_risk"].values
        values -= values.min()
        return []


class AddingCheck(Module):
    @hookimpl
    def testbed_check_results(self, plan, tree):
        tree["m"]["extra"] = 1.0
        tree["m"].attrs["omitted"] = "nothing"
        del tree["m"]["status"]
        return []


class HalfCheck(Module):
    @hookimpl
    def testbed_check_results(self, plan, tree):
        yield Finding(check="half", observation="seen before the error", advice="none")
        raise RuntimeError("half way")


class WritingWatcher(Module):
    @hookimpl
    def testbed_cell_finished(self, cell, result):
        result.variables["excess_risk"][:] = 0.0


@pytest.mark.parametrize("plugin", [WritingCheck, WritingWatcher, HalfCheck])
def test_hooks_that_write_into_results_or_raise_are_named_and_harmless(
    plugin, risk, tmp_path, monkeypatch
):
    with pytest.warns(PluginWarning, match=r"strange:strange: testbed_\w+ raised"):
        tree, _ = run_with(plugin(), SCENARIO, tmp_path, monkeypatch)
    np.testing.assert_array_equal(tree["m"]["excess_risk"], risk)
    observed = list(tree["soundness"]["observation"].values)
    assert ("seen before the error" in observed) == (plugin is HalfCheck)
    assert any("strange:strange" in text for text in observed) == (plugin is not WritingWatcher)


def test_what_a_check_adds_to_the_tree_stays_with_the_check(risk, tmp_path, monkeypatch):
    tree, _ = run_with(AddingCheck(), SCENARIO, tmp_path, monkeypatch)
    assert "extra" not in tree["m"] and "status" in tree["m"]
    assert "omitted" not in tree["m"].attrs


class HalfObjection(Module):
    @hookimpl
    def testbed_check_scenario(self, plan):
        yield "the first objection"
        raise RuntimeError("half way")


def test_objections_made_before_a_check_raises_count():
    with pytest.warns(PluginWarning, match="half way"):
        result = mistakes_with(HalfObjection(), SCENARIO)
    assert ["the first objection" in text for text in result] == [True]


# --- the parts ----------------------------------------------------------------------------------


def test_a_fault_keeps_the_name_of_the_innermost_component():
    inner, outer = metric("inner")(), metric("outer")()
    message = pytest.raises(ComponentFault, match=r"strange\.inner: f raised ValueError: no")
    with message as caught, calling(outer, "g"), calling(inner, "f"):
        raise ValueError("no")
    assert caught.value.component is inner


def test_titles_name_distribution_and_version():
    from testbed_basics.metrics.risks import ExcessRisk

    version = importlib.metadata.version("theory-testbed")
    assert title(ExcessRisk()) == f"excess-risk of theory-testbed {version}"


def test_private_copies_share_no_memory_and_keep_repeated_axes():
    repeated = torch.arange(6.0).reshape(2, 1, 3).expand(2, 4, 3)
    copied = private(repeated)
    assert torch.equal(copied, repeated) and copied.stride(1) == 0
    assert copied.data_ptr() != repeated.data_ptr()


def test_a_companion_that_fails_costs_the_metrics_that_ask_for_it(risk, tmp_path, monkeypatch):
    from testbed_ntk.models.stationary import Rbf

    @frozen(kw_only=True)
    class Breaks(Rbf):
        name = "strange.breaks"

        def prepare(self, drawn, problem):
            raise RuntimeError("cannot be prepared")

    class Compares(Measures):
        needs = ("predictions", "companion_predictions")

        def companion(self, model, remaining):
            return Estimator("beside", Breaks(), model.optimizer)

        def measure(self, problem, predictions, companion_predictions):
            return {"a": (predictions - companion_predictions).std()}

    compares = metric("compares", Compares)
    text = SCENARIO.replace("[[metric]]", f'[[metric]]\nuse = "{compares.name}"\n[[metric]]')
    tree, failed = run_with(Module(metrics=[compares]), text, tmp_path, monkeypatch)
    np.testing.assert_array_equal(tree["m"]["excess_risk"], risk)
    assert "strange.breaks" in failed[0] and "cannot be prepared" in failed[0]
