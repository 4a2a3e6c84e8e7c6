"""Run a page as its reader would: write its scenarios, type its commands, execute its code."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

from click.testing import CliRunner

from testbed.console.cli import main

DOCS = Path(__file__).parents[2] / "docs"
_BLOCK = re.compile(r"^```(toml|sh|python)\n(.*?)^```", re.S | re.M)


def run_page(page: str, folder: Path) -> list[str]:
    """Execute every block of a page in order, in a folder; return the languages of the blocks.

    A scenario is written to the file of its name; other TOML is parsed. Commands are those of
    `testbed`; each must end with exit code 0.
    """
    names: dict[str, object] = {}
    blocks = _BLOCK.findall((DOCS / page).read_text(encoding="utf-8"))
    for language, text in blocks:
        if language == "toml":
            document = tomllib.loads(text)
            if "name" in document:
                (folder / f"{document['name']}.toml").write_text(text, encoding="utf-8")
        elif language == "sh":
            for line in text.splitlines():
                _type(line)
        else:
            exec(compile(text, page, "exec"), names)
    return [language for language, _ in blocks]


def type_block(page: str, position: int = 0) -> None:
    """Run every line of one shell block of a page, in the present folder."""
    blocks = re.findall(
        r"^```sh\n(.*?)^```", (DOCS / page).read_text(encoding="utf-8"), re.S | re.M
    )
    for line in blocks[position].splitlines():
        _type(line)


def _type(line: str) -> None:
    """Run one command of a block, in this process."""
    words = [
        part
        for word in shlex.split(line, comments=True)
        for part in (sorted(map(str, Path().glob(word))) if "*" in word else [word])
    ]
    target = words.index(">") if ">" in words else len(words)
    assert words[0] == "testbed", line
    done = CliRunner().invoke(main, words[1:target])
    assert done.exit_code == 0, f"{line}\n{done.output}"
    if target < len(words):
        Path(words[target + 1]).write_text(done.output, encoding="utf-8")
