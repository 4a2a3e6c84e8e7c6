"""Sphinx builds the site from the Markdown pages beside this file: `make docs`.

Pages under `_generated/` are written anew at each build, from the declarations of the installed
components and from the public names of `testbed`; nothing in them is edited by hand.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from generate import write_pages  # noqa: E402

from testbed import __version__  # noqa: E402

project = "Testbed"
author = "Testbed developers"
copyright = "the Testbed developers"
version = release = __version__

extensions = ["myst_parser", "sphinx_copybutton"]
myst_enable_extensions = ["dollarmath", "deflist", "colon_fence"]
myst_heading_anchors = 3
exclude_patterns = ["_build", "notes"]
suppress_warnings = ["myst.header"]  # generated pages begin at the level of their place

html_theme = "furo"
html_title = f"Testbed {version}"
html_copy_source = False
# formulas as MathML, which browsers draw themselves: the site needs no network
html_math_renderer = "mathml"
# links from the pages to files of the repository outside docs/ stay links to files
myst_url_schemes = ["http", "https", "mailto"]


def setup(app: object) -> None:
    """Write the generated pages, and draw formulas without a script from elsewhere."""
    from mathml import visit_displaymath, visit_math

    write_pages(HERE / "_generated")
    app.add_html_math_renderer(  # type: ignore[attr-defined]
        "mathml", (visit_math, None), (visit_displaymath, None)
    )
