"""The shape of the repository, read from its own sources: who imports whom, and what names say."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
FLOW = (
    "errors", "contract", "numerics", "layers", "loading", "scenario", "planning", "running",
    "results", "analysis", "claims", "soundness", "figures", "report", "runs", "testing", "console",
)  # fmt: skip
"""The rooms of `testbed/`, from the ground up: each may import only what stands before it."""

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
    found: dict[str, set[str]] = defaultdict(set)
    for file in sources("testbed"):
        for name in imported(file):
            parts = name.split(".")
            if parts[0] == "testbed" and len(parts) > 1 and parts[1] in FLOW:
                found[room(file)].add(parts[1])
    return {name: rooms - {name} for name, rooms in found.items() if name in FLOW}


def arrows_table() -> str:
    """The arrows as a Markdown table, from the top of the flow to the ground."""
    table = arrows()
    lines = ["| room | imports |", "|---|---|"]
    for name in reversed(FLOW):
        if name in table:
            below = [f"`{other}`" for other in reversed(FLOW) if other in table[name]]
            lines.append(f"| `{name}` | {', '.join(below) or 'nothing'} |")
    return "\n".join(lines)


def plugin_imports() -> dict[str, int]:
    """Modules of `testbed` that plugins import from → how many names they take from each."""
    counts: dict[str, int] = defaultdict(int)
    for file in sources("plugins"):
        for name in imported(file):
            if name.split(".")[0] == "testbed":
                counts[name.rpartition(".")[0] or name] += 1
    return dict(sorted(counts.items()))


def vague_names(file: Path) -> list[str]:
    """Where a file binds a vague name: `path:line name`."""
    found = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        name = node.arg if isinstance(node, ast.arg) else getattr(node, "id", "")
        bound = isinstance(node, ast.arg) or isinstance(getattr(node, "ctx", None), ast.Store)
        if bound and name in VAGUE:
            found.append(f"{file.relative_to(ROOT)}:{node.lineno} {name}")  # type: ignore[attr-defined]
    return found


if __name__ == "__main__":
    print(arrows_table())
    print()
    print("\n".join(f"{count:4d} {module}" for module, count in plugin_imports().items()))
    listed = [place for file in sources("testbed", "plugins") for place in vague_names(file)]
    print(f"\n{len(listed)} vague names")
