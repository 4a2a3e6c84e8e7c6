"""Plugins are found, loaded one by one, and cost only themselves when broken."""

from __future__ import annotations

import pytest
from attrs import frozen

from testbed import hookimpl
from testbed.contract.components import Model
from testbed.contract.parameters import parameter
from testbed.errors import PluginError
from testbed.loading import Plugin, load_registry, make_registry
from tests.helpers import contract_components as tiny
from tests.helpers.tiny import MODULE, Entry, Module


def registry(*modules, distribution="somewhere"):
    results = [
        (Plugin(f"p{i}", f"{distribution}-{i}", "1.0"), Entry(m)) for i, m in enumerate(modules)
    ]
    return make_registry(results)


def test_components_know_their_plugin():
    reference = registry(MODULE)
    assert reference.get("model", "tiny.fixed") is tiny.Fixed
    assert reference.get("metric", "tiny.fixed") is None
    assert reference.find("tiny.risk").plugin.distribution == "somewhere-0"
    with pytest.raises(PluginError, match=r"did you mean 'tiny\.risk'"):
        reference.find("tiny.rsk")


class Misspelled:
    @hookimpl
    def testbed_modles(self):
        return []


class Raises:
    @hookimpl
    def testbed_models(self):
        raise RuntimeError("no luck")


@frozen(kw_only=True)
class Bare(Model):
    name = "bare"


@frozen(kw_only=True)
class Clash(Model):
    name = "own.clash"
    facts: str = parameter("vmap", help="hides what core reads")


@pytest.mark.parametrize(
    ("broken", "error"),
    [
        (ImportError("no module named nowhere"), "ImportError: no module named nowhere"),
        (Misspelled(), "testbed_modles"),
        (Raises(), "no luck"),
        (Module(models=[int]), "expected subclasses of testbed.Model"),
        (
            Module(models=[tiny.Fixed]),
            "the name 'tiny.fixed' is taken by plugin 'p0' of somewhere-0",
        ),
        (Module(models=[Bare]), "expected one with a namespace such as p1.bare"),
        (Module(models=[Clash]), "found the parameter 'facts' in own.clash"),
    ],
)
def test_a_broken_plugin_is_a_row_with_its_error(broken, error):
    reference = registry(MODULE, broken)
    good, bad = reference.plugins
    assert not good.error and error in bad.error
    assert reference.get("model", "tiny.fixed") is tiny.Fixed
    assert "own.clash" not in reference.offers


def test_a_conflict_names_both_distributions_and_costs_only_the_second():
    reference = registry(MODULE, Module(models=[tiny.Fixed], metrics=[]))
    assert (
        "somewhere-0" in reference.plugins[1].error and "somewhere-1" in reference.plugins[1].error
    )


def test_first_party_plugins_load_without_an_error():
    reference = load_registry()
    assert {row.name for row in reference.plugins} >= {"basics", "sequence"}
    assert not [
        row.error for row in reference.plugins if row.distribution == "theory-testbed" and row.error
    ]
    assert "sequence.diagonal" in reference.names("model")
