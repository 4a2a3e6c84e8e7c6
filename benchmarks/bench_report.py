"""How long a report takes and how large it is: fifty cells, ten figures.

    python benchmarks/bench_report.py

The promise is 10 s and 3 MB. A report takes the figures that the run drew; then their folder is
removed, and the report draws them.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path

import testbed
from testbed.report import write_report

FIGURES = (
    'kind = "paths"\nof = "excess_risk"',
    'kind = "paths"\nof = "training_loss"',
    'kind = "paths"\nof = "span_dimension"',
    'kind = "learning-curves"\nof = "excess_risk"\nx = "n"',
    'kind = "learning-curves"\nof = "training_loss"\nx = "n"',
    'kind = "learning-curves"\nof = "span_dimension"\nx = "n"',
    'kind = "learning-curves"\nof = "excess_risk"\nx = "gamma"',
    'kind = "learning-curves"\nof = "training_loss"\nx = "gamma"',
    'kind = "facets"\nof = "excess_risk"\nx = "n"\nby = "gamma"',
    'kind = "facets"\nof = "training_loss"\nx = "n"\nby = "gamma"',
)
SCENARIO = """
format = 1
name = "reported"
title = "Fifty cells and ten figures"
replicates = 16
times = { geom = [1.0, 1e5, 60] }
[design]
use = "sequence.gaussian"
n = { values = [100, 200, 400, 800, 1600] }
modes = 200
[target]
use = "sequence.power"
p = 1.0
[[estimator]]
name = "fixed"
model = { use = "sequence.fixed", gamma = { values = [1.2, 1.4, 1.6, 1.8, 2.0] } }
optimizer = { use = "gradient-flow" }
[[estimator]]
name = "learned"
model = { use = "sequence.diagonal", gamma = { values = [1.2, 1.4, 1.6, 1.8, 2.0] } }
optimizer = { use = "gradient-flow" }
[[metric]]
use = "excess-risk"
[[metric]]
use = "training-loss"
[[metric]]
use = "span-dimension"
""" + "".join(f"[[figure]]\n{text}\n" for text in FIGURES)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scenario = testbed.Scenario.from_text(SCENARIO)
        testbed.run(scenario, folder=folder, figures=True)
        for words in ("with the figures of the run", "drawing the figures"):
            start, used = time.perf_counter(), time.process_time()
            report = write_report([folder])
            seconds, busy = time.perf_counter() - start, time.process_time() - used
            size = report.stat().st_size / 1e6
            print(f"report, {words}: {seconds:.1f} s ({busy:.1f} s of processor), {size:.2f} MB")
            shutil.rmtree(folder / "figures", ignore_errors=True)
        print(f"figures in it: {report.read_text(encoding='utf-8').count('<figure>')}")


if __name__ == "__main__":
    main()
