"""One worker process for each device."""

from __future__ import annotations

import os

VISIBLE = "CUDA_VISIBLE_DEVICES"


def worker_environments(device: str, workers: int) -> list[dict[str, str]]:
    """Environment variables of each worker: on "cuda" every worker sees one device of its own, and
    there are no more workers than devices; a named device has one worker."""
    if device == "cpu":
        return [{} for _ in range(workers)]
    if device != "cuda":
        return [{}]
    return [{VISIBLE: name} for name in _devices()[:workers]]


def _devices() -> list[str]:
    """The devices that this process may use."""
    named = os.environ.get(VISIBLE)
    if named is not None:
        return [name.strip() for name in named.split(",") if name.strip()]
    import torch

    return [str(number) for number in range(torch.cuda.device_count())]
