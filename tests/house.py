"""The shape of the repository, read from its own sources: who imports whom, and what names say."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
FLOW = (
    "errors", "contract", "numerics", "layers", "loading", "scenario", "planning", "running",
    "results", "analysis", "claims", "soundness", "figures", "report", "runs", "testing",
    "scaffold", "console",
)  # fmt: skip
"""The rooms of `testbed/`, from the ground up: each may import only what stands before it."""

CODE = ("testbed", "plugins", "tests", "benchmarks", "examples")
"""The folders with Python sources."""

VAGUE = frozenset(
    (
        "own", "found", "other", "others", "known", "one", "whole", "at", "rest", "some", "many",
        "each", "few", "got", "asked", "given", "said", "seen", "apart", "alike",
    )
)  # fmt: skip
"""Names that say how a thing relates to what was just spoken of, not what the thing is."""


def sources(*folders: str) -> Iterator[Path]:
    """Every Python file below these folders."""
    for folder in folders:
        yield from sorted((ROOT / folder).rglob("*.py"))


def room(file: Path) -> str:
    """The package or module of `testbed/` that a file belongs to."""
    return file.relative_to(ROOT / "testbed").parts[0].removesuffix(".py")


def imported(file: Path) -> Iterator[str]:
    """The names of `testbed` modules that a file imports, inside functions too.

    What stands under `if TYPE_CHECKING:` is no import: it says a type.
    """
    for node in _running_code(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def _running_code(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            continue
        yield node
        yield from _running_code(node)


def arrows() -> dict[str, set[str]]:
    """Room → the rooms that it imports."""
    result: dict[str, set[str]] = defaultdict(set)
    for file in sources("testbed"):
        for name in imported(file):
            parts = name.split(".")
            if parts[0] == "testbed" and len(parts) > 1 and parts[1] in FLOW:
                result[room(file)].add(parts[1])
    return {name: rooms - {name} for name, rooms in result.items() if name in FLOW}


def arrows_table() -> str:
    """The arrows as a Markdown table, from the top of the flow to the ground."""
    table = arrows()
    lines = ["| package | imports |", "|---|---|"]
    for name in _from_the_top():
        below = [f"`{lower}`" for lower in reversed(FLOW) if lower in table[name]]
        lines.append(f"| `{name}` | {', '.join(below) or 'nothing'} |")
    return "\n".join(lines)


def arrows_drawing() -> str:
    """The arrows as a triangle: a row imports the columns with a dot, all of them further down."""
    table, names = arrows(), [*_from_the_top(), FLOW[0]]
    width = max(map(len, names))
    lines = [" " * (width + 3) + " ".join(f"{name[:3]:3}" for name in names)]
    for name in names:
        dots = ("●" if lower in table.get(name, ()) else "·" for lower in names)
        cells = [" " if lower == name else dot for lower, dot in zip(names, dots, strict=True)]
        place = names.index(name)
        shown = ["\\" if k == place else cell if k > place else "" for k, cell in enumerate(cells)]
        lines.append(f"{name:{width}}   " + " ".join(f"{sign:3}" for sign in shown).rstrip())
    return "\n".join(["```text", *lines, "```"])


def _from_the_top() -> list[str]:
    table = arrows()
    return [name for name in reversed(FLOW) if name in table]


def plugin_names_table() -> str:
    """The names that first-party plugins import from testbed, by module, as a Markdown table."""
    names: dict[str, set[str]] = defaultdict(set)
    for file in sources("plugins"):
        for name in imported(file):
            module, _, imported_name = name.rpartition(".")
            if name.split(".")[0] == "testbed":
                names[module or name].add(imported_name)
    lines = ["| module | names |", "|---|---|"]
    for module, used in sorted(names.items()):
        lines.append(f"| `{module}` | {', '.join(f'`{name}`' for name in sorted(used))} |")
    return "\n".join(lines)


PAGE = ROOT / "docs" / "architecture.md"
COMPUTED = {
    "arrows": arrows_table,
    "drawing of arrows": arrows_drawing,
    "names that plugins import": plugin_names_table,
}
"""Parts of the page that are computed, each between two comments that name it."""


def part_of_page(text: str, part: str) -> str:
    """What stands between the two comments of a part."""
    return text.partition(f"<!-- {part} -->\n")[2].partition(f"\n<!-- end of {part} -->")[0]


def renew_page() -> None:
    """Write the computed parts of the page anew."""
    text = PAGE.read_text(encoding="utf-8")
    for part, compute in COMPUTED.items():
        text = text.replace(part_of_page(text, part), compute())
    PAGE.write_text(text, encoding="utf-8")


OPEN = ("contract", "numerics")
"""Packages whose modules all other packages may import."""


def module_of(name: str) -> str:
    """The module that an imported name belongs to: the longest part that is a file or a folder."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        path = ROOT.joinpath(*parts[:count])
        if path.is_dir() or path.with_suffix(".py").exists():
            return ".".join(parts[:count])
    return name


def listed_modules(name: str) -> set[str]:
    """The modules that the docstring of a package lists for other packages."""
    text = ast.get_docstring(ast.parse((ROOT / "testbed" / name / "__init__.py").read_text()))
    return {f"testbed.{module}" for module in re.findall(rf"`({name}\.\w+)`", text or "")}


def tested_package(file: Path) -> str:
    """The package of `testbed/` whose folder of tests holds a file; empty for any other test."""
    parts = file.relative_to(ROOT).parts
    return parts[2] if parts[:2] == ("tests", "unit") and len(parts) > 3 else ""


@cache
def modules_used_elsewhere() -> dict[str, dict[str, set[str]]]:
    """Package → its modules that other packages or their tests import → the files that do."""
    users: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for file in sources("testbed", "tests"):
        in_tests = file.is_relative_to(ROOT / "tests")
        home = tested_package(file) if in_tests else room(file)
        for module in map(module_of, imported(file)):
            top, _, inside = module.partition(".")
            package, _, private = inside.partition(".")
            if top == "testbed" and private and package != home:
                users[package][module].add(str(file.relative_to(ROOT)))
    return users


def private_names(file: Path) -> Iterator[str]:
    """The names with a leading underscore that a test takes from a module that it does not test.

    A test of `module.py` is called `test_module.py`.
    """
    tested = file.stem.removeprefix("test_")
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if module.startswith("testbed") and module.rpartition(".")[2] != tested:
                yield from (alias.name for alias in node.names if alias.name.startswith("_"))
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            private = node.attr.startswith("_") and not node.attr.startswith("__")
            if private and node.value.id not in ("self", "cls"):
                yield node.attr


def plugin_imports() -> dict[str, int]:
    """Modules of `testbed` that plugins import from → how many names they take from each."""
    counts: dict[str, int] = defaultdict(int)
    for file in sources("plugins"):
        for name in imported(file):
            if name.split(".")[0] == "testbed":
                counts[name.rpartition(".")[0] or name] += 1
    return dict(sorted(counts.items()))


def vague_names(file: Path) -> Iterator[tuple[str, int]]:
    """The vague names that a file gives to variables, arguments, functions, classes and attributes,
    each with its line."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        for name in _names_given(node):
            if name.strip("_") in VAGUE:
                yield name, node.lineno  # type: ignore[attr-defined]


def _names_given(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.arg):
        yield node.arg
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.alias) and node.asname:
        yield node.asname
    elif isinstance(getattr(node, "ctx", None), ast.Store):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr


if __name__ == "__main__":
    renew_page()
    for path in sources(*CODE):
        for vague, line in vague_names(path):
            print(f"{path.relative_to(ROOT)}:{line} {vague}")
