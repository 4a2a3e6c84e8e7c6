"""The pages keep up with the code: hooks and their signatures, examples, links."""

from __future__ import annotations

import importlib
import inspect
import re
import tomllib
from pathlib import Path

import pytest

import testbed
from testbed.contract import hooks
from testbed.loading import load_registry

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
HOOKS = [
    name for name, value in vars(hooks).items() if name.startswith("testbed_") and callable(value)
]


def signature(name: str) -> str:
    """As the page writes it: `testbed_models() -> list[type[Model]]`."""
    return name + str(inspect.signature(getattr(hooks, name))).replace("'", "")


@pytest.mark.parametrize("name", HOOKS)
def test_every_hook_has_a_heading_with_its_signature_and_a_plugin_that_uses_it(name):
    page = (ROOT / "docs" / "hooks.md").read_text()
    assert f"\n### `{signature(name)}`\n" in page
    implementations = getattr(load_registry().manager.hook, name).get_hookimpls()
    assert implementations, f"no first-party plugin implements {name}"
    section = page.split(f"### `{signature(name)}`")[1].split("\n#")[0]
    users = re.findall(r"`(testbed_[a-z]+)`", section)
    assert {item.plugin.__name__ for item in implementations} & set(users)


def test_the_page_of_hooks_describes_no_hook_that_is_gone():
    headings = re.findall(r"^### `(testbed_\w+)\(", (ROOT / "docs" / "hooks.md").read_text(), re.M)
    assert headings == HOOKS


def test_the_guides_examples_run_in_their_order(tmp_path, monkeypatch):
    text = (ROOT / "docs" / "plugins.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, re.S)
    assert len(blocks) == 9
    (tmp_path / "testbed_guide.py").write_text("\n".join(blocks))  # a module, as a plugin is one
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module("testbed_guide")
    (package,) = re.findall(r"```toml\n(.*?)```", text, re.S)
    assert tomllib.loads(package)["project"]["entry-points"]["testbed.plugins"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_of_the_repository(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


def test_the_readmes_scenario_has_no_mistakes(tmp_path):
    from testbed.planning.files import read_scenario
    from testbed.runs import checked_plan

    (text,) = re.findall(r"```toml\n(format.*?)```", (ROOT / "README.md").read_text(), re.S)
    assert len(checked_plan(read_scenario(text)).cells) == 30


@pytest.mark.parametrize("path", sorted((ROOT / "scenarios").glob("*.toml")), ids=lambda p: p.stem)
def test_every_shipped_scenario_is_sound_and_described(path):
    from testbed.planning.files import load_scenario
    from testbed.runs import checked_plan

    plan = checked_plan(load_scenario(path))
    assert plan.scenario.name == path.stem and plan.scenario.references and plan.scenario.title
    assert f"`{path.stem}`" in (ROOT / "docs" / "scenarios.md").read_text()


def test_the_gallery_is_that_of_scenarios_verdicts_and_notes(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    import gallery

    fresh = gallery.gallery_page()
    assert gallery.PAGE.read_text(encoding="utf-8") == fresh, "run: python docs/gallery.py"
    stems = {path.stem for path in (ROOT / "scenarios").glob("*.toml")}
    assert {note.stem for note in gallery.NOTES.glob("*.md")} <= stems
    assert all(gallery.seconds(stem) for stem in stems)
    images = {image.stem: image.stat().st_size for image in (ROOT / "docs/images").glob("*.png")}
    assert set(images) <= stems and max(images.values()) <= 100_000
    (deep,) = (part for part in fresh.split("\n## ") if "`deep-linear`" in part.partition("\n")[0])
    assert "images/deep-linear.png" in deep and "Claims: " in deep


def test_the_reference_of_names_shows_members_and_what_aliases_mean(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    import generate

    names, packages = generate.names_page(), generate.packages_page()
    for name in testbed.__all__:
        assert f"## `testbed.{name}`" in names
    for builtin in ("ForwardRef", "unconstrained type", "Built-in immutable", "-> new empty"):
        assert builtin not in names + packages
    gram = names.partition("## `testbed.HasGram`")[2].partition("\n## ")[0]
    assert "`gram(self, prepared: Prepared, params: Parameters, x: Tensor, kernel: str)" in gram
    assert "CF flag values" in names.partition("## `testbed.STATUS`")[2].partition("\n## ")[0]
    assert "### `testbed.analysis.slope`" in packages
