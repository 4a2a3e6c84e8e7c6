"""The JSON Schema and the reference page: fresh, true to the language, and of use."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from jsonschema import Draft7Validator

from testbed.loading import load_registry
from testbed.scenario.declaration import fields_of
from testbed.scenario.figure import FIGURES
from testbed.scenario.reference import TABLES, reference_page
from testbed.scenario.scenario import Scenario
from testbed.scenario.schema import scenario_schema

ROOT = Path(__file__).parents[3]
SCENARIOS = sorted((ROOT / "scenarios").glob("*.toml"))
OWN = "theory-testbed"


@pytest.fixture(scope="module")
def schema():
    offers = load_registry().offers
    names = sorted(name for name, offer in offers.items() if offer.plugin.distribution == OWN)
    return scenario_schema(offers[name].component for name in names)


@pytest.fixture(scope="module")
def validator(schema):
    Draft7Validator.check_schema(schema)
    return Draft7Validator(schema)


def test_the_stored_schema_and_page_are_fresh(schema):
    stored = json.loads((ROOT / "docs/scenario.schema.json").read_text())
    assert stored == json.loads(json.dumps(schema)), "run `make reference`"
    assert (ROOT / "docs/scenario-reference.md").read_text() == reference_page()


@pytest.mark.parametrize("file", SCENARIOS, ids=lambda file: file.stem)
def test_shipped_scenarios_name_the_schema_and_follow_it(file, validator):
    text = file.read_text()
    line = text.split("\n", 1)[0]
    assert line.startswith("#:schema ") and (file.parent / line.split()[1]).resolve().exists()
    assert list(validator.iter_errors(tomllib.loads(text))) == []


QUICKSTART = (ROOT / "scenarios/quickstart.toml").read_text()

WRONG = {
    "an unknown key": ("replicates = ", "replicats = "),
    "a wrong type": ("replicates = ", "replicates = true #"),
    "a number out of bounds": ("seed = ", "seed = -1 #"),
    "an unknown component": ('use = "sequence.gaussian"', 'use = "sequence.gausian"'),
    "an unknown parameter": ("modes = ", "moods = "),
    "a sweep with an unknown key": ("n = { geom", 'n = { dims = "a", geom'),
    "a sweep of two kinds": ("n = { geom", "n = { values = [1], geom"),
    "a list that should be a sweep": ("n = { geom = [500, 8000, 5] }", "n = [500, 8000]"),
    "an unknown figure": ('kind = "paths"', 'kind = "pathz"'),
    "a key of another figure": ('kind = "spectra"', 'kind = "spectra"\nby = "n"'),
    "a name with a path": ('name = "quickstart"', 'name = "../quickstart"'),
    "a parameter of another component": ("[target]", "[target]\nnoise = 1.0"),
    "an unknown table": ("[target]", "[targets]"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_scenarios_do_not_follow_the_schema(case, validator):
    right, wrong = WRONG[case]
    assert right in QUICKSTART
    document = tomllib.loads(QUICKSTART.replace(right, wrong, 1))
    assert list(validator.iter_errors(document)) != []


def test_sweeps_grids_and_references_follow_the_schema(validator):
    changed = QUICKSTART.replace(
        "modes = ", 'noise = { values = [1, 2.5], labels = ["a", "b"], dim = "s" }\nmodes = ', 1
    )
    changed += "[compute]\nresults = 2\ntime_limit = 1.5\n"
    assert list(validator.iter_errors(tomllib.loads(changed))) == []


def test_the_page_names_every_key_of_every_table():
    page = reference_page()
    for declaration in (Scenario, *(table for _, table in TABLES), *FIGURES.values()):
        for field in fields_of(declaration):
            inline = field.component and field.component.inline
            assert inline or f"| `{field.key}` |" in page
    for word in ("labels", "along", "dim", "simulate", "shared", "--set", "include", "inf"):
        assert word in page
    assert all(len(line) <= 100 for line in page.splitlines() if not line.startswith("|"))


def test_infinite_times_follow_the_schema_as_editors_hand_them_over(validator):
    """JSON has no infinite numbers, so that editors check null in place of inf."""
    document = tomllib.loads(QUICKSTART)
    for times in ([1.0, None], {"values": [1.0, None]}, {"geom": [1.0, 9.0, 3], "include": [None]}):
        document["times"] = times
        assert list(validator.iter_errors(document)) == []
    document["seed"] = None
    assert list(validator.iter_errors(document)) != []
