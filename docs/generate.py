"""Pages that follow from declarations: the reference of components, and the public names."""

from __future__ import annotations

import ast
import importlib
import inspect
import itertools
import pkgutil
import re
from collections.abc import Iterable
from pathlib import Path

from gallery import examples_page

import testbed
import testbed.numerics
from testbed.console.describe import PLURAL, component_parts, first_sentence
from testbed.console.tables import Table
from testbed.loading import Offer, Registry, load_registry

PACKAGES = (
    "testbed.analysis",
    "testbed.claims",
    "testbed.testing",
    *(
        f"testbed.numerics.{module.name}"
        for module in pkgutil.iter_modules(testbed.numerics.__path__)
    ),
)
"""What plugins and analyses import beside `testbed` itself."""


def write_pages(folder: Path) -> None:
    """Write every generated page below `folder`."""
    registry = load_registry()
    pages = {"names.md": names_page(), "packages.md": packages_page()}
    pages["components/index.md"] = index_page(registry)
    pages["worked-examples.md"] = examples_page()
    for kind, plural in PLURAL.items():
        pages[f"components/{plural}.md"] = kind_page(registry, kind)
    for name, text in pages.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")


def index_page(registry: Registry) -> str:
    """All components, a line each, by kind."""
    parts = ["# Components", "What the installed plugins offer, by kind. `testbed describe NAME` "
             "prints the same in a terminal."]  # fmt: skip
    for kind, plural in PLURAL.items():
        parts.append(f"## {plural.capitalize()}")
        rows = [
            (f"[`{name}`]({plural}.md#{anchor(name)})", first_sentence(offer.component))
            for name, offer in offers(registry, kind)
        ]
        parts.append(markdown_table(("name", "what it is"), rows))
    listed = "\n".join(PLURAL.values())
    return "\n\n".join([*parts, f"```{{toctree}}\n:hidden:\n\n{listed}\n```"]) + "\n"


def kind_page(registry: Registry, kind: str) -> str:
    """Every component of a kind in full."""
    parts = [f"# {PLURAL[kind].capitalize()}"]
    for _, offer in offers(registry, kind):
        parts += component_section(offer, registry)
    return "\n\n".join(parts) + "\n"


def offers(registry: Registry, kind: str) -> list[tuple[str, Offer]]:
    """The components of a kind by name."""
    return [(name, registry.offers[name]) for name in registry.names(kind)]


def component_section(offer: Offer, registry: Registry) -> list[str]:
    """What `testbed describe` says of a component, as Markdown."""
    component = offer.component
    _, doc, *parts = component_parts(offer, registry)
    section = [f"({anchor(component.name)})=\n## `{component.name}`", docstring(str(doc))]
    section.append(f"From {offer.plugin}.")
    for part in parts:
        if isinstance(part, Table):
            section.append(f"**{part.title.capitalize()}**")
            section.append(markdown_table(part.header, part.rows))
        elif part.startswith(("example\n", "a small scenario with it\n")):
            heading, code = part.split("\n", 1)
            section.append(f"{heading.capitalize()}:")
            section.append(f"```toml\n{inspect.cleandoc(code)}\n```")
        elif part.startswith("references: "):
            section.append("References: " + linked(part.removeprefix("references: ")) + ".")
        else:
            section.append(escaped(part))
    return section


def names_page() -> str:
    """The public names of `testbed`: how each is called, what it means, and its members."""
    parts = ["# Python names", "What `import testbed` offers: all that a plugin or an analysis "
             "needs of it."]  # fmt: skip
    for name in testbed.__all__:
        parts += entry("testbed", name, getattr(testbed, name), testbed._HOME.get(name, "testbed"))
    return "\n\n".join(parts) + "\n"


def packages_page() -> str:
    """The public names of the packages that plugins and analyses also import."""
    parts = ["# Names in packages", "What plugins and analyses also import."]
    for package in PACKAGES:
        module = importlib.import_module(package)
        parts.append(f"## `{package}`")
        parts.append(docstring(inspect.getdoc(module) or ""))
        for name in names_of(package, module):
            value = getattr(module, name)
            home = getattr(value, "__module__", package)
            parts += entry(package, name, value, home, level="###")
    return "\n\n".join(parts) + "\n"


def names_of(package: str, module: object) -> list[str]:
    """The names that a package lists; else those that a module defines."""
    listed = getattr(module, "__all__", None)
    defined = [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", "") == package
    ]
    return list(listed) if listed is not None else defined


