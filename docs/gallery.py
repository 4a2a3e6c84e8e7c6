"""Pages made of scenarios, verdicts and the scaffold: a gallery, an example of each kind."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from pathlib import Path

from testbed.scaffold import KINDS, plugin_files

ROOT = Path(__file__).parents[1]
VERDICTS = ("supported", "refuted", "inconclusive", "holds", "fails")


def gallery_page() -> str:
    """Every shipped scenario: its question, its figure, its claims and what became of them."""
    parts = [
        "# Gallery",
        "The shipped scenarios with the verdicts on their claims, as "
        "[the page of results](../results.md) states them. `testbed run NAME` runs each, from "
        "anywhere.",
    ]
    for file in sorted((ROOT / "scenarios").glob("*.toml")):
        parts += scenario_parts(file)
    return "\n\n".join(parts) + "\n"


def scenario_parts(file: Path) -> list[str]:
    """One scenario of the gallery."""
    text = file.read_text(encoding="utf-8")
    document = tomllib.loads(text)
    parts = [f"## {document['title']}", question(text), f"```sh\ntestbed run {file.stem}\n```"]
    if (ROOT / "docs" / "images" / f"{file.stem}.png").exists():
        parts.append(f"![{document['title']}](../images/{file.stem}.png)")
    counts = verdicts(file.stem)
    if counts:
        words = ", ".join(f"{count} {word}" for word, count in counts.items())
        parts.append(f"Claims: {words}.")
    return parts


def question(text: str) -> str:
    """The comment that a scenario begins with, as paragraphs; formulas stay as they are written."""
    head = re.match(r"(?:#[^\n]*\n)+", text)
    lines = (head[0] if head else "").splitlines()
    written = [line[1:].strip() for line in lines if not line.startswith("#:schema")]
    paragraphs = "\n".join(written).strip()
    return re.sub(r"([*_<>\[\]$|~])", r"\\\1", paragraphs)


def verdicts(stem: str) -> Counter[str]:
    """How many verdicts of each kind the page of results has for a scenario."""
    sections = (ROOT / "docs" / "results.md").read_text(encoding="utf-8").split("\n## ")
    counts: Counter[str] = Counter()
    for section in sections:
        if f"`testbed run scenarios/{stem}.toml`" in section:
            last = re.findall(r"\| *(\w+) *\|$", section, re.M)
            counts.update(word for word in last if word in VERDICTS)
    return counts


def examples_page() -> str:
    """What the scaffold writes for each kind: a worked example, its test and its scenario."""
    parts = [
        "# Worked examples",
        "A right component of each kind, with the scenario that uses it, as `testbed new-plugin` "
        "writes it into a distribution that installs and passes its tests. The test file is the "
        "same for all, and so is the module with the hooks but for the kind:",
    ]
    files = plugin_files("my-idea", "kernel")
    for place in ("tests/test_laws.py", "testbed_my_idea/__init__.py", "pyproject.toml"):
        parts.append(f"`{place}`:\n\n{fenced(place, files[place])}")
    for kind, chosen in KINDS.items():
        files = plugin_files("my-idea", kind)
        component = f"testbed_my_idea/{chosen.file}.py"
        scenario = "testbed_my_idea/scenarios/my-idea.toml"
        words = chosen.words.capitalize()
        parts.append(f"## {words}\n\n`testbed new-plugin my-idea --kind {kind}`")
        parts += [fenced(component, files[component]), fenced(scenario, files[scenario])]
    return "\n\n".join(parts) + "\n"


def fenced(place: str, text: str) -> str:
    """A file as a block of code."""
    language = {"py": "python", "toml": "toml"}[place.rpartition(".")[2]]
    return f"```{language}\n{text.strip()}\n```"
