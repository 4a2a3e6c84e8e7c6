"""The laws of a whole distribution: excuses, examples that do not work, and bounded time."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from attrs import evolve

from testbed.errors import PluginError, TestbedError
from testbed.testing import Case, Points, check_component, trials, try_law
from testbed.testing.check import ConformanceError, unknown_laws
from testbed.testing.distributions import component_trials, offers_of, outcomes
from testbed.testing.snippets import snippet
from tests.helpers import hanging
from tests.helpers.strangers import registry_with


@pytest.fixture(scope="module")
def registry():
    return registry_with(hanging)


def objections(name, registry):
    return {trial.law.name: trial.objection() for trial in trials(name, registry)}


def test_a_right_component_breaks_nothing(registry):
    assert not any(objections("hanging.straight", registry).values())


def test_a_broken_law_says_what_was_found_and_the_code_that_shows_it(registry):
    broken = {law: text for law, text in objections("hanging.doubled", registry).items() if text}
    assert list(broken) == ["gradient_is_that_of_the_loss"]
    text = broken["gradient_is_that_of_the_loss"]
    assert "found" in text and "expected" in text and "against autograd of the loss" in text
    lines = [line.strip() for line in text.splitlines()]
    code = lines[lines.index("from tests.helpers.hanging import Doubled") :]
    assert [line for line in code if line] == [
        "from tests.helpers.hanging import Doubled",
        "from testbed.testing import try_law",
        'try_law("gradient_is_that_of_the_loss", Doubled())',
    ]
    with pytest.raises(AssertionError, match="against autograd of the loss"):
        exec("\n".join(code), {})


def test_the_code_names_partners_that_the_kit_would_not_choose(registry):
    (trial,) = [
        trial for trial in trials("adaptive.overlap") if trial.law.name == "values_are_finite"
    ]
    code = snippet(trial.law, trial.case)
    assert "from testbed_adaptive.models.directional import Directional" in code
    assert "design=Gaussian(dim=8, n=12" in code
    exec(code, {})


def test_an_excused_law_must_be_broken(registry):
    assert not any(objections("hanging.excused", registry).values())
    (trial,) = [
        trial
        for trial in trials("hanging.straight", registry)
        if trial.law.name == "gradient_descends"
    ]
    assert "kept, although 'it slips' was expected" in evolve(trial, excuse="it slips").objection()


def test_an_excuse_for_no_law_is_named():
    case = trials("ntk.rbf")[0].case
    assert isinstance(case, Case)
    (text,) = unknown_laws(case, {"gradient_descend": "why not"})
    assert "did you mean 'gradient_descends'" in text
    with pytest.raises(TestbedError, match="did you mean 'gradient_descends'"):
        try_law("gradient_descend", hanging.Straight())


def test_an_example_that_does_not_work_is_a_broken_law(registry):
    assert list(objections("hanging.unbuildable", registry)) == ["has_an_example"]
    text = objections("hanging.unbuildable", registry)["has_an_example"]
    assert "found the unknown key 'width'" in text


def test_a_component_that_hangs_ends_in_time_and_is_named(registry, monkeypatch):
    monkeypatch.setattr("testbed.testing.distributions.LAW_SECONDS", 1.0)
    started = time.monotonic()
    (outcome,) = outcomes(trials("hanging.endless", registry))
    assert time.monotonic() - started < 30
    assert "found no end" in outcome.objection and "expected" in outcome.objection


def test_a_law_that_hangs_ends_in_time_and_names_the_line():
    class Patient(Points):
        name = "hanging.patient"

        def draw(self, rng):
            while True:
                time.sleep(0.01)

    with pytest.raises(ConformanceError, match=r"found no end after .* s \(.*in draw\)"):
        check_component(Patient(), seconds=1.0)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("strange", "strange"),
        ("theory-testbd", "did you mean 'theory-testbed'"),
        ("hanging.strait", "pip install"),
    ],
)
def test_a_name_is_that_of_a_distribution_plugin_or_component(registry, name, words):
    if name == "strange":
        assert len(offers_of(name, registry)) == 5
        return
    with pytest.raises(PluginError, match=words):
        offers_of(name, registry)


def test_a_timer_that_was_set_before_goes_on_afterwards():
    import signal

    from testbed.testing.limits import limited

    handler, (before, _) = signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL)
    with limited(5):
        pass
    assert signal.getsignal(signal.SIGALRM) is handler
    after, _ = signal.getitimer(signal.ITIMER_REAL)
    assert (before == 0) == (after == 0) and after <= before


def test_seconds_are_those_of_the_processor_unless_nothing_is_computed():
    from testbed.testing.limits import Stopwatch

    waiting = Stopwatch()
    time.sleep(0.5)
    assert waiting.seconds() == pytest.approx(0.5, rel=0.5)
    computing, processor = Stopwatch(), time.process_time()
    while time.process_time() < processor + 0.3:
        pass
    assert computing.seconds() == pytest.approx(0.3, rel=0.3)


def test_a_law_that_catches_every_exception_is_reported_from_outside(monkeypatch):
    from testbed.testing import limits

    monkeypatch.setattr(limits, "GRACE", 0.5)
    places: list[str] = []
    with limits.watching_the_stuck(places.append):
        try:
            with limits.limited(0.2):
                while not places:
                    try:
                        time.sleep(0.01)
                    except BaseException:
                        continue
        except limits.OutOfTime:
            pass
    assert "test_distributions.py" in places[0]


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="bounded on Linux alone")
def test_a_law_that_takes_the_memory_of_the_machine_fails():
    class Greedy(Points):
        name = "hanging.greedy"

        def draw(self, rng):
            np.zeros(1 << 36)
            return super().draw(rng)

    with pytest.raises(ConformanceError, match=r"MemoryError.*in draw"):
        check_component(Greedy())


def test_examples_that_raise_are_a_broken_law():
    class Without(hanging.Straight):
        name = "hanging.without"

        @classmethod
        def examples(cls):
            raise RuntimeError("no example")

    (trial,) = component_trials(Without, None)
    assert "examples() raised RuntimeError: no example" in trial.objection()
