"""The style and the colours of all figures, and their writers: SVG, PNG, elements of a page.

The same figure gives the same bytes, and text stays text. A file is drawn on white; in the report's
page a figure takes the page's colours and font, so that it can be read on light and dark grounds.
"""

import re
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "COLOURS", "GAIN", "GREY", "GRID", "INK", "LOSS", "MARKERS", "STYLE", "drawing_style",
    "to_element", "to_png", "to_svg",
]  # fmt: skip

# On white. templates/report.css defines the variables below for light and for dark grounds.
INK, GREY, GRID, GAIN, LOSS = "#1b1f24", "#57606a", "#d0d7de", "#1a7f5a", "#b8462f"
COLOURS = ("#2563a8", "#a8590c", "#6d4fb3", "#0f7680", "#a03470", "#5d6b1e")
"""The colours of series, in order."""
MARKERS = "os^Dv"
"""The markers of series, in order."""
_CSS_VARIABLES = {
    INK: "ink", GREY: "muted", GRID: "grid", GAIN: "gain", LOSS: "loss",
    **{colour: f"series-{number}" for number, colour in enumerate(COLOURS)},
}  # fmt: skip
STYLE: Any = {
    "svg.fonttype": "none", "svg.hashsalt": "rankprompt",
    "text.parse_math": False,  # A run may be called $x$.
    "font.family": "sans-serif", "font.size": 9.5, "axes.titlesize": 9.5,
    "axes.spines.top": False, "axes.spines.right": False,
    "axes.axisbelow": True, "axes.grid": True, "grid.linewidth": 0.6,
    **dict.fromkeys(("axes.edgecolor", "grid.color", "xtick.color", "ytick.color"), GRID),
    **dict.fromkeys(("axes.labelcolor", "xtick.labelcolor", "ytick.labelcolor"), GREY),
    "text.color": INK, "legend.frameon": False,
    "figure.facecolor": "none", "axes.facecolor": "none",
}  # fmt: skip
"""matplotlib's rcParams under which every figure is drawn and written; see ``drawing_style``."""

_SVG = "{http://www.w3.org/2000/svg}"
_HREF = "{http://www.w3.org/1999/xlink}href"


@contextmanager
def drawing_style() -> Iterator[None]:
    """Applies ``STYLE``; as a decorator, to a function that draws a figure.

    matplotlib reads the style as each artist is added.
    """
    from matplotlib import rc_context

    with rc_context(STYLE):
        yield


def to_svg(figure: "Figure", axes: Iterable["Axes"] = ()) -> str:
    """Writes a figure as the text of an SVG file, on white.

    Args:
        figure: drawn under ``STYLE``.
        axes: those whose series are named in one legend below the figure; by default none.
    """
    legend: dict[str, Artist] = {}
    for panel in axes:
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True):
            legend.setdefault(label, handle)
    if legend:
        with drawing_style():
            figure.legend(
                list(legend.values()), list(legend), loc="outside lower center", ncols=len(legend)
            )
    return _serialise(_svg_tree(figure, facecolor="white")) + "\n"


def to_png(figure: "Figure") -> bytes:
    """Writes a figure as PNG on white, with twice the resolution of a screen."""
    return _save(figure, "png", facecolor="white", dpi=192, metadata={"Software": None})


def to_element(figure: "Figure", name: str, title: str, description: str) -> str:
    """Writes a figure as an ``svg`` element in the page's colours and font.

    Screen readers announce it as an image with its title and description.

    Args:
        figure: drawn under ``STYLE``.
        name: prefix of all ids, so that no two figures of a page share one.
        title: what the figure is, in plain text.
        description: what the figure shows, in plain text.
    """
    root = _svg_tree(figure)
    for element in root.iter():
        _adapt(element, name)
    for defs in list(root.findall(f"{_SVG}defs")):
        if defs.find(f"{_SVG}style") is not None:
            root.remove(defs)  # Its rules would apply to the whole page.
    for position, (tag, text) in enumerate((("title", title), ("desc", description))):
        child = ElementTree.Element(f"{_SVG}{tag}", {"id": f"{name}-{tag}"})
        child.text = text
        root.insert(position, child)
    root.attrib = {
        "class": "plot",
        "role": "img",
        "viewBox": root.attrib["viewBox"],
        "aria-labelledby": f"{name}-title",
        "aria-describedby": f"{name}-desc",
    }
    return _serialise(root)


def _adapt(element: ElementTree.Element, name: str) -> None:
    """Prefixes ids and references, and replaces colours and fonts by the page's variables."""
    for key, value in list(element.attrib.items()):
        if key == "id":
            element.set(key, f"{name}-{value}")
        elif key == _HREF:
            del element.attrib[key]
            element.set("href", f"#{name}-{value[1:]}")
        elif key == "clip-path":
            element.set(key, value.replace("url(#", f"url(#{name}-"))
        elif key == "style":
            style = re.sub("#[0-9a-f]{6}", lambda match: _css_colour(match[0]), value)
            element.set(key, re.sub("'DejaVu Sans'[^;]*", "var(--font)", style))


def _css_colour(colour: str) -> str:
    return f"var(--{_CSS_VARIABLES[colour]})" if colour in _CSS_VARIABLES else colour


def _svg_tree(figure: "Figure", **options: Any) -> ElementTree.Element:
    # The parser drops comments, in which matplotlib puts texts that no comment may contain.
    root = ElementTree.fromstring(_save(figure, "svg", metadata={"Date": None}, **options))
    for metadata in root.findall(f"{_SVG}metadata"):
        root.remove(metadata)
    return root


def _serialise(root: ElementTree.Element) -> str:
    ElementTree.register_namespace("", _SVG.strip("{}"))
    return ElementTree.tostring(root, encoding="unicode")


def _save(figure: "Figure", file_format: str, **options: Any) -> bytes:
    file = BytesIO()
    with drawing_style(), warnings.catch_warnings():
        # In SVG the reader's own fonts draw such glyphs; a PNG shows boxes in their place.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(file, format=file_format, **options)
    return file.getvalue()
