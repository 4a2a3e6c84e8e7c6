"""A scenario of one kernel on the sphere, with parts to replace."""

from __future__ import annotations

SPHERE = 'use = "sphere"\ndim = 5\nn = 50'
GAUSSIAN = 'use = "gaussian"\ndim = 5\nn = 50'
TORUS = 'use = "torus"\ndim = 2\nn = 50'
SEQUENCE = 'use = "sequence.gaussian"\nmodes = 10\nn = 50'
DATA = 'use = "dataset"\nn = 12'
RBF = '{ use = "ntk.rbf" }'
FLOW = 'use = "gradient-descent", learning_rate = 0.1'


def scenario(design=SPHERE, target='use = "single-index"', model='use = "ntk.rbf"', extra=""):
    return f"""
format = 1
name = "m"
seed = 1
replicates = 2
times = {{ geom = [1.0, 100.0, 5] }}
[design]
{design}
[target]
{target}
[[estimator]]
name = "k"
model = {{ {model} }}
optimizer = {{ {FLOW} }}
[[metric]]
use = "training-loss"
{extra}
"""
