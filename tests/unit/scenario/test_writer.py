"""Scenario files: every word is read, overridden, and written again."""

from __future__ import annotations

import subprocess
import sys
import tomllib

import pytest
import tomli_w
from attrs import evolve

from testbed.contract.cells import Compute
from testbed.contract.grids import Grid
from testbed.planning.files import load_scenario, read_scenario
from testbed.planning.plan import make_plan
from testbed.scenario.component import Reference
from testbed.scenario.scenario import Scenario
from testbed.scenario.tables import UpTo
from tests.helpers.planned_components import (
    DESIGN,
    HEAD,
    METRIC,
    REGISTRY,
    TARGET,
    Lines,
    estimator,
    read,
    text,
)

FULL = text(
    head=HEAD + 'title = "Tiny"\ndescription = "All words"\nreferences = ["arXiv:1"]',
    design='[[design]]\nname = "small"\nuse = "plain"\nn = 5\nshared = true\n'
    '[[design]]\nname = "grown"\nuse = "grown"\ngamma = 2\n',
    target='[[target]]\nname = "first"\nuse = "power"\nalong = "design"\n'
    'kernel = "estimator:shapes"\n'
    '[[target]]\nname = "second"\nuse = "zero"\nalong = "design"\n',
    estimator=estimator(
        'use = "lines", gamma = { geom = [1, 4, 3], dim = "decay" }, '
        'depth = { values = [0, 1], along = "size" }, '
        'widths = { values = [[8], [8, 8]], labels = ["one", "two"], along = "size" }, '
        "rates = { core = 1, edge = { values = [0.1, 0.2] } }",
        'use = "flow", times = { geom = [1, 100, 7], include = [0.0] }',
        extra="simulate = { n = 5000 }",
    )
    + estimator('use = "shapes", seed_size = 4', name="shapes", extra="simulate = 0.5")
    + estimator('use = "wrapped", of = { use = "lines" }', name="loop"),
    metric='[[metric]]\nuse = "risk"\nname = "late-risk"\ntimes = [1, 2]\nreplicates = "mean"\n'
    'of = ["lines"]\n[[metric]]\nuse = "spread"\nk = { linspace = [1, 5, 3] }\n',
    extra='[[theory]]\nuse = "tiny.sharp-law"\nof = ["lines"]\n'
    '[[figure]]\nkind = "paths"\nof = ["risk"]\ntitle = "T"\nat = { depth = 1 }\n'
    "[compute]\ndtype = 'float32'\nblock = 8\ntime_limit = 60\nresults = 0.5\n",
)


def dump(scenario: Scenario) -> str:
    return tomli_w.dumps(scenario.to_dict())


def test_every_word_of_a_scenario_is_read():
    scenario = read(FULL)
    assert (scenario.name, scenario.title, scenario.description) == ("tiny", "Tiny", "All words")
    assert scenario.references == ("arXiv:1",) and (scenario.seed, scenario.replicates) == (3, 40)
    assert scenario.times == Grid([0, 1, 2])
    assert [option.name for option in scenario.designs] == ["small", "grown"]
    assert [option.shared for option in scenario.designs] == [True, False]
    assert {option.along for option in scenario.targets} == {"design"}
    assert scenario.targets[0].spec.values["kernel"] == Reference("shapes")
    lines, shapes, loop = scenario.estimators
    assert (lines.simulate, shapes.simulate, loop.simulate) == (UpTo(n=5000), 0.5, True)
    risk, spread = scenario.metrics
    assert (risk.name, risk.of, risk.times, risk.mean) == (
        "late-risk", ("lines",), Grid([1, 2]), True,
    )  # fmt: skip
    assert spread.spec.values["k"] == Grid([1, 3, 5])
    assert (spread.name, spread.of, spread.times, spread.mean) == ("", (), None, False)
    assert scenario.theories[0].of == ("lines",)
    assert scenario.figures[0].kind == "paths" and scenario.figures[0].options["title"] == "T"
    assert scenario.compute == Compute(dtype="float32", block=8, time_limit=60.0, results=0.5)


