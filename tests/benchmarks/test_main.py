from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import DynamicCache

from benchmarks.flops import FlopCounter
from benchmarks.plots import Panel, draw_bars, draw_lines
from tests.llm import tiny

IDS = torch.arange(3, 63).reshape(3, 20)


@pytest.fixture
def model() -> Any:
    found: Any = tiny.llama()
    found.eval()
    # torch's counter knows no fused attention of a CPU.
    found.set_attn_implementation("eager")
    return found


def both(model: Any, **asked: Any) -> tuple[int, FlopCounter]:
    with (
        torch.inference_mode(),
        FlopCounterMode(display=False) as theirs,
        FlopCounter(model) as own,
    ):
        model(**asked)
    return theirs.get_total_flops(), own


@pytest.mark.parametrize("read", [1, 4])
def test_the_formula_counts_a_forward_as_torch_does(model: Any, read: int) -> None:
    expected, found = both(model, input_ids=IDS, logits_to_keep=read)
    assert found.flops == expected
    assert found.tokens == IDS.numel()


def test_it_does_so_with_kept_starts(model: Any) -> None:
    past: Any = DynamicCache()
    with torch.inference_mode():
        model(input_ids=IDS[:, :12], past_key_values=past, use_cache=True)
    expected, found = both(
        model, input_ids=IDS[:, 12:], past_key_values=past, use_cache=True, logits_to_keep=1
    )
    assert found.flops == expected
    assert found.tokens == IDS[:, 12:].numel()


def test_padding_counts_for_nothing_and_of_all_logits_one_a_row_is_read(model: Any) -> None:
    alone = [both(model, input_ids=IDS[:1, cut:], logits_to_keep=1)[0] for cut in (0, 8)]
    mask = torch.ones_like(IDS[:2])
    mask[1, :8] = 0
    _, found = both(model, input_ids=IDS[:2], attention_mask=mask)
    assert found.flops == sum(alone)
    assert found.tokens == 20 + 12


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
