"""Two-layer networks against peers, side by side in one run; prints a Markdown table.

    python benchmarks/bench_networks.py [--steps 1000] [--peer-python /path/to/python/with/jax]

Training: 32 replicates of a two-layer ReLU network, d = 20, n = 500, full-batch gradient descent in
single precision, against a Python loop of torch modules with autograd and optim.SGD and, through
the peer interpreter, against jitted JAX. With fewer steps than 1000 times are extrapolated, steps
being alike. Kernel: the empirical NTK of 1000 points at width 1024 in double precision, against
per-example torch.func Jacobians and neural-tangents. Times are the best of `--repeats` wall times,
rounds of all contestants in turn; on a shared machine, compare the processor times beside them.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "plugins")]

import numpy as np  # noqa: E402
import torch  # noqa: E402

from testbed_networks.numerics.activations import activation  # noqa: E402
from testbed_networks.numerics.empirical_ntk import tangent_kernel  # noqa: E402
from testbed_networks.numerics.two_layer import TwoLayer, descend, predict  # noqa: E402

REPLICATES, POINTS, DIM, FULL_STEPS, RATE = 32, 500, 20, 1000, 0.1
KERNEL_POINTS, KERNEL_WIDTH = 1000, 1024
NETWORK = TwoLayer(activation("relu"))
PEER = Path(__file__).parent / "peers" / "jax_networks.py"
Arrays = Mapping[str, np.ndarray]


class Timing(NamedTuple):
    """Seconds of the best round, and what came out, to compare the contestants' answers."""

    wall: float
    cpu: float
    answer: Any


class Row(NamedTuple):
    """A line of the table."""

    work: str
    contestant: str
    timing: Timing
    flops: float


def training_arrays(width: int) -> Arrays:
    """One setting for every contestant, in float32."""
    rng = np.random.Generator(np.random.Philox(width))
    shapes = {
        "first": (REPLICATES, width, DIM),
        "second": (REPLICATES, width),
        "x": (REPLICATES, POINTS, DIM),
        "y": (REPLICATES, POINTS),
    }
    return {name: rng.standard_normal(shape).astype("float32") for name, shape in shapes.items()}


def kernel_arrays() -> Arrays:
    """Parameters and points of the empirical NTK, in float64."""
    rng = np.random.Generator(np.random.Philox(1))
    shapes = {
        "first": (KERNEL_WIDTH, DIM),
        "second": (KERNEL_WIDTH,),
        "x": (KERNEL_POINTS, DIM),
    }
    return {name: rng.standard_normal(shape) for name, shape in shapes.items()}


def by_testbed(arrays: Arrays, steps: int) -> float:
    """Mean loss at the end, by the batched loop."""
    values = {name: torch.from_numpy(value) for name, value in arrays.items()}
    params = {"first": values["first"], "second": values["second"]}
    weight = torch.full_like(values["y"], 1 / POINTS)
    end = descend(NETWORK, params, values["x"], values["y"], weight, RATE, steps)
    residual = values["y"] - predict(NETWORK, end.params, values["x"])
    return float(0.5 * (residual**2).mean())


def by_modules(arrays: Arrays, steps: int) -> float:
    """The same by a torch module, autograd and optim.SGD, one replicate after the other."""
    losses = []
    for r in range(REPLICATES):
        first, second, x, y = (torch.from_numpy(arrays[name][r]) for name in arrays)
        width = second.shape[0]
        hidden = torch.nn.Linear(DIM, width, bias=False)
        readout = torch.nn.Linear(width, 1, bias=False)
        with torch.no_grad():
            hidden.weight.copy_(first)
            readout.weight.copy_(second.unsqueeze(0))
        module = torch.nn.Sequential(hidden, torch.nn.ReLU(), readout)
        optimizer = torch.optim.SGD(module.parameters(), lr=RATE)
        for _ in range(steps):
            optimizer.zero_grad()
            loss = 0.5 * ((y - module(x).squeeze(1) / math.sqrt(width)) ** 2).mean()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            value = 0.5 * ((y - module(x).squeeze(1) / math.sqrt(width)) ** 2).mean()
        losses.append(float(value))
    return float(np.mean(losses))


