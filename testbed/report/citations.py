"""How to cite a result: BibTeX of the papers, of the components used, of the data, of testbed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import testbed

if TYPE_CHECKING:
    import xarray as xr

_ARXIV = re.compile(r"arXiv:\s*([\w.\-/]+\d)")
_DOI = re.compile(r"\b(?:doi:\s*|https?://doi\.org/)?(10\.\d{4,9}/\S+)")


def citations(tree: xr.DataTree) -> list[str]:
    """BibTeX entries: what the scenario refers to, its components' sources, data, testbed."""
    papers = _listed(str(tree.attrs.get("references", "")), ",")
    components = _listed(str(tree.attrs.get("component_references", "")), "\n")
    entries = {key: entry for key, entry in map(_entry, [*papers, *components])}
    entries |= dict(_data(tree))
    entries["testbed"] = _bibtex(
        "software", "testbed", {"title": "Testbed", "version": testbed.__version__}
    )
    return list(entries.values())


def _listed(text: str, between: str) -> list[str]:
    return [part.strip() for part in text.split(between) if part.strip()]


def _entry(reference: str) -> tuple[str, str]:
    """A reference as an entry: arXiv and DOI by their identifiers, anything else as it is."""
    arxiv, doi = _ARXIV.search(reference), _DOI.search(reference)
    remainder = reference
    fields = {}
    if arxiv:
        number = arxiv.group(1)
        fields = {
            "eprint": number,
            "archivePrefix": "arXiv",
            "url": f"https://arxiv.org/abs/{number}",
        }
        key, remainder = f"arxiv-{number}", reference.replace(arxiv.group(0), "")
    elif doi:
        number = doi.group(1).rstrip(".,;)")
        fields = {"doi": number}
        key, remainder = f"doi-{number}", reference.replace(doi.group(0), "")
    else:
        key = "ref-" + re.sub(r"[^A-Za-z0-9]+", "-", reference).strip("-").lower()[:40]
    note = remainder.strip(" ,;:()")
    return key, _bibtex("misc", key, fields | ({"note": note} if note else {}))


def _data(tree: xr.DataTree) -> Iterator[tuple[str, str]]:
    """The data sets that the designs of a run read."""
    names = _listed(str(tree.attrs.get("data_name", "")), ";")
    for i, name in enumerate(names):
        fields = {"title": name}
        for key, attribute in (("howpublished", "data_source"), ("note", "data_licence")):
            parts = _listed(str(tree.attrs.get(attribute, "")), ";")
            if parts:
                fields[key] = parts[min(i, len(parts) - 1)]
        key = "data-" + re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-").lower()[:40]
        yield key, _bibtex("misc", key, fields)


def _bibtex(kind: str, key: str, fields: dict[str, str]) -> str:
    lines = [f"  {name} = {{{_braced(value)}}}," for name, value in fields.items()]
    return "\n".join([f"@{kind}{{{key},", *lines, "}"])


def _braced(value: str) -> str:
    """A value whose braces balance, whatever it holds."""
    return value.replace("{", "(").replace("}", ")").replace("\n", " ")


def arxiv_links(references: Iterable[str]) -> list[tuple[str, str]]:
    """References with the address of those that have one."""
    links = []
    for reference in references:
        arxiv = _ARXIV.search(reference)
        links.append((reference, f"https://arxiv.org/abs/{arxiv.group(1)}" if arxiv else ""))
    return links
