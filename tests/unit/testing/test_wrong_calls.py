"""Wrong components whose calls change their arguments or global state, or remember other data."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch

from testbed import (
    HasGram,
    Metric,
    MetricFacts,
    ModelFacts,
    Optimizer,
    OptimizerFacts,
    Target,
    Theory,
    TheoryFacts,
    Variable,
)
from testbed.testing import Points, Sequence, SequenceModel, call_laws, make_case
from testbed.testing.laws import KitWarning
from testbed.testing.partners import PlainDescent
from tests.helpers.remembering import Remembering
from tests.helpers.wrong import Linear, broken_laws, objection, slope, wrong


def after(act, result):
    """A method that acts on its arguments before it returns a result of them."""

    def method(self, *arguments, **named):
        act(*arguments, **named)
        return result(*arguments, **named)

    return method


def loop(self):
    return ModelFacts(batching="loop")


def batch(self):
    return OptimizerFacts(batching="batch")


def product(prepared, params, probe):
    return probe @ params


def gram(prepared, params, x, kernel):
    return x @ x.mT


def first(drawn, x):
    return x[:, 0].copy()


def descent(fit, carry, since, times):
    return PlainDescent().advance(fit, carry, since, times)


def total(problem, predictions):
    return {"a": predictions.sum(-1)}


def ones(cell, times, problem=None):
    return {"a": np.ones(len(times))}


METRIC: dict[str, Any] = {"needs": ("predictions",), "variables": {"a": Variable("a")}}
THEORY: dict[str, Any] = {"variables": {"a": Variable("a")}}
CONCLUDED = {"a": Variable("a"), "b": Variable("b", time=False)}
SEQUENCE = {"design": Sequence(), "model": SequenceModel()}

CHANGED = {
    "draw of a model": wrong(
        Linear, draw=after(lambda rng, p: p.train.y.mul_(0.5), lambda *_: None)
    ),
    "prepare": wrong(
        Linear, facts=loop, prepare=after(lambda d, p: p.train.x.sub_(1), lambda d, p: d)
    ),
    "start": wrong(
        Linear,
        facts=loop,
        prepare=lambda self, drawn, problem: torch.ones(2, dtype=problem.train.x.dtype),
        start=after(lambda d, p, q: p.add_(1), lambda d, p, q: 0 * q.train.x[0]),
    ),
    "probe": wrong(Linear, facts=loop, probe=after(lambda p, x: x.clamp_(-1, 1), lambda p, x: x)),
    "predict, its points": wrong(Linear, predict=after(lambda p, w, x: x.mul_(1.01), product)),
    "predict, its parameters": wrong(Linear, predict=after(lambda p, w, x: w.add_(0.01), product)),
    "gradient": wrong(
        Linear,
        facts=loop,
        gradient=after(
            lambda p, w, q, rows=None: q.train.y.add_(1e-3),
            lambda p, w, q, rows=None: slope(p, w, q, rows),
        ),
    ),
    "gram": wrong(
        (Linear, HasGram), facts=loop, gram=after(lambda p, w, x, kernel: x.div_(2), gram)
    ),
    "advance, the problem": wrong(
        Optimizer,
        facts=batch,
        advance=after(lambda fit, *_: fit.problem.train.y.mul_(0.999), descent),
    ),
    "measure for one replicate": wrong(
        Metric,
        measure=after(lambda p, predictions: p.test.truth.mul_(0.5), total),
        **METRIC,
    ),
    "measure for all replicates": wrong(
        Metric,
        facts=lambda self: MetricFacts(batching="batch"),
        measure=after(lambda p, predictions: predictions.mul_(0.5), total),
        **METRIC,
    ),
    "conclude": wrong(
        Metric,
        needs=("predictions",),
        variables=CONCLUDED,
        concluded=("b",),
        measure=lambda self, problem, predictions: total(problem, predictions),
        conclude=after(
            lambda times, measured: measured["a"].fill(0),
            lambda times, measured: {"b": measured["a"].max(1)},
        ),
    ),
    "draw of a target": wrong(
        Target,
        draw=after(lambda rng, sample: sample.x.fill(0), lambda *_: None),
        values=lambda self, drawn, x: first(drawn, x),
    ),
    "values": wrong(Target, values=after(lambda d, x: np.subtract(x, 0.5, out=x), first)),
    "predict of a theory": wrong(
        Theory,
        facts=lambda self: TheoryFacts(conditional=True),
        predict=after(lambda cell, times, problem: problem.train.y.mul_(0), ones),
        **THEORY,
    ),
}


@pytest.mark.parametrize("method", CHANGED)
def test_a_call_that_changes_its_arguments_is_found(method):
    partners = SEQUENCE if "theory" in method else {}
    text = objection("inputs_stay_as_they_are", CHANGED[method], **partners)
    assert text is not None and f"changed by {method.split(',')[0].split(' ')[0]}" in text, text


def seeded(result):
    return after(lambda *_, **__: np.random.seed(0), result)


MOVED = {
    "prepare, Python": wrong(
        Linear, prepare=after(lambda *_: random.seed(0), lambda drawn, problem: drawn)
    ),
    "start, NumPy": wrong(
        Linear,
        start=seeded(lambda d, p, q: q.train.x.new_tensor(np.random.standard_normal(2))),
    ),
    "prepare, torch": wrong(
        Linear,
        prepare=after(lambda *_: torch.set_default_dtype(torch.float64), lambda drawn, _: drawn),
    ),
    "draw, torch": wrong(
        Points, draw=after(lambda rng: torch.manual_seed(0), lambda rng: Points().draw(rng))
    ),
    "advance, NumPy": wrong(Optimizer, facts=batch, advance=seeded(descent)),
    "measure, NumPy": wrong(
        Metric, facts=lambda self: MetricFacts(batching="loop"), measure=seeded(total), **METRIC
    ),
    "values, NumPy": wrong(Target, values=seeded(first)),
    "predict, NumPy": wrong(Theory, predict=seeded(ones), **THEORY),
}


@pytest.mark.parametrize("method", MOVED)
def test_a_call_that_moves_global_state_is_found(method):
    partners = SEQUENCE if isinstance(MOVED[method], Theory) else {}
    text = objection("global_state_is_untouched", MOVED[method], **partners)
    assert text is not None and f"changed by {method.split(',')[0]}" in text, text
    assert torch.get_default_dtype() == torch.float32, "the kit restores what it finds changed"


def test_a_model_that_remembers_the_first_data_is_found():
    assert "remembers_nothing" in broken_laws(Remembering())


def test_what_cannot_be_imported_again_is_not_said_to_remember_nothing(monkeypatch):
    """The second import of the package gives numbers that cannot be computed."""

    def raising(case):
        raise RuntimeError("the class is another one")

    monkeypatch.setattr(call_laws, "numbers", raising)
    monkeypatch.setattr(call_laws, "imported_again", lambda case: case)
    case = make_case(wrong(Linear))
    with pytest.warns(KitWarning, match="not tried on .*: the class is another one"):
        call_laws.remembers_nothing(case)
    monkeypatch.setattr(call_laws, "imported_again", lambda case: None)
    with pytest.warns(KitWarning, match="its package cannot be imported a second time"):
        call_laws.remembers_nothing(case)


def test_a_right_model_changes_and_remembers_nothing():
    assert broken_laws(wrong(Linear)) == ["travels"]