def entry(package: str, name: str, value: object, home: str, level: str = "##") -> list[str]:
    """A name's section. What is no class and no function is shown as it is written."""
    heading = f"{level} `{package}.{name}`"
    called = inspect.isclass(value) or inspect.isroutine(value)
    if not called or getattr(value, "__module__", "").partition(".")[0] != "testbed":
        return [heading, f"```python\n{name} = {written(value)}\n```", stated(home, name)]
    section = [heading, f"```python\n{signature(name, value)}\n```"]
    section.append(docstring(inspect.getdoc(value) or ""))
    return section + (bases(value) + members(value) if inspect.isclass(value) else [])


def bases(cls: type) -> list[str]:
    """Which classes of testbed a class derives from, whose members it has too."""
    names = [base.__name__ for base in cls.__bases__ if base.__module__.startswith("testbed")]
    return [f"Derived from {', '.join(f'`{name}`' for name in names)}."] if names else []


def members(cls: type) -> list[str]:
    """The public methods and properties that a class defines itself."""
    lines = []
    for name, member in vars(cls).items():
        function = member.fget if isinstance(member, property) else member
        function = getattr(function, "__func__", function)
        if name.startswith("_") or not inspect.isfunction(function):
            continue
        text = " ".join((inspect.getdoc(function) or "").split("\n\n")[0].split())
        head = name if isinstance(member, property) else signature(name, function)
        lines.append(f"- `{head}`" + (f": {escaped(text)}" if text else ""))
    return ["\n".join(lines)] if lines else []


def written(value: object) -> str:
    """A value as code shows it."""
    if isinstance(value, dict) and any(map(callable, value.values())):
        return "{" + ", ".join(f"{key!r}: {key}" for key in value) + "}"
    text = value.__name__ if inspect.isclass(value) else repr(value)
    for module in ("typing.", "collections.abc.", "testbed.contract.needs."):
        text = text.replace(module, "")
    return text


def stated(home: str, name: str) -> str:
    """The sentence that stands below the definition of a name in its module."""
    module = importlib.import_module(home)
    body = ast.parse(inspect.getsource(module)).body if hasattr(module, "__file__") else []
    for statement, following in itertools.pairwise(body):
        targets = getattr(statement, "targets", [getattr(statement, "target", None)])
        if [getattr(target, "id", "") for target in targets] == [name]:
            text = getattr(getattr(following, "value", None), "value", "")
            return docstring(inspect.cleandoc(text)) if text and isinstance(text, str) else ""
    return ""


def signature(name: str, value: object) -> str:
    """How a public name is called, as far as it can be said."""
    try:
        text = str(inspect.signature(value))  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return name
    return plain(f"{name}{text}")


def plain(text: str) -> str:
    """A signature without the marks of types that are named before they are defined."""
    text = re.sub(r"ForwardRef\((\"[^\"]*\"|'[^']*'|[^()]*)\)", r"\1", text)
    return text.replace("'", "").replace('"', "")


# --- Markdown -----------------------------------------------------------------------------------


def anchor(name: str) -> str:
    """The label of a component's section."""
    return "component-" + re.sub(r"[^a-z0-9]+", "-", name.lower())


def docstring(text: str) -> str:
    """A docstring as Markdown: indented formulas and examples become blocks."""
    blocks: list[str] = []
    for paragraph in re.split(r"\n\s*\n", text.replace("``", "`")):
        lines = paragraph.splitlines()
        if all(line.startswith(("    ", ">>>")) for line in lines) or ">>> " in paragraph:
            language = "python" if ">>> " in paragraph else "text"
            blocks.append(f"```{language}\n{inspect.cleandoc(paragraph)}\n```")
        else:
            blocks.append(escaped(paragraph))
    return "\n\n".join(blocks)


def escaped(text: str) -> str:
    """Text in which no sign is taken for Markdown, but for `code`."""
    pieces = re.split(r"(`[^`]*`)", text)
    return "".join(
        piece if piece.startswith("`") else re.sub(r"([*_<>\[\]$|#~])", r"\\\1", piece)
        for piece in pieces
    )


def linked(references: str) -> str:
    """arXiv identifiers as links."""
    return re.sub(
        r"arXiv:([\w./-]*\w)", r"[arXiv:\1](https://arxiv.org/abs/\1)", escaped(references)
    )


def markdown_table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table; cells hold one line each."""
    head = list(columns)
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for row in rows:
        cells = [" ".join(cell_text(cell).split()) for cell in row]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def cell_text(cell: str) -> str:
    """A cell's text; links that this file made stay links."""
    return cell if cell.startswith("[`") else escaped(cell)
