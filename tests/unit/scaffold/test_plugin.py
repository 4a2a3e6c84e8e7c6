"""The texts that the scaffold writes, and what it refuses."""

from __future__ import annotations

import ast
import tomllib

import pytest
from click.testing import CliRunner

from testbed.console.cli import main
from testbed.contract.version import CONTRACT
from testbed.errors import TestbedError
from testbed.scaffold import KINDS, plugin_files, write_plugin


@pytest.mark.parametrize("kind", KINDS)
def test_a_distribution_has_all_its_parts(kind):
    files = plugin_files("testbed-my-idea", kind)
    project = tomllib.loads(files["pyproject.toml"])["project"]
    assert project["name"] == "testbed-my-idea"
    assert project["entry-points"]["testbed.plugins"] == {"my-idea": "testbed_my_idea"}
    (scenario,) = [text for place, text in files.items() if place.endswith("my-idea.toml")]
    assert tomllib.loads(scenario)["name"] == "my-idea"
    assert "actions/setup-python" in files[".github/workflows/tests.yml"]
    statements = ast.parse(files["tests/test_laws.py"]).body
    assert len(files["tests/test_laws.py"].split("\n\n")) == 2 and len(statements) == 2
    assert f"testbed_contract = {CONTRACT}" in files["testbed_my_idea/__init__.py"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_component_has_a_docstring_and_a_reference(kind):
    files = plugin_files("my-idea", kind)
    (text,) = [
        text
        for place, text in files.items()
        if place.startswith("testbed_my_idea/") and place.endswith(f"{KINDS[kind].file}.py")
    ]
    (written,) = [node for node in ast.parse(text).body if isinstance(node, ast.ClassDef)]
    assert ast.get_docstring(written) and written.name == KINDS[kind].class_name
    assert f'name = "my-idea.{KINDS[kind].component}"' in text and "references = (" in text
    assert all(len(line) <= 100 for line in text.splitlines())


@pytest.mark.parametrize("name", ["My-Idea", "my_idea", "-idea", "2idea", "idea-", ""])
def test_a_name_that_no_distribution_can_have_is_refused(name):
    with pytest.raises(TestbedError, match="expected lower-case letters"):
        plugin_files(name, "kernel")


def test_nothing_is_written_over_what_is_there(tmp_path):
    write_plugin("my-idea", "kernel", tmp_path)
    with pytest.raises(TestbedError, match="expected no such file or folder"):
        write_plugin("my-idea", "metric", tmp_path)


def test_a_namespace_that_is_taken_is_refused(tmp_path):
    done = CliRunner().invoke(main, ["new-plugin", "sequence", "-o", str(tmp_path)])
    assert done.exit_code == 2 and "no installed plugin has as its namespace" in done.output
    assert not list(tmp_path.iterdir())
