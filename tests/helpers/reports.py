"""Results with all that a report prints, made by hand."""

from __future__ import annotations

import attrs
import numpy as np

from testbed.claims import Verdict, with_verdicts
from testbed.results.files import RESULTS, write_tree
from tests.helpers.trees import WIDTHS, group, tree

SCENARIO = """
format = 1
name = "made"
title = "TITLE"
seed = 7
replicates = 6
[design]
use = "sphere"
n = { geom = [10, 1000, 3] }
[target]
use = "linear"
[[estimator]]
name = "network"
model = { use = "networks.two-layer", width = { values = [10, 100, 1000] } }
optimizer = { use = "gradient-descent", times = { geom = [1.0, 100.0, 3], include = [0.0] } }
[[metric]]
use = "excess-risk"
[[figure]]
kind = "learning-curves"
x = "width"
[[figure]]
kind = "paths"
of = "excess_risk"
"""


def result(title="A title", **changes):
    dataset = changes.pop("dataset", None)
    dataset = group({"width": list(WIDTHS)}) if dataset is None else dataset
    dataset["duration"] = (dataset["status"].dims, np.full(dataset["status"].shape, 0.5))
    dataset["error"] = (dataset["status"].dims, np.full(dataset["status"].shape, "", dtype=object))
    made = tree(network=dataset)
    text = SCENARIO.replace('"TITLE"', "'''" + title.replace("'''", "") + "'''")
    made.attrs |= {
        "title": title, "references": "arXiv:2409.00894", "comment": "Which one falls faster?",
        "scenario": text, "scenario_sha256": "0" * 64, "seed": 7, "machine": "Linux x86_64",
        "source": "python 3.11.7, testbed 0.1.0, numpy 2.1.0", "history": "a day: testbed run made",
        "component_references": "arXiv:1806.07572\ndoi:10.1000/182 Some book",
        "data_name": "digits", "data_source": "a place", "data_licence": "CC0",
        **changes,
    }  # fmt: skip
    return made


def with_claims(made, **columns):
    """The result with a verdict for each entry of the columns; what is not given is empty."""
    empty = {field.name: np.nan if field.type == "float" else "" for field in attrs.fields(Verdict)}
    rows = zip(*columns.values(), strict=True)
    return with_verdicts(
        made, [Verdict(**empty | dict(zip(columns, row, strict=True))) for row in rows]
    )


def stored(made, folder):
    folder.mkdir(parents=True, exist_ok=True)
    write_tree(made, folder / RESULTS)
    return folder
