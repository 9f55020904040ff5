from pathlib import Path
from xml.etree import ElementTree

from benchmarks.plots import draw_bars


def test_plots_are_small_and_the_same_figures_give_the_same_file(tmp_path: Path) -> None:
    for name in ("one", "other"):
        draw_bars(
            tmp_path / f"bars-{name}.svg", ["a", "b"], {"tokens": {"naive": [9, 8], "ours": [3, 1]}}
        )
    one, other = ((tmp_path / f"bars-{name}.svg").read_bytes() for name in ("one", "other"))
    assert one == other
    assert len(one) < 60_000
    texts = {text for text in ElementTree.fromstring(one).itertext() if text.strip()}
    assert {"9", "a"} <= texts
