"""Run the shipped scenarios at the size of their sources and write docs/results.md.

    python benchmarks/verify [NAME …] [--folder runs/verify]

Runs resume: what was computed before is kept. With names, only these scenarios are shown, on the
terminal. Exit code 1 if a row fails.
"""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

import adaptive  # noqa: E402
import adaptive_diagonal  # noqa: E402
import adaptive_directional  # noqa: E402
import coverage  # noqa: E402
import kernels  # noqa: E402
import networks  # noqa: E402
import numpy as np  # noqa: E402
import sequences  # noqa: E402
import xarray as xr  # noqa: E402
from rows import Row, markdown  # noqa: E402
from side_by_side import conditions  # noqa: E402

import testbed  # noqa: E402
from testbed.results.groups import estimators  # noqa: E402


class Check(NamedTuple):
    """A scenario, what is set for the published size, and what is looked at."""

    scenario: str
    rows: Callable[[xr.DataTree], list[Row]]
    overrides: tuple[str, ...] = ()


CHECKS = [
    Check("adaptivity-rates", sequences.adaptivity_rates, ("replicates=64",)),
    Check("eigenvalue-learning", sequences.eigenvalue_learning),
    Check("feature-alignment", sequences.feature_alignment),
    Check("span-profile", sequences.span_profile),
    Check("span-depth", sequences.span_depth),
    Check("span-depth-ablation", sequences.span_depth_ablation),
    Check("span-alignment", sequences.span_alignment),
    Check("span-alignment-logarithmic", sequences.span_alignment),
    Check("failure-signatures", sequences.failure_signatures),
    Check("width", networks.width),
    Check("flow-vs-descent", networks.flow_vs_descent),
    Check("architecture", networks.architecture),
    Check("deep-linear", networks.deep_linear),
    Check("digits-network", networks.digits_network),
    Check("kernel-learning-curve", kernels.kernel_learning_curve),
    Check("double-descent", kernels.double_descent),
    Check("saturation", kernels.saturation),
    Check("polynomial-barrier", kernels.polynomial_barrier),
    Check("periodic-plateau", kernels.periodic_plateau),
    Check("ntk-spectrum", kernels.ntk_spectrum),
    Check("kernel-digits", kernels.kernel_digits),
    Check("adaptive-kernel", adaptive_diagonal.adaptive_kernel),
    Check("equivalence", adaptive_diagonal.equivalence),
    Check("equivalence-growing", adaptive_diagonal.equivalence_growing),
    Check("overparameterization-map", adaptive_diagonal.overparameterization_map),
    Check("high-dimension", adaptive.high_dimension),
    Check("single-index", adaptive_directional.single_index),
]
SETTINGS = {  # how a scenario's set-up stands to that of its source
    "adaptivity-rates": "as published; modes J = 20000, C = 1 and depths are not stated there and "
    "are ours; gradient flow is exact",
    "eigenvalue-learning": "p, q, γ, depths and times as in Figures 2 and 4 of arXiv:2409.00894, "
    "which do not state n; thresholds are ours",
    "feature-alignment": "ours: the simulation's numbers are not stated in the source",
    "span-profile": "as published",
    "span-depth": "as published, with exact flow for a million Euler steps",
    "span-depth-ablation": "ours",
    "span-alignment": "as published",
    "span-alignment-logarithmic": "as published",
    "failure-signatures": "ours: the source names the failures and no experiment",
    "width": "ours",
    "flow-vs-descent": "ours: another data set and network than the source's",
    "architecture": "ours",
    "deep-linear": "`figure-5` as published, four repeats and a factor ½ of the loss, which Adam "
    "does not see, ours; `zero-readout` ours",
    "digits-network": "ours",
    "kernel-learning-curve": "ours: kernel, dimension and sizes differ from the source's",
    "double-descent": "ours: the sources have digits and other features",
    "saturation": "ours, for the exponents of the source",
    "polynomial-barrier": "ours, for the limit of the source",
    "periodic-plateau": "ours, for the exponents of the source",
    "ntk-spectrum": "ours",
    "kernel-digits": "ours",
    "adaptive-kernel": "target, basis and n as published; noise, eigenvalues and the number of "
    "functions are not stated there and are ours",
    "equivalence": "ours",
    "equivalence-growing": "ours",
    "overparameterization-map": "ours",
    "high-dimension": "ours, for the limits of the sources",
    "single-index": "ours: the source's experiments are not reproduced",
}
HEAD = """# Results

What the shipped scenarios find beside what is published or derived. Written by `make verify`, which
runs every scenario below; a row that fails makes it exit with 1. A row that names a paper is
measured in the paper's set-up, but for what the line above its table says; "ours, after" a paper is
a statement of that paper in a set-up of ours.
Intervals are 95% and, for slopes at the best stopping time, include the choice of that time.
"""


def verified(check: Check, folder: Path) -> tuple[str, bool]:
    """A section of the page, and whether all its rows hold."""
    print(f"{check.scenario} …", file=sys.stderr, flush=True)
    tree = testbed.run(
        ROOT / "scenarios" / f"{check.scenario}.toml",
        folder=folder / check.scenario,
        overrides=list(check.overrides),
    )
    spent = sum(_seconds(group["duration"]) for group in estimators(tree).values())
    rows = check.rows(tree)
    settings = "".join(f" --set {text}" for text in check.overrides)
    command = f"testbed run scenarios/{check.scenario}.toml{settings}"
    head = f"## {tree.attrs['title']}\n\n`{command}`: {spent:.0f} s of computing."
    head += f"\nSet-up: {SETTINGS[check.scenario]}."
    return f"{head}\n\n{markdown(rows)}\n", all(row.holds for row in rows)


def _seconds(duration: xr.DataArray) -> float:
    """Seconds of computing: every replicate bears the duration of the cell that it was part of."""
    values = duration.transpose(..., "replicate").fillna(0).values
    points = values.reshape(-1, values.shape[-1])
    return sum(float(np.unique(point).sum()) for point in points)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", help="scenarios; all unless given")
    parser.add_argument("--folder", type=Path, default=ROOT / "runs" / "verify")
    options = parser.parse_args()
    unknown = set(options.names) - {check.scenario for check in CHECKS}
    if unknown:
        parser.error(
            f"found {', '.join(unknown)}; expected {', '.join(c.scenario for c in CHECKS)}"
        )
    chosen = [check for check in CHECKS if not options.names or check.scenario in options.names]
    parts = [verified(check, options.folder) for check in chosen]
    if not options.names:
        print("intervals …", file=sys.stderr, flush=True)
        parts.append(coverage.section())
    sections, verdicts = zip(*parts, strict=True)
    below = conditions("torch", "numpy", "scipy", "xarray")
    page = "\n".join([HEAD, *sections, textwrap.fill(f"Measured with {below}.", 100) + "\n"])
    if options.names:
        print("\n".join(sections))
    else:
        (ROOT / "docs" / "results.md").write_text(page, encoding="utf-8")
    return 0 if all(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
