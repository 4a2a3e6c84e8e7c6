"""Formulas as MathML."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from latex2mathml.converter import convert


def visit_math(writer: Any, node: nodes.Node) -> None:
    """A formula inside a line."""
    writer.body.append(convert(node.astext()))
    raise nodes.SkipNode


def visit_displaymath(writer: Any, node: nodes.Node) -> None:
    """A formula on a line of its own."""
    writer.body.append(f"<div class='math'>{convert(node.astext(), display='block')}</div>")
    raise nodes.SkipNode
