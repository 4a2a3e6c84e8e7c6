"""Formulas in headings: matplotlib must be able to draw the text between `$` signs."""

from __future__ import annotations

from testbed.errors import Mistake


def formula_mistake(text: str, place: str) -> Mistake | None:
    """The mistake of a heading whose formula cannot be drawn; None if there is none."""
    if "$" not in text:
        return None
    from matplotlib.cbook import is_math_text
    from matplotlib.mathtext import MathTextParser

    if not is_math_text(text):
        return None
    try:
        MathTextParser("path").parse(text)
    except (ValueError, RuntimeError) as error:
        reason = next((line for line in reversed(str(error).splitlines()) if line.strip()), "")
        problem = f"found the heading {text!r}"
        advice = f"matplotlib says: {reason}; write \\$ for a dollar sign"
        return Mistake(place, problem, "text, or formulas as matplotlib sets them", advice)
    return None
