"""Kernel regression side by side: Gram matrix, regularisation path, memory; prints Markdown tables.

    python benchmarks/bench_kernels.py [--n 5000] [--dim 100] [--memory] [--peer-python PYTHON …]

Other libraries for the Gram matrix run in interpreters of their own, on the same inputs, right
after ours. Slow contestants run a few ridges and are extrapolated.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import re
import subprocess
import sys
import tempfile
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "plugins"), str(Path(__file__).parent)]

import numpy as np  # noqa: E402
import torch  # noqa: E402
from scipy import linalg  # noqa: E402
from side_by_side import Row, conditions, table, timed  # noqa: E402
from sklearn.kernel_ridge import KernelRidge  # noqa: E402

from testbed.contract.values import Data, Fit, Problem  # noqa: E402
from testbed.numerics.eigendecomposition import Eigendecomposition  # noqa: E402
from testbed_ntk.models import Rbf, ReluTangent  # noqa: E402
from testbed_ntk.numerics.gram import gram_matrix  # noqa: E402

PEER = Path(__file__).parent / "peers" / "grams.py"
DEPTH = 3
RIDGES = 50
ROUNDS = 10  # of Gram matrices, ours and peers'; the first ones find memory untouched
MODEL = ReluTangent(depth=DEPTH, first_variance=1.0)


def inputs(n: int, dim: int, seed: int = 1) -> torch.Tensor:
    x = np.random.Generator(np.random.Philox(seed)).standard_normal((n, dim))
    return torch.from_numpy(x / np.linalg.norm(x, axis=1, keepdims=True))


# --- the Gram matrix ------------------------------------------------------------------------------


def naive_gram(x: torch.Tensor) -> torch.Tensor:
    """The recursion on whole matrices, as one writes it down."""
    sigma = x @ x.T
    theta = sigma
    for _ in range(DEPTH):
        q = sigma.diagonal().sqrt()
        cosine = (sigma / (q[:, None] * q)).clamp(-1, 1)
        angle = math.pi - torch.acos(cosine)
        sigma = q[:, None] * q * (cosine * angle + (1 - cosine**2).sqrt()) / math.pi
        theta = sigma + angle / math.pi * theta
    return theta


def grams(n: int, dim: int, peers: list[str]) -> str:
    x = inputs(n, dim)
    gram_matrix(MODEL.kernel(dim), x)  # as peers are called once before, to compile
    rows = [
        timed("testbed", lambda: gram_matrix(MODEL.kernel(dim), x), rounds=ROUNDS),
        timed("torch, whole matrices", lambda: naive_gram(x), rounds=2),
    ]
    ours, plain = (row.answer.numpy() for row in rows)
    errors = [abs(np.diag(gram) / (DEPTH + 1) - 1).max() for gram in (ours, plain)]
    notes = [f"ours {errors[0]:.1e}", f"whole matrices {errors[1]:.1e}"]
    versions: dict[str, str] = {}
    for python in peers:
        told = by_peer(python, x.numpy(), ours)
        versions |= told["versions"]
        for name, value in told["found"].items():
            rows.append(Row(name, value["wall"], value["cpu"]))
            notes.append(f"{name} {value['diagonal']:.1e} (largest gap to ours {value['gap']:.1e})")
    work = f"NTK Gram matrix, float64: n = {n}, d = {dim}, {DEPTH} hidden layers"
    note = f"Largest relative error of the diagonal: {'; '.join(notes)}."
    told_versions = ", ".join(f"{name} {version}" for name, version in versions.items())
    return table(work, rows) + f"\n\n{note}\n\nPeers: {told_versions or 'none asked for'}."


def by_peer(python: str, x: np.ndarray, ours: np.ndarray) -> dict[str, Any]:
    """What the peers in this interpreter took on the same inputs."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [str(Path(folder) / name) for name in ("inputs.npy", "gram.npy")]
        np.save(paths[0], x)
        np.save(paths[1], ours)
        command = [python, str(PEER), *paths, str(DEPTH), str(ROUNDS)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"the peer interpreter {python} failed:\n{done.stderr.strip()}")
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


# --- the path -------------------------------------------------------------------------------------


def problem_of(x: torch.Tensor) -> Problem:
    noise = np.random.Generator(np.random.Philox(2)).standard_normal(len(x))
    truth = x[:, 0] * len(x[0]) ** 0.5 + x[:, 1] * x[:, 2] * len(x[0])
    y = truth + 0.3 * torch.from_numpy(noise)
    weight = torch.full_like(y, 1 / len(x))
    data = Data(x, y, truth, weight)
    return Problem(data, data, torch.tensor(0.09 / len(x)), {})


def our_path(
    route: str, problem: Problem, test: torch.Tensor, times: list[float], algorithm: str = "ridge"
) -> torch.Tensor:
    """Predictions at every time and test point, (times, m), all kernel values included."""
    model = Rbf(route=route)
    prepared = model.prepare(None, problem)
    fit = Fit(model, prepared, model.start(None, prepared, problem), problem, None)
    dual = model.path(fit, algorithm, times)
    probe = model.probe(prepared, test)
    assert isinstance(probe, torch.Tensor)
    return dual @ probe.mT


def factors(weighted: torch.Tensor) -> torch.Tensor:
    """Eigenvalues, and coordinates on the eigenvectors, which are kept as two factors."""
    return Eigendecomposition(weighted.clone).coordinates(torch.ones_like(weighted[0]))


