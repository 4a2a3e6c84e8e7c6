"""Where tensors live: the device that a scenario asks for, and whether this machine has it."""

from __future__ import annotations

from attrs import evolve

from testbed.contract.cells import Compute
from testbed.errors import Mistake

AUTO = "auto"


def on_device(compute: Compute) -> Compute:
    """The same with `auto` replaced by the device of this machine, so that keys know it."""
    if compute.device != AUTO:
        return compute
    return evolve(compute, device="cuda" if _has("cuda") else "cpu")


def device_mistakes(compute: Compute) -> list[Mistake]:
    """The mistake of a device that this machine lacks. Jobs of a queueing system run elsewhere."""
    if compute.dask is not None or compute.device in ("cpu", AUTO) or _has(compute.device):
        return []
    problem = f"found {compute.device!r}, which this machine does not have"
    return [Mistake("$.compute.device", problem, "a device of this machine", 'use "auto" or "cpu"')]


def _has(device: str) -> bool:
    import torch

    name, _, number = device.partition(":")
    if name == "cuda":
        return torch.cuda.is_available() and int(number or 0) < torch.cuda.device_count()
    return bool(torch.backends.mps.is_available())
