"""Texts of scenarios of sequence models, of which a test states what is its own."""

from __future__ import annotations

from collections.abc import Mapping

POWER = 'use = "sequence.power"\np = 1.0'
SPARSE = 'use = "sequence.sparse-power"\np = 1.0\nq = 2.0'
BLOCK = 'use = "sequence.block"\ncount = 4'
FIXED = 'use = "sequence.fixed", gamma = 1.5'
LEARNED = 'use = "sequence.diagonal", gamma = 1.5'
SWEEP = "{ values = [100, 400, 1600] }"


def sequence_scenario(
    name: str,
    *,
    head: str = "replicates = 4",
    n: str = SWEEP,
    modes: int = 60,
    target: str = POWER,
    models: Mapping[str, str] | None = None,
    times: str = "",
    more: str = "",
) -> str:
    """A scenario that measures the excess risk of gradient flow on each of the `models`.

    `times` are those of every estimator, unless `head`, the keys above the tables, gives them.
    `more` are further tables.
    """
    grid = f", times = {times}" if times else ""
    estimators = "".join(
        f'[[estimator]]\nname = "{key}"\nmodel = {{ {model} }}\n'
        f'optimizer = {{ use = "gradient-flow"{grid} }}\n'
        for key, model in (models or {"fixed": FIXED}).items()
    )
    return f"""
format = 1
name = "{name}"
{head}
[design]
use = "sequence.gaussian"
n = {n}
modes = {modes}
[target]
{target}
{estimators}[[metric]]
use = "excess-risk"
{more}"""