def kernel_by_testbed(arrays: Arrays) -> torch.Tensor:
    """The closed form."""
    params = {name: torch.from_numpy(arrays[name]) for name in ("first", "second")}
    return tangent_kernel(NETWORK, params, torch.from_numpy(arrays["x"]))


def kernel_by_jacrev(arrays: Arrays) -> torch.Tensor:
    """Per-example Jacobians and their product, as PyTorch's tutorial on NTKs does it."""
    params = {name: torch.from_numpy(arrays[name]) for name in ("first", "second")}

    def single(params: Any, x: torch.Tensor) -> torch.Tensor:
        hidden = torch.relu(params["first"] @ x)
        return (params["second"] @ hidden).unsqueeze(0) / math.sqrt(KERNEL_WIDTH)

    jacobians = torch.func.vmap(torch.func.jacrev(single), (None, 0))(
        params, torch.from_numpy(arrays["x"])
    )
    flat = [leaf.flatten(1) for leaf in jacobians.values()]
    return torch.stack([leaf @ leaf.T for leaf in flat]).sum(0)


def race(contestants: Mapping[str, Callable[[], Any]], repeats: int) -> dict[str, Timing]:
    """The best of `repeats` rounds of each, taken in turn so that all see the same weather."""
    best: dict[str, Timing] = {}
    for _ in range(repeats):
        for name, work in contestants.items():
            wall, cpu = time.perf_counter(), time.process_time()
            answer = work()
            taken = Timing(time.perf_counter() - wall, time.process_time() - cpu, answer)
            best[name] = min(taken, best.get(name, taken), key=lambda timing: timing.wall)
    return best


def product_rate(dtype: torch.dtype) -> float:
    """Floating-point operations per second of a large square matrix product."""
    size = 2048
    matrix, out = torch.ones(size, size, dtype=dtype), torch.empty(size, size, dtype=dtype)
    torch.mm(matrix, matrix, out=out)
    timing = race({"product": lambda: torch.mm(matrix, matrix, out=out)}, 7)["product"]
    return 2 * size**3 / timing.wall


def by_peer(python: str, arrays: Arrays, threads: int, *options: str) -> dict[str, Any]:
    """Run the peer script on the same arrays; what it prints, or an explanation and exit."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "arrays.npz"
        np.savez(path, **arrays)  # type: ignore[arg-type]
        done = subprocess.run(
            [python, str(PEER), str(path), *options],
            capture_output=True,
            text=True,
            env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
            preexec_fn=pinned(threads),
        )
    if done.returncode:
        sys.exit(f"the peer interpreter {python} failed:\n{done.stderr.strip()}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def pinned(threads: int) -> Callable[[], None] | None:
    """Give the peer as many cores as torch has threads (JAX has no such option); Linux only."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    cores = sorted(os.sched_getaffinity(0))[:threads]
    return lambda: os.sched_setaffinity(0, cores)


def timings(result: Mapping[str, Any]) -> dict[str, Timing]:
    """What the peer measured."""
    return {name: Timing(**timing) for name, timing in result["timings"].items()}


def train(width: int, options: argparse.Namespace, versions: dict[str, str]) -> list[Row]:
    """Race all contestants at this width; times are for `FULL_STEPS` steps."""
    arrays, steps = training_arrays(width), options.steps
    contestants = {
        "testbed `descend`": lambda: by_testbed(arrays, steps),
        "torch modules, autograd, optim.SGD": lambda: by_modules(arrays, steps),
    }
    by_testbed(arrays, 1)  # first calls build the kernels' code
    result = race(contestants, options.repeats)
    if options.peer_python:
        choice = ("train", f"--steps={steps}", f"--rate={RATE}", f"--repeats={options.repeats}")
        peer = by_peer(options.peer_python, arrays, options.threads, *choice)
        versions |= peer["versions"]
        result |= timings(peer)
    agree({name: timing.answer for name, timing in result.items()}, 1e-3)
    share, work = FULL_STEPS / steps, f"training, width {width}"
    flops = 4.0 * REPLICATES * POINTS * DIM * width * FULL_STEPS  # the two large products
    return [
        Row(work, name, Timing(t.wall * share, t.cpu * share, t.answer), flops)
        for name, t in result.items()
    ]


