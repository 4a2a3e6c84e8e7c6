"""The peers' side of benchmarks/bench_networks.py; runs in an interpreter with jax, prints JSON.

Imports nothing of testbed: only jax, numpy and, for `kernel`, neural_tangents.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def predict(params: Mapping[str, Any], x: Any) -> Any:
    """f(x) = m^{−½} Σ a_k relu(⟨w_k, x⟩), shape (n,)."""
    width = params["second"].shape[0]
    return jnp.maximum(x @ params["first"].T, 0) @ params["second"] / math.sqrt(width)


def loss(params: Mapping[str, Any], x: Any, y: Any) -> Any:
    return 0.5 * jnp.mean((y - predict(params, x)) ** 2)


def trainer(steps: int, rate: float) -> Callable[..., Any]:
    """Full-batch gradient descent of one replicate by scan; returns the loss at the end."""

    def run(params: Any, x: Any, y: Any) -> Any:
        def step(params: Any, _: None) -> tuple[Any, None]:
            slope = jax.grad(loss)(params, x, y)
            return jax.tree_util.tree_map(lambda p, g: p - rate * g, params, slope), None

        end, _ = jax.lax.scan(step, params, None, length=steps)
        return loss(end, x, y)

    return run


def best(work: Callable[[], Any], repeats: int) -> dict[str, float]:
    """Best of `repeats` rounds, compilation not counted."""
    work().block_until_ready()
    rounds = []
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        answer = work().block_until_ready()
        taken = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
        rounds.append(taken | {"answer": float(jnp.sum(answer)) / max(1, answer.shape[0])})
    return min(rounds, key=lambda taken: taken["wall"])


def train(arrays: Mapping[str, Any], steps: int, rate: float, repeats: int) -> dict[str, Any]:
    """vmap over replicates around the scan, and lax.map in its place."""
    params = {name: arrays[name] for name in ("first", "second")}
    inputs = (params, arrays["x"], arrays["y"])
    run = trainer(steps, rate)
    across = jax.jit(jax.vmap(run))
    in_turn = jax.jit(lambda group: jax.lax.map(lambda item: run(*item), group))
    return {
        "JAX, jit of vmap and scan": best(lambda: across(*inputs), repeats),
        "JAX, jit of lax.map and scan": best(lambda: in_turn(inputs), repeats),
    }


def kernel(arrays: Mapping[str, Any], repeats: int) -> dict[str, Any]:
    """neural-tangents' empirical NTK; the answer is its sum.

    NTK-vector products are left out: over all pairs of points they need gigabytes here.
    """
    import neural_tangents as nt
    from jax._src import source_info_util
    from jax.interpreters import ad

    # neural-tangents 0.6.5 looks for them there, from where newer JAX has taken them
    ad.source_info_util, ad.config = source_info_util, jax.config
    params = {name: arrays[name] for name in ("first", "second")}
    results = {}
    for name in ("JACOBIAN_CONTRACTION", "STRUCTURED_DERIVATIVES"):
        function = nt.empirical_ntk_fn(
            lambda params, x: predict(params, x)[:, None],
            trace_axes=(-1,),
            vmap_axes=0,
            implementation=nt.NtkImplementation[name],
        )
        compiled = jax.jit(lambda x, params, function=function: function(x, None, params))
        taken = best(lambda compiled=compiled: compiled(arrays["x"], params), repeats)
        taken["answer"] *= arrays["x"].shape[0]
        results[f"neural-tangents, {name.lower().replace('_', ' ')}"] = taken
    return results


def versions(kernels: bool) -> dict[str, str]:
    results = {"jax": jax.__version__, "numpy of the peer": np.__version__}
    if kernels:
        import neural_tangents as nt

        results["neural-tangents"] = nt.__version__
    return results


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("arrays")
    parser.add_argument("work", choices=("train", "kernel"))
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--rate", type=float, default=0.1)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    jax.config.update("jax_enable_x64", options.work == "kernel")
    with np.load(options.arrays) as stored:
        arrays = {name: jnp.asarray(stored[name]) for name in stored.files}
    if options.work == "train":
        result = train(arrays, options.steps, options.rate, options.repeats)
    else:
        result = kernel(arrays, options.repeats)
    report = {"versions": versions(options.work == "kernel"), "timings": result}
    print(json.dumps(report))


if __name__ == "__main__":
    main()
