"""Run the shipped scenarios at the size of their sources and write docs/results.md and the gallery,
docs/scenarios.md, from their verdicts.

    python benchmarks/verify                       # everything: docs/results.md is renewed
    python benchmarks/verify NAME …                # these scenarios, shown on the terminal
    python benchmarks/verify NAME … --write        # and their sections of docs/results.md renewed
    python benchmarks/verify NAME … --recorded     # judge the results that are there, run nothing

Runs resume: what was computed before is kept. `intervals` and `verdicts` are names too: how often
intervals cover, and how often verdicts are wrong. Exit code 1 if a claim is refuted.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(Path(__file__).parent), str(ROOT / "docs")]

import calibration  # noqa: E402
import coverage  # noqa: E402
import gallery  # noqa: E402
import xarray as xr  # noqa: E402
from page import renewed, section  # noqa: E402
from PIL import Image  # noqa: E402

import testbed  # noqa: E402
from testbed.claims import read_verdicts  # noqa: E402
from testbed.figures import draw_figures  # noqa: E402
from testbed.loading import load_registry  # noqa: E402
from testbed.planning.files import load_scenario  # noqa: E402
from testbed.runs import answered, checked_plan  # noqa: E402

PAGE, IMAGES = ROOT / "docs" / "results.md", ROOT / "docs" / "images"
SCENARIOS = {
    file.stem: file
    for file in sorted(
        (ROOT / "scenarios").glob("*.toml"), key=lambda f: (f.stem != "quickstart", f)
    )
}
PUBLISHED_SIZE = {"adaptivity-rates": ("replicates=64",)}
"""What is set where a scenario is shipped smaller than its source."""
GALLERY = {
    "adaptive-kernel": "excess_risk-against-n",
    "adaptivity-rates": "excess_risk-against-n",
    "architecture": "excess_risk-against-time",
    "deep-linear": "span_dimension-against-time",
    "digits-network": "test_error-against-time",
    "double-descent": "1-excess_risk-against-width",
    "eigenvalue-learning": "learned-spectrum",
    "equivalence": "1-largest_path_gap-against-n",
    "equivalence-growing": "1-largest_path_gap-against-dim",
    "failure-signatures": "1-excess_risk-against-time",
    "feature-alignment": "top-projection",
    "flow-vs-descent": "flow_gap-against-time",
    "high-dimension": "1-excess_risk-by-target",
    "kernel-digits": "misclassification-against-time",
    "kernel-learning-curve": "test_error-against-n",
    "ntk-spectrum": "learned-spectrum",
    "overparameterization-map": "1-learned-over-fixed",
    "periodic-plateau": "1-excess_risk-by-smoothness",
    "polynomial-barrier": "1-excess_risk-by-dim",
    "quickstart": "2-excess_risk-against-n",
    "saturation": "excess_risk-against-n",
    "single-index": "1-overlap-against-time",
    "span-alignment": "at-one-time",
    "span-alignment-logarithmic": "at-one-time",
    "span-depth": "projection_error-against-time",
    "span-depth-ablation": "projection_error-against-time",
    "span-profile": "span-profile",
    "width": "gap-against-time",
}
"""The figure of a run that stands in docs/images under the scenario's name."""
LARGEST = 100_000
"""Bytes of an image of the gallery."""
STUDIES: dict[str, Callable[[], tuple[str, bool]]] = {
    "verdicts": calibration.section,
    "intervals": coverage.section,
}


def measured(name: str, folder: Path, recorded: bool) -> xr.DataTree:
    """The results of a scenario, computed unless only what is recorded is to be judged."""
    scenario = load_scenario(SCENARIOS[name], PUBLISHED_SIZE.get(name, ()))
    if not recorded:
        return testbed.run(scenario, folder=folder / name)
    registry = load_registry()
    tree = testbed.open_results(folder / name)
    return answered(checked_plan(scenario, registry), tree, registry)


def refresh_image(name: str, tree: xr.DataTree, folder: Path) -> None:
    """Draw the figure that the gallery shows of a scenario."""
    figures = load_scenario(SCENARIOS[name]).figures
    for path in draw_figures(tree, folder / name / "figures", figures)[0]:
        if path.stem == GALLERY[name] and path.suffix == ".png":
            (IMAGES / f"{name}.png").write_bytes(small_image(path))


def small_image(source: Path) -> bytes:
    """A figure as a PNG of at most LARGEST bytes: few colours, and fewer pixels where it needs."""
    with Image.open(source) as image:
        figure = image.convert("RGB")
    for width in (1400, 1200, 1000, 850, 700):
        if figure.width > width:
            figure = figure.resize((width, round(figure.height * width / figure.width)))
        contents = io.BytesIO()
        figure.quantize(64).save(contents, "PNG", optimize=True)
        if contents.tell() <= LARGEST:
            break
    return contents.getvalue()


def verified(name: str, options: argparse.Namespace) -> tuple[str, bool]:
    """The section of a scenario or study, and whether nothing is refuted."""
    print(f"{name} …", file=sys.stderr, flush=True)
    if name in STUDIES:
        return STUDIES[name]()
    tree = measured(name, options.folder, options.recorded)
    if options.write:
        refresh_image(name, tree, options.folder)
    image = (IMAGES / f"{name}.png").is_file()
    setup = load_scenario(SCENARIOS[name]).description
    text = section(name, tree, setup, PUBLISHED_SIZE.get(name, ()), image)
    return text, all(verdict.verdict != "refuted" for verdict in read_verdicts(tree))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    names = [*SCENARIOS, *STUDIES]
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"all unless given: {names}")
    parser.add_argument("--folder", type=Path, default=ROOT / "runs" / "verify")
    parser.add_argument("--write", action="store_true", help="renew these sections of the page")
    parser.add_argument("--recorded", action="store_true", help="judge recorded results")
    options = parser.parse_args()
    unknown = sorted(set(options.names) - set(names))
    if unknown:
        parser.error(f"found {', '.join(unknown)}; expected {', '.join(names)}")
    options.write = options.write or not options.names
    parts = {name: verified(name, options) for name in options.names or names}
    sections = {name: text for name, (text, _) in parts.items()}
    if options.write:
        titled = {_key(name, text): text for name, text in sections.items()}
        before = PAGE.read_text(encoding="utf-8") if options.names else ""
        PAGE.write_text(renewed(before, titled, [*SCENARIOS, "Verdicts", "Intervals"]), "utf-8")
        gallery.PAGE.write_text(gallery.gallery_page(), "utf-8")
    else:
        print("\n".join(sections.values()))
    return 0 if all(kept for _, kept in parts.values()) else 1


def _key(name: str, text: str) -> str:
    """How a section is found again on the page: by its scenario, or a study by its heading."""
    return name if name in SCENARIOS else text.partition("\n")[0].removeprefix("## ")


if __name__ == "__main__":
    sys.exit(main())