def refits(problem: Problem, test: torch.Tensor, times: list[float]) -> np.ndarray:
    """KernelRidge as one uses it, one fit for each ridge."""
    x, y, n = problem.train.x.numpy(), problem.train.y.numpy(), len(problem.train.x)
    fits = [KernelRidge(alpha=n / time, kernel="rbf", gamma=0.5).fit(x, y) for time in times]
    return np.stack([fit.predict(test.numpy()) for fit in fits])


def given_refits(problem: Problem, gram: np.ndarray, times: list[float]) -> np.ndarray:
    """KernelRidge on a kernel matrix that is there for nothing, without predictions."""
    y, n = problem.train.y.numpy(), len(gram)
    fits = [KernelRidge(alpha=n / time, kernel="precomputed").fit(gram, y) for time in times]
    return np.stack([fit.dual_coef_ for fit in fits])


def paths(n: int, dim: int, count: int = 4) -> str:
    x, test = inputs(n, dim), inputs(1000, dim, seed=3)
    problem, times = problem_of(x), np.geomspace(1.0, 1e4, RIDGES).tolist()
    chosen_times = [times[index] for index in np.linspace(0, RIDGES - 1, count).astype(int)]
    kernel = Rbf().kernel(dim)
    weighted = gram_matrix(kernel, x, problem.train.weight.sqrt())
    share = count / RIDGES
    rows: list[Row] = [
        timed("testbed, Krylov route", lambda: our_path("krylov", problem, test, times), rounds=3),
        timed("testbed, eigenvalue route", lambda: our_path("eigen", problem, test, times)),
        timed(
            "the same for gradient flow", lambda: our_path("eigen", problem, test, times, "flow")
        ),
        timed("eigendecomposition alone", lambda: factors(weighted)),
        timed("scipy.linalg.eigh alone", lambda: linalg.eigh(weighted.numpy(), driver="evd")),
        timed("torch.linalg.eigh alone", lambda: torch.linalg.eigh(weighted)),
        timed("KernelRidge refits", lambda: refits(problem, test, chosen_times), share=share),
    ]
    gram = gram_matrix(kernel, x).numpy()
    rows.append(
        timed(
            "KernelRidge refits, kernel matrix given, no predictions",
            lambda: given_refits(problem, gram, chosen_times),
            share=share,
        )
    )
    chosen = [times.index(time) for time in chosen_times]
    exact = rows[6].answer
    shown = []
    for row in rows[:2]:
        gap = row.answer[chosen].numpy() - exact
        shown.append(f"{(np.linalg.norm(gap, axis=1) / np.linalg.norm(exact, axis=1)).max():.1e}")
    note = (
        f"Largest relative error of the predictions against KernelRidge: Krylov {shown[0]}, "
        f"eigenvalues {shown[1]}."
    )
    work = f"{RIDGES} ridges, Gaussian kernel, n = {n}, d = {dim}, 1000 test points"
    return table(work, rows) + "\n\n" + note


# --- memory ---------------------------------------------------------------------------------------


def _peak(route: str, n: int, dim: int, out: Connection) -> None:
    """Peak memory of the path beyond what the imports and a small problem took, in matrices."""
    our_path(route, problem_of(inputs(200, dim)), inputs(50, dim), [1.0, 100.0])
    before = peak_memory()
    test, times = inputs(1000, dim, seed=3), [1.0, 100.0, 1e4]
    our_path(route, problem_of(inputs(n, dim)), test, times, "flow")  # ridge needs no eigenvectors
    out.send((peak_memory() - before) / (8 * n * n))


def peak_memory() -> int:
    """Bytes; from Linux's own count for this program (getrusage has its parent's as well)."""
    status = Path("/proc/self/status")
    if not status.exists():
        sys.exit("--memory reads /proc/self/status, which Linux alone has")
    match = re.search(r"^VmHWM:\s+(\d+) kB$", status.read_text(), re.MULTILINE)
    assert match
    return int(match[1]) * 1024


def memory(sizes: dict[str, int], dim: int) -> str:
    context = multiprocessing.get_context("spawn")
    lines = [
        "**Peak memory of a path, in n×n matrices**\n",
        "| route | n | matrices |",
        "|---|---|---|",
    ]
    for route, n in sizes.items():
        ours, theirs = context.Pipe()
        process = context.Process(target=_peak, args=(route, n, dim, theirs))
        process.start()
        theirs.close()  # so that a child that dies ends the wait
        lines.append(f"| {route} | {n} | {ours.recv():.2f} |")
        process.join()
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--n", type=int, default=5000)
    parser.add_argument("--dim", type=int, default=100)
    parser.add_argument("--memory", action="store_true", help="also n = 8000 and 20000")
    parser.add_argument(
        "--peer-python", nargs="*", default=[],
        help="interpreters with neural-tangents or scikit-ntk",
    )  # fmt: skip
    options = parser.parse_args()
    result = grams(options.n, options.dim, options.peer_python)
    print(result, paths(options.n, options.dim), sep="\n\n")
    if options.memory:
        print("\n" + memory({"eigen": 8000, "krylov": 20_000}, options.dim))
    print("\n" + conditions("torch", "numpy", "scipy", "scikit-learn"))


if __name__ == "__main__":
    main()
