"""The peers' side of benchmarks/bench_kernels.py; runs in an interpreter with neural-tangents or
scikit-ntk, prints JSON. Imports nothing of testbed.

    python benchmarks/peers/grams.py INPUTS.npy GRAM.npy DEPTH ROUNDS
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import sys
import time
from collections.abc import Callable
from fractions import Fraction

import numpy as np


def scikit_ntk(depth: int) -> Callable[[np.ndarray], np.ndarray]:
    from skntk import NeuralTangentKernel

    kernel = NeuralTangentKernel(depth=depth, bias=0.0)
    return lambda x: np.asarray(kernel(x))


def neural_tangents(depth: int) -> Callable[[np.ndarray], np.ndarray]:
    import jax
    from neural_tangents import stax

    jax.config.update("jax_enable_x64", True)
    layers = [layer for _ in range(depth) for layer in (stax.Dense(1, 2**0.5), stax.Relu())]
    kernel = jax.jit(stax.serial(*layers, stax.Dense(1))[2], static_argnames="get")
    return lambda x: np.asarray(kernel(x, None, get="ntk"))


PEERS = {
    "scikit-ntk": ("skntk", scikit_ntk, ("scikit-ntk",)),
    "neural-tangents, jitted": ("neural_tangents", neural_tangents, ("neural-tangents", "jax")),
}


def main(inputs: str, ours: str, depth: int, count: int) -> None:
    x, expected = np.load(inputs), np.load(ours)
    results, versions = {}, {}
    for name, (module, peer, distributions) in PEERS.items():
        if not importlib.util.find_spec(module):
            continue
        versions |= {item: importlib.metadata.version(item) for item in distributions}
        work = peer(depth)
        work(x)  # compiles
        rounds = []
        gram = None
        for _ in range(count):
            gram = None  # its memory is for the next one
            wall, cpu = time.perf_counter(), time.process_time()
            gram = work(x)
            rounds.append((time.perf_counter() - wall, time.process_time() - cpu))
        taken = dict(zip(("wall", "cpu"), min(rounds), strict=True))
        # peers scale layers differently, by a simple ratio; the error itself is not scaled away
        ratio = Fraction(float(expected[0, 0] / gram[0, 0])).limit_denominator(1000)
        gram = gram * float(ratio)
        diagonal = float(np.abs(np.diag(gram) / (depth + 1) - 1).max())
        results[name] = taken | {"diagonal": diagonal, "gap": float(np.abs(gram - expected).max())}
    print(json.dumps({"found": results, "versions": versions}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