def kernel(options: argparse.Namespace, versions: dict[str, str]) -> list[Row]:
    """Race all contestants at the empirical NTK."""
    arrays = kernel_arrays()
    contestants = {
        "testbed `tangent_kernel`": lambda: kernel_by_testbed(arrays),
        "torch.func, per-example jacrev": lambda: kernel_by_jacrev(arrays),
    }
    kernel_by_testbed(arrays)
    result = race(contestants, max(5, options.repeats))
    ours, theirs = (timing.answer for timing in result.values())
    torch.testing.assert_close(ours, theirs)
    if options.peer_python:
        choice = ("kernel", f"--repeats={max(5, options.repeats)}")
        peer = by_peer(options.peer_python, arrays, options.threads, *choice)
        versions |= peer["versions"]
        rivals = timings(peer)
        agree({"ours": float(ours.sum())} | {n: t.answer for n, t in rivals.items()}, 1e-6)
        result |= rivals
    flops = 2.0 * KERNEL_POINTS**2 * KERNEL_WIDTH  # two products, half of each by symmetry
    work = f"empirical NTK, n = {KERNEL_POINTS}, width {KERNEL_WIDTH}"
    return [Row(work, name, timing, flops) for name, timing in result.items()]


def agree(answers: Mapping[str, float], tolerance: float) -> None:
    """End the run if two contestants did not compute the same thing."""
    reference = next(iter(answers.values()))
    for name, answer in answers.items():
        if not math.isclose(answer, reference, rel_tol=tolerance):
            sys.exit(f"{name} computed {answer}, the first contestant {reference}: no comparison")


def table(rows: list[Row], rate: float) -> str:
    """Markdown; the ratio is to the first contestant, the share is of the matrix-product rate."""
    lines = [
        "| work | contestant | wall s | processor s | times testbed | share of product rate |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        ratio, share = row.timing.wall / rows[0].timing.wall, row.flops / row.timing.wall / rate
        lines.append(
            f"| {row.work} | {row.contestant} | {row.timing.wall:.3g} | {row.timing.cpu:.3g} "
            f"| {ratio:.2f} | {share:.0%} |"
        )
    return "\n".join(lines)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=100, help="steps that are really taken")
    parser.add_argument("--repeats", type=int, default=3, help="rounds; the best one counts")
    parser.add_argument("--widths", type=int, nargs="*", default=[64, 1024])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--peer-python", help="an interpreter with jax (and neural-tangents)")
    parser.add_argument("--no-kernel", action="store_true", help="training only")
    return parser.parse_args()


def main() -> None:
    options = parse()
    torch.set_num_threads(options.threads)
    versions = {"python": platform.python_version(), "torch": torch.__version__}
    single, double = product_rate(torch.float32), product_rate(torch.float64)
    tables = [table(train(width, options, versions), single) for width in options.widths]
    if not options.no_kernel:
        tables.append(table(kernel(options, versions), double))
    print("\n\n".join(tables))
    print(
        f"\n{options.threads} thread(s) of {os.cpu_count()} cores; matrix product "
        f"{single / 1e9:.0f} GFLOP/s in single, {double / 1e9:.0f} in double precision; "
        f"{options.steps} steps taken of {FULL_STEPS}; "
        + ", ".join(f"{name} {version}" for name, version in versions.items())
    )
    if not options.peer_python:
        print("JAX and neural-tangents were not measured: no --peer-python was given.")


if __name__ == "__main__":
    main()
