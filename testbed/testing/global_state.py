"""Global state of the process: the generators and settings that a component must not touch."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np
import torch


def plain_tensors() -> AbstractContextManager[None]:
    """A context in which torch.func does not see what is computed."""
    context: AbstractContextManager[None] = torch._C._DisableFuncTorch()
    return context


def _settings() -> dict[str, object]:
    return {
        "the default dtype of torch": torch.get_default_dtype(),
        "the number of threads of torch": torch.get_num_threads(),
        "the error handling of NumPy": tuple(np.geterr().items()),
        "the working folder": os.getcwd(),
    }


USUAL = _settings()
"""The settings before any component has run."""


def _put(settings: Mapping[str, Any]) -> None:
    dtype, threads, errors, folder = settings.values()
    torch.set_default_dtype(dtype)
    torch.set_num_threads(threads)
    np.seterr(**dict(errors))
    os.chdir(folder)


def global_state() -> dict[str, object]:
    """Global settings and generators, in a form that can be compared."""
    numbers: Any = np.random.get_state()
    with plain_tensors():
        generator = torch.get_rng_state().numpy().tobytes()
    return {
        "the global generator of torch": generator,
        "the global generator of numpy.random": (numbers[1].tobytes(), numbers[2]),
        "the global generator of random": random.getstate(),
        **_settings(),
    }


@contextmanager
def settings_restored() -> Iterator[None]:
    """Restore the global settings at the end."""
    settings = _settings()
    try:
        yield
    finally:
        _put(settings)


@contextmanager
def unusual_state() -> Iterator[None]:
    """Put global generators into an unusual state and settings into that of the start; restore
    both at the end."""
    numbers, python = np.random.get_state(), random.getstate()
    with settings_restored(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(19650218)
        np.random.seed(19650218)
        random.seed(19650218)
        _put(USUAL | {"the number of threads of torch": 1})
        try:
            yield
        finally:
            np.random.set_state(numbers)
            random.setstate(python)
