"""The sheet that holds the panels: its size, title, legend and text."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import matplotlib
import matplotlib.font_manager
import matplotlib.style
from attrs import field, frozen
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.mathtext import MathTextParser

from testbed.figures.axes import log_ticks, outer_labels, same_limits, scaled
from testbed.figures.looks import words

PANELS = 12  # most that a figure has room for
COLUMNS = {"one-column": 3.4, "two-columns": 7.0}  # inches, as most journals have them
LEGEND_INSIDE = 12  # most lines that a panel has room for beside its curves
LEGEND_TALLEST = 9.0  # inches; a longer legend goes on in another column
NO_BREAK = "\N{NO-BREAK SPACE}"


@contextmanager
def styled(size: object = "screen") -> Iterator[None]:
    """Matplotlib's settings for a figure of this size."""
    sheet = "screen" if size == "screen" else "paper"
    with matplotlib.style.context(Path(__file__).with_name(f"{sheet}.mplstyle")):
        yield


@frozen
class Canvas:
    """A figure and its panels; `size` is a word or [width, height] in inches."""

    figure: Figure
    panels: Sequence[Axes]
    size: object = "screen"
    wanted: int = 0  # panels that were asked for
    options: Mapping[str, object] = field(factory=dict, hash=False)

    @classmethod
    def of(cls, wanted: int, options: Mapping[str, object]) -> Canvas:
        """A sheet for as many panels as have room."""
        count, size = min(wanted, PANELS), options.get("size", "screen")
        columns, width, height = _layout(count, size)
        figure = Figure(figsize=(width, height))
        rows = math.ceil(count / columns)
        panels = [figure.add_subplot(rows, columns, i + 1) for i in range(count)]
        return cls(figure, panels, size, wanted, options)

    @property
    def on_screen(self) -> bool:
        """Whether the sheet may grow to the right; in a column it grows downwards."""
        return self.size == "screen"

    def finish(self, title: str, share: str = "xy") -> Figure:
        """Scales, equal limits, labels at the outer panels, and the title."""
        scaled(self.panels, self.options.get("scale"))
        same_limits(self.panels, share)
        outer_labels(self.panels)
        for axes in self.panels:
            log_ticks(axes)
        left_out = self.wanted - len(self.panels)
        note = f" ({left_out} more panels left out)" if left_out > 0 else ""
        per_inch = 10 if self.on_screen else 13
        text = str(self.options.get("title") or title) + note
        wrapped = textwrap.fill(text, max(20, int(per_inch * self.figure.get_figwidth())))
        self.figure.suptitle(plain(wrapped))
        return self.figure

    # --- legends ------------------------------------------------------------------------------

    def legends(self, neutral: Mapping[str, str] | None = None) -> None:
        """One legend next to the panels if their legends agree or one is long, else one in
        each; labels in `neutral` get that colour in a legend that panels share."""
        handles = [axis.get_legend_handles_labels() for axis in self.panels]
        labels = [tuple(names) for _, names in handles if names]
        longest = max((len("\n".join(names).splitlines()) for names in labels), default=0)
        same_labels = len(set(labels)) == 1
        if same_labels and (len(self.panels) > 1 or longest > LEGEND_INSIDE):
            artists, names = next(pair for pair in handles if pair[1])
            pairs = zip(artists, names, strict=True)
            self.legend_beside([_recoloured(a, name, neutral) for a, name in pairs], names)
            return
        for axis, (_, names) in zip(self.panels, handles, strict=True):
            if len(names) > 1:
                axis.legend()

    def legend_beside(self, artists: Sequence[Artist], labels: Sequence[str]) -> None:
        """A legend at the right of all panels, which share what it takes; in a column, below
        them. The figure grows where that is too much."""
        if not labels:
            return
        size = _legend_points()
        entry = max(1.2 * (1 + label.count("\n")) + 0.6 for label in labels) * size / 72
        if not self.on_screen:
            longest = max(len(line) for label in labels for line in label.splitlines())
            inches = (0.55 * longest + 4) * size / 72
            columns = max(1, min(len(labels), int(self.figure.get_figwidth() / inches)))
            if isinstance(self.size, str):
                rows = math.ceil(len(labels) / columns)
                self.figure.set_figheight(self.figure.get_figheight() + rows * entry)
            self.figure.legend(artists, labels, loc="outside lower center", ncols=columns)
            return
        columns = math.ceil(len(labels) * entry / LEGEND_TALLEST)
        inches = math.ceil(len(labels) / columns) * entry + 0.6  # with its frame and the title
        self.figure.set_figheight(max(self.figure.get_figheight(), inches))
        grown = self.figure.get_figwidth() + 2.0 * (columns - (len(self.panels) > 1))
        self.figure.set_figwidth(grown)
        self.figure.legend(artists, labels, loc="outside right center", ncols=columns)

    def legend_below(self, artists: Sequence[Artist], labels: Sequence[str]) -> None:
        """A second legend, below all panels, for what they share."""
        if labels:
            longest = max(map(len, labels))
            inches = (0.55 * longest + 4) * _legend_points() / 72
            columns = max(1, min(len(labels), int(self.figure.get_figwidth() / inches)))
            self.figure.legend(artists, labels, loc="outside lower center", ncols=columns)


def _recoloured(artist: Artist, label: str, colours: Mapping[str, str] | None) -> Artist:
    """A line of a legend in another colour than in the panel that it was taken from."""
    if not colours or label not in colours or not isinstance(artist, Line2D):
        return artist
    return Line2D(
        [], [], color=colours[label], ls=artist.get_linestyle(), lw=artist.get_linewidth()
    )


def _legend_points() -> float:
    value = matplotlib.rcParams["legend.fontsize"]
    return float(matplotlib.font_manager.FontProperties(size=value).get_size_in_points())


def _layout(count: int, size: object) -> tuple[int, float, float]:
    """Columns of panels, width and height in inches."""
    if isinstance(size, (list, tuple)):
        width, height = map(float, size)
        return max(1, min(count, int(width / 2.2))), width, height
    if size in COLUMNS:
        width = COLUMNS[str(size)]
        columns = min(count, 1 if size == "one-column" else 2 if count in (1, 2, 4) else 3)
        columns = 2 if size == "one-column" and count > 3 else columns
        panel = min(2.4, 0.75 * width / columns + 0.3)
        return columns, width, 0.3 + panel * math.ceil(count / columns)
    columns = {1: 1, 2: 2, 4: 2}.get(count, 4 if count > 6 and count != 9 else 3)
    return columns, 1.0 + 3.9 * columns, 0.5 + 3.1 * math.ceil(count / columns)


def plain(text: str) -> str:
    """Text as it can be drawn: mathematics that matplotlib cannot set is shown as it is written.

    >>> plain("costs $5")
    'costs \\\\$5'
    """
    if "$" not in text:
        return text
    try:
        MathTextParser("path").parse(text)
    except ValueError:
        return re.sub(r"(?<!\\)\$", r"\\$", text)
    return text if text.replace(r"\$", "").count("$") % 2 == 0 else text.replace("$", r"\$")


def panel_title(name: str, point: Mapping[str, object], width: int = 42) -> str:
    """A panel's heading in as many lines as its width asks for, none of which ends at a `=`."""
    kept = [words({dim: value}).replace(" ", NO_BREAK) for dim, value in point.items()]
    heading = f"{name}: {', '.join(kept)}" if kept and name else name or ", ".join(kept)
    return plain(textwrap.fill(heading, width).replace(NO_BREAK, " "))