def test_defaults():
    scenario = read(text(head='format = 1\nname = "tiny"\ntimes = [1]'))
    assert (scenario.seed, scenario.replicates, scenario.title) == (0, 1, "tiny")
    assert scenario.compute == Compute() and scenario.figures == scenario.theories == ()


@pytest.mark.parametrize("toml", [FULL, text(), text(DESIGN + "n = { values = [3, 4] }")])
def test_a_scenario_survives_reading_writing_reading(toml):
    scenario = read(toml)
    assert read(dump(scenario)) == scenario


def test_what_is_written_follows_the_scenario_and_not_its_text():
    scenario = evolve(read(FULL), replicates=7)
    again = read(dump(scenario))
    assert again.replicates == 7 and again != read(FULL)


def test_sub_tables_and_inline_tables_are_the_same():
    sub = (
        '[[estimator]]\nname = "lines"\n[estimator.model]\nuse = "wrapped"\n'
        '[estimator.model.of]\nuse = "lines"\ndepth = 2\n[estimator.optimizer]\nuse = "flow"\n'
    )
    inline = estimator('use = "wrapped", of = { use = "lines", depth = 2 }')
    assert read(text(estimator=sub)) == read(text(estimator=inline))


def test_overrides_change_values_sweeps_and_tables():
    scenario = read(
        text(metric=METRIC),
        "replicates=8",
        "estimator.lines.model.depth=2",
        "estimator.0.model.gamma={ values = [1, 2] }",
        "metric.risk.name=other-risk",
        "design.n={ geom = [10, 1000, 3] }",
        "compute={ block = 4 }",
    )
    model = scenario.estimators[0].model
    assert model.values["depth"] == 2 and model.values["gamma"].values == (1.0, 2.0)
    assert scenario.replicates == 8 and scenario.metrics[0].name == "other-risk"
    assert scenario.designs[0].spec.values["n"].values == (10, 100, 1000)
    assert scenario.compute.block == 4


def test_the_text_is_what_was_read_with_overrides_applied(tmp_path):
    file = tmp_path / "s.toml"
    file.write_text(text())
    plain = load_scenario(file, registry=REGISTRY)
    changed = load_scenario(file, ["replicates=8"], REGISTRY)
    assert plain.text == text() and plain.path == str(file)
    assert tomllib.loads(changed.text) == {**tomllib.loads(plain.text), "replicates": 8}
    assert read_scenario(changed.text, registry=REGISTRY) == changed


def test_a_scenario_that_was_changed_in_python_has_the_text_of_what_it_says_now():
    plain = read_scenario("# why this is run\n" + text(), registry=REGISTRY)
    changed = evolve(plain, replicates=8)
    assert tomllib.loads(changed.text) == {**plain.to_dict(), "replicates": 8}
    assert read_scenario(changed.text, registry=REGISTRY) == changed
    assert evolve(changed, replicates=plain.replicates).text == plain.text
    assert str(evolve(plain, title="Another")) != plain.text
    made = Scenario.from_dict(plain.to_dict(), REGISTRY)
    assert read_scenario(made.text, registry=REGISTRY) == made


def test_the_device_that_a_plan_chooses_changes_no_text():
    written = text() + '\n[compute]\ndevice = "auto" # whatever there is\n'
    plan = make_plan(read_scenario(written, registry=REGISTRY))
    assert plan.scenario.text == written and plan.scenario.compute.device != "auto"


def test_a_single_alternative_is_still_an_alternative():
    listed = read(text(target='[[target]]\nname = "only"\nuse = "power"\n'))
    alone = read(text(target=TARGET))
    assert (listed.targets[0].name, alone.targets[0].name) == ("only", "")


def test_nested_values_reach_the_component():
    scenario = read(text(estimator=estimator('use = "wrapped", of = { use = "lines", depth = 2 }')))
    model = scenario.estimators[0].model.build({}, lambda name: Lines())
    assert model.of == Lines(depth=2)


def test_reading_and_planning_do_not_import_torch():
    modules = "testbed.planning.files, testbed.planning.plan, testbed.scenario.writer"
    code = f"import sys, {modules}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
