"""From a plot to a file or to an element of a page; the same bytes from the same plot.

Text stays text. In the page a plot takes its colours and its font from the page's, so that it
reads on light and on dark; as a file it stands on white.
"""

import re
import warnings
from io import BytesIO
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "GAIN",
    "GRID",
    "INK",
    "LOSS",
    "MUTED",
    "SERIES",
    "STYLE",
    "to_element",
    "to_png",
    "to_svg",
]

# On white; templates/report.css has a twin of each for dark grounds, by the names below.
INK, MUTED, GRID, GAIN, LOSS = "#1b1f24", "#57606a", "#d0d7de", "#1a7f5a", "#b8462f"
SERIES = ("#2563a8", "#a8590c", "#6d4fb3", "#0f7680", "#a03470", "#5d6b1e")
_ROLES = {
    INK: "ink", MUTED: "muted", GRID: "grid", GAIN: "gain", LOSS: "loss",
    **{colour: f"series-{place}" for place, colour in enumerate(SERIES)},
}  # fmt: skip
STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "rankprompt",
    "text.parse_math": False,  # a run may be called $x$
    "font.family": "sans-serif",
    "font.size": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "axes.edgecolor": GRID,
    "axes.labelcolor": MUTED,
    "xtick.color": GRID,
    "ytick.color": GRID,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "text.color": INK,
    "legend.frameon": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
}
"""How plots are drawn."""

_SVG = "{http://www.w3.org/2000/svg}"
_HREF = "{http://www.w3.org/1999/xlink}href"


def to_svg(figure: "Figure") -> str:
    """A file of its own, on white."""
    return _text(_parse(figure, facecolor="white")) + "\n"


def to_png(figure: "Figure") -> bytes:
    """A picture on white, twice as fine as a screen."""
    return _save(figure, "png", facecolor="white", dpi=192, metadata={"Software": None})


def to_element(figure: "Figure", name: str, title: str, description: str) -> str:
    """An ``svg`` element for the page: in the page's colours and font, and read out as an image.

    Args:
        figure: the plot.
        name: a word that no other plot of the page has; it keeps the ids apart.
        title: what it is, in plain text.
        description: what it shows, in plain text.
    """
    root = _parse(figure)
    for one in root.iter():
        _adapt(one, name)
    for defs in list(root.findall(f"{_SVG}defs")):
        if defs.find(f"{_SVG}style") is not None:
            root.remove(defs)  # it would style the whole page
    for place, (tag, words) in enumerate((("title", title), ("desc", description))):
        child = ElementTree.Element(f"{_SVG}{tag}", {"id": f"{name}-{tag}"})
        child.text = words
        root.insert(place, child)
    root.attrib = {
        "class": "plot",
        "role": "img",
        "viewBox": root.attrib["viewBox"],
        "aria-labelledby": f"{name}-title",
        "aria-describedby": f"{name}-desc",
    }
    return _text(root)


def _adapt(one: ElementTree.Element, name: str) -> None:
    for key, value in list(one.attrib.items()):
        if key == "id":
            one.set(key, f"{name}-{value}")
        elif key == _HREF:
            del one.attrib[key]
            one.set("href", f"#{name}-{value[1:]}")
        elif key == "clip-path":
            one.set(key, value.replace("url(#", f"url(#{name}-"))
        elif key == "style":
            style = re.sub("#[0-9a-f]{6}", lambda found: _role(found[0]), value)
            one.set(key, re.sub("'DejaVu Sans'[^;]*", "var(--font)", style))


def _role(colour: str) -> str:
    return f"var(--{_ROLES[colour]})" if colour in _ROLES else colour


def _parse(figure: "Figure", **options: Any) -> ElementTree.Element:
    # The parser leaves out comments, where matplotlib puts texts that may not stand in one.
    written = _save(figure, "svg", metadata={"Date": None}, **options)
    root = ElementTree.fromstring(written)
    for metadata in root.findall(f"{_SVG}metadata"):
        root.remove(metadata)
    return root


def _text(root: ElementTree.Element) -> str:
    ElementTree.register_namespace("", _SVG.strip("{}"))
    return ElementTree.tostring(root, encoding="unicode")


def _save(figure: "Figure", form: str, **options: Any) -> bytes:
    from matplotlib import rc_context

    file = BytesIO()
    with rc_context(STYLE), warnings.catch_warnings():
        # In SVG the reader's own fonts draw the names; a picture shows boxes for what ours lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(file, format=form, **options)
    return file.getvalue()
