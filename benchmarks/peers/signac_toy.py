"""The toy of bench_overhead.py for signac: a job for each value of a parameter, its result stored.

python signac_toy.py CELLS FOLDER
"""

import sys

import numpy as np
import signac

count, folder = int(sys.argv[1]), sys.argv[2]
project = signac.init_project(folder)
observed = 1.0 + 0.1 * np.random.default_rng(1).standard_normal(1)
for gamma in np.linspace(1, 2, count):
    job = project.open_job({"gamma": float(gamma)}).init()
    if "value" not in job.doc:
        estimate = (1 - np.exp(-1.0)) * observed
        job.doc["value"] = float(((estimate - 1.0) ** 2).sum())
