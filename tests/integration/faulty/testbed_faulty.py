"""A plugin whose model fails on demand, for tests of what a run promises."""

from __future__ import annotations

import os
import signal
import sys
import time

import attrs
import testbed_faulty_helper
from attrs import frozen

import testbed
from testbed import Model, ModelFacts, parameter


class WordlessError(Exception):
    """An error whose text cannot be made."""

    def __str__(self) -> str:
        raise ValueError("no words")


def strike(fault: str) -> None:
    """Do what the fault is called."""
    if fault == "exit":
        sys.exit(0)
    if fault == "os_exit":
        os._exit(0)
    if fault == "interrupt":
        raise KeyboardInterrupt
    if fault == "generator_exit":
        raise GeneratorExit
    if fault == "wordless":
        raise WordlessError
    if fault == "raise":
        raise RuntimeError("boom")
    if fault == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    while fault == "loop":
        pass
    if fault == "sleep":
        time.sleep(1000)


@frozen(kw_only=True)
class Faulty(Model):
    """The mean of n observations, unless its rate is the one at which it fails."""

    name = "faulty.model"
    rate: float = parameter(0.5, help="decay", gt=0)
    fault: str = parameter("", help="what happens")
    fatal_rate: float = parameter(0.5, help="the rate at which it happens; 0 for any")
    pause: float = parameter(0.0, help="seconds that a cell takes")

    def facts(self):
        return ModelFacts(batching="loop")

    def strikes(self, *faults: str) -> bool:
        return self.fatal_rate in (0, self.rate) and (not faults or self.fault in faults)

    def draw(self, rng, problem):
        time.sleep(self.pause)
        if self.strikes():
            strike(self.fault)
        return None

    def prepare(self, drawn, problem):
        return (-self.rate / 2 * problem.train.x).exp() * testbed_faulty_helper.FACTOR

    def start(self, drawn, prepared, problem):
        return 0 * prepared

    def predict(self, prepared, params, probe):
        return prepared * params

    def __getstate__(self):
        if self.strikes("pickle"):
            raise TypeError("cannot be pickled")
        return attrs.asdict(self)

    def __setstate__(self, state):
        for name, value in state.items():
            object.__setattr__(self, name, value)
        if self.strikes("unpickle"):
            raise TypeError("cannot be unpickled")


@testbed.hookimpl
def testbed_models():
    return [Faulty]
