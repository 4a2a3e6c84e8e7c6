"""Pages made of scenarios, verdicts, notes and the scaffold: the gallery, an example of each kind.

python docs/gallery.py        # write docs/scenarios.md
"""

from __future__ import annotations

import re
import textwrap
import tomllib
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from testbed.scaffold import KINDS, plugin_files

ROOT = Path(__file__).resolve().parents[1]
PAGE, NOTES = ROOT / "docs" / "scenarios.md", ROOT / "docs" / "notes"
VERDICTS = ("supported", "refuted", "inconclusive")
WHOLE = {"break_long_words": False, "break_on_hyphens": False}
INTRODUCTION = """# The shipped scenarios

<!-- Written by docs/gallery.py from scenarios/, docs/notes/ and docs/results.md: not by hand. -->

Each file in `scenarios/` asks one question. Its head, quoted here, states the source, the published
settings, and which settings are ours because the source does not state them. `testbed run NAME`
runs each from anywhere: it draws the figures and prints the verdicts. [results.md](results.md) has
every claim with the interval found, and the seconds of computing, which two workers share."""


class Answer(NamedTuple):
    """What became of one claim of a scenario."""

    claim: str
    allowed: str
    found: str
    verdict: str


def gallery_page() -> str:
    """Every shipped scenario: its question, its figure, its claims and what became of them."""
    files = sorted((ROOT / "scenarios").glob("*.toml"), key=lambda f: (f.stem != "quickstart", f))
    parts = [INTRODUCTION, overview(files)]
    for file in files:
        parts += scenario_parts(file)
    return "\n\n".join(parts) + "\n"


def overview(files: list[Path]) -> str:
    """A line for each scenario: title, sources, seconds, verdicts."""
    lines = ["| scenario | title | sources | computing | claims |", "|---|---|---|---|---|"]
    for file in files:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
        cells = [
            f"`{file.stem}`",
            document["title"],
            ", ".join(document["references"]),
            seconds(file.stem),
            counted(answers(file.stem)),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def scenario_parts(file: Path) -> list[str]:
    """One scenario of the gallery."""
    text = file.read_text(encoding="utf-8")
    title = tomllib.loads(text)["title"]
    parts = [f"## `{file.stem}`", textwrap.fill(f"*{title}.*", 100, **WHOLE), question(text)]
    if (ROOT / "docs" / "images" / f"{file.stem}.png").exists():
        parts.append(f"![{title}](images/{file.stem}.png)")
    note = NOTES / f"{file.stem}.md"
    if note.exists():
        parts.append(note.read_text(encoding="utf-8").strip())
    found = answers(file.stem)
    if found:
        parts.append(f"Claims: {counted(found)}.")
        lines = (
            f"- {answer.verdict}: {answer.claim}; allowed {answer.allowed}, found {answer.found}"
            for answer in found
            if not answer.verdict.startswith("supported")
        )
        parts += [textwrap.fill(line, 100, subsequent_indent="  ", **WHOLE) for line in lines]
    return parts


def question(text: str) -> str:
    """The comment that a scenario begins with, as paragraphs."""
    head = re.match(r"(?:#[^\n]*\n)+", text)
    lines = (head[0] if head else "").splitlines()
    written = [line[1:].strip() for line in lines if not line.startswith("#:schema")]
    escaped = re.sub(r"([*_<>\[\]$|~])", r"\\\1", "\n".join(written).strip())
    paragraphs = (" ".join(text.split()) for text in escaped.split("\n\n"))
    return "\n\n".join(textwrap.fill(text, 100, **WHOLE) for text in paragraphs)


def section_of(stem: str) -> str:
    """The section of the page of results on a scenario; empty if it has none."""
    sections = (ROOT / "docs" / "results.md").read_text(encoding="utf-8").split("\n## ")
    return next((part for part in sections if f"`testbed run scenarios/{stem}.toml" in part), "")


def seconds(stem: str) -> str:
    """The seconds of computing that the page of results states."""
    stated = re.search(r":\s+(\d+)\s+s\s+of\s+computing", section_of(stem))
    return f"{stated[1]} s" if stated else ""


def answers(stem: str) -> list[Answer]:
    """The verdicts that the page of results has on a scenario."""
    rows = re.findall(r"^\|(.*)\|$", section_of(stem), re.M)
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)] for row in rows]
    return [
        Answer(row[0], row[2], row[3], row[4].replace("*", ""))
        for row in cells
        if len(row) == 5 and row[4].strip("*").startswith(VERDICTS)
    ]


def counted(found: list[Answer]) -> str:
    """How many verdicts there are of each kind, in words."""
    counts = Counter(answer.verdict.partition(":")[0] for answer in found)
    return ", ".join(f"{counts[word]} {word}" for word in VERDICTS if counts[word])


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


if __name__ == "__main__":
    PAGE.write_text(gallery_page(), encoding="utf-8")
