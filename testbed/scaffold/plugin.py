"""A small distribution with one component, which installs and passes its tests as it is written."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from testbed import __version__
from testbed.contract.version import CONTRACT
from testbed.errors import TestbedError, one_of
from testbed.scaffold.kinds import KINDS

TEMPLATES = Path(__file__).parent / "templates"
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def write_plugin(name: str, kind: str, folder: Path, taken: Iterable[str] = ()) -> list[Path]:
    """Write the distribution `testbed-NAME` into a new folder below `folder`; return its files.

    `taken` are namespaces of installed plugins, which a new one must not use.
    """
    files = plugin_files(name, kind)
    if short_name(name) in taken:
        raise TestbedError(
            f"found the name {name!r}, expected one that no installed plugin has as its namespace; "
            "choose another one"
        )
    root = folder / f"testbed-{short_name(name)}"
    if root.exists():
        raise TestbedError(f"found {root}, expected no such file or folder; choose another name")
    written = []
    for place, text in files.items():
        path = root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        written.append(path)
    return written


def plugin_files(name: str, kind: str) -> dict[str, str]:
    """The texts of a distribution by their places in its folder."""
    if kind not in KINDS:
        raise TestbedError(f"found the kind {kind!r}, expected {one_of(KINDS, kind)}")
    short, chosen = short_name(name), KINDS[kind]
    module = f"testbed_{short.replace('-', '_')}"
    facts = {
        "name": short,
        "module": module,
        "kind": kind,
        "component": f"{short}.{chosen.component}",
        "chosen": chosen,
        "version": __version__,
        "contract": CONTRACT,
        "libraries": ["scikit-learn"] if kind == "fit-predict" else [],
    }
    places = {
        "pyproject.toml": "plugin/pyproject.toml",
        "README.md": "plugin/README.md",
        ".gitignore": "plugin/gitignore",
        ".github/workflows/tests.yml": "plugin/tests.yml",
        "tests/test_laws.py": "plugin/test_laws.py",
        f"{module}/__init__.py": "plugin/init.py",
        f"{module}/{chosen.file}.py": f"components/{kind}.py",
        f"{module}/scenarios/{short}.toml": f"scenarios/{kind}.toml",
    }
    return {place: render(template, facts) for place, template in places.items()}


def short_name(name: str) -> str:
    """The name without a leading `testbed-`: the namespace of the distribution's components."""
    short = name.removeprefix("testbed-")
    if not _NAME.fullmatch(short):
        raise TestbedError(
            f"found the name {name!r}, expected lower-case letters and digits with single hyphens "
            "between them, such as gaussian-process"
        )
    return short


def render(template: str, facts: dict[str, object]) -> str:
    """A template with its placeholders filled in."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, keep_trailing_newline=True,
        trim_blocks=True, lstrip_blocks=True, autoescape=False,
    )  # fmt: skip
    return environment.get_template(f"{template}.jinja").render(facts)
