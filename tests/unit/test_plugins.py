"""Plugins are found, loaded one by one, and cost only themselves when broken."""

from __future__ import annotations

import pytest
from attrs import frozen

from testbed import hookimpl
from testbed.contract.components import Model
from testbed.contract.parameters import parameter
from testbed.contract.version import CHANGES, CONTRACT, changes_since
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


# --- what a plugin states, and what it forgets ----------------------------------------------------


class Unmarked:
    """A hook without a mark."""

    def testbed_models(self):
        return [tiny.Fixed]


class Plain(Model):
    name = "plain.model"

    def start(self, drawn, prepared, problem):
        return 0 * problem.train.x

    def predict(self, prepared, params, probe):
        return params


@frozen(kw_only=True)
class Nameless(Plain):
    name = ""


@frozen(kw_only=True)
class EarlierArguments(Plain):
    name = "plain.earlier"

    def start(self, problem):
        return 0 * problem.train.x


def stating(version, **hooks):
    module = Module(**hooks)
    module.testbed_contract = version
    return module


@pytest.mark.parametrize(
    ("broken", "error"),
    [
        (Unmarked(), "found testbed_models without a mark, expected @testbed.hookimpl above it"),
        (Module(models=[Plain]), "write @attrs.frozen(kw_only=True) above it"),
        (Module(models=[Nameless]), 'write name = "p0.words" in the class'),
        (
            Module(models=[EarlierArguments]),
            "found start(self, problem) in plain.earlier, expected start(self, drawn, prepared, "
            "problem)",
        ),
        (stating(CONTRACT + 1), f"and this testbed has contract {CONTRACT}; upgrade it"),
        (stating("two"), "found testbed_contract = 'two'"),
    ],
)
def test_what_is_forgotten_is_named_with_the_remedy(broken, error):
    (row,) = registry(broken).plugins
    assert error in row.error


def test_an_older_plugin_that_cannot_be_loaded_is_named_with_what_changed():
    (row,) = registry(stating(1, models=[EarlierArguments])).plugins
    assert "The plugin is written for contract 1; since then: contract 2: " in row.error
    assert CHANGES[2] in row.error
    (present,) = registry(stating(CONTRACT, models=[EarlierArguments])).plugins
    assert "since then" not in present.error


def test_an_older_plugin_that_loads_is_listed_as_older():
    (row,) = registry(stating(1, models=[tiny.Fixed])).plugins
    assert not row.error and row.contract == 1
    assert str(row).endswith(f"written for contract 1, this is {CONTRACT}")


def test_every_version_says_what_it_changed():
    assert set(CHANGES) == set(range(2, CONTRACT + 1))
    assert changes_since(CONTRACT) == "" and changes_since(1).startswith("contract 2: ")


def test_a_hook_can_gain_an_argument_without_breaking_plugins(monkeypatch):
    """A plugin names only those arguments of a hook that it uses."""

    class Watches:
        folders = ()

        @hookimpl
        def testbed_run_finished(self, folder):
            self.folders = (folder,)

    watcher = Watches()
    loaded = registry(watcher)
    loaded.hook("testbed_run_finished")(plan="a plan", folder="a folder")
    assert watcher.folders == ("a folder",)


def test_a_namespace_that_no_plugin_has_is_named():
    with pytest.raises(PluginError, match="no installed plugin has the namespace 'gone'"):
        registry(MODULE).find("gone.kernel")
