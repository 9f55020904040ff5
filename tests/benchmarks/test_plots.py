from pathlib import Path
from xml.etree import ElementTree

from benchmarks.plots import Panel, draw_bars, draw_lines


def test_plots_are_small_and_the_same_figures_give_the_same_file(tmp_path: Path) -> None:
    panel = Panel("tokens", "depth", {"ours": [(5, 100), (10, 300)], "naive": [(5, 900)]})
    for name in ("one", "other"):
        draw_lines(tmp_path / f"lines-{name}.svg", [panel, panel], log=True)
        draw_bars(
            tmp_path / f"bars-{name}.svg", ["a", "b"], {"tokens": {"naive": [9, 8], "ours": [3, 1]}}
        )
    for kind, shown in (("lines", {"ours", "naive", "depth", "5"}), ("bars", {"9", "a"})):
        one, other = ((tmp_path / f"{kind}-{name}.svg").read_bytes() for name in ("one", "other"))
        assert one == other
        assert len(one) < 60_000
        texts = {text for text in ElementTree.fromstring(one).itertext() if text.strip()}
        assert shown <= texts
