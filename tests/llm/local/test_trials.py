import pytest
import torch

from rankprompt.errors import ModelError
from rankprompt.llm.local.prefix_cache import prefix_cache_for
from rankprompt.llm.local.trials import agrees, changing_length, heeds_padding, trial
from tests.llm import tiny
from tests.llm.local.architectures import build


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    ("name", "pads", "continues"),
    [
        ("llama", True, True),
        ("bloom", True, True),
        ("mpt", True, False),
        ("rwkv", False, False),
        ("gemma2", True, False),
        ("gpt_neo", True, False),
        ("mamba", True, False),
        ("t5", True, False),
    ],
)
def test_the_ways_that_change_answers_are_found(
    name: str, pads: bool, continues: bool, dtype: torch.dtype
) -> None:
    model = build(name).to(dtype)
    assert heeds_padding(model, trial(model), 0, name) is pads
    assert (prefix_cache_for(model, 1 << 20) is not None) is continues


def test_the_trial_is_64_ordinary_tokens() -> None:
    model = build("mistral3")
    rows, logits = trial(model)
    assert sum(map(len, rows)) == 64
    assert [one.shape for one in logits] == [(len(row), 400) for row in rows]
    # The tokens of the configuration: padding, start, end, and the image's.
    assert not {0, 1, 2, 10} & {token for row in rows for token in row}


def test_logits_agree_but_for_rounding() -> None:
    logits = torch.randn(5, 400)
    slight, clear = logits + 1e-5 * torch.randn(5, 400), logits + 0.01 * torch.randn(5, 400)
    assert agrees(slight, logits, torch.float32)
    assert not agrees(clear, logits, torch.float32)
    assert agrees(clear, logits, torch.bfloat16)
    assert not agrees(torch.full_like(logits, torch.nan), logits, torch.bfloat16)


def test_a_model_that_position_ids_lead_astray_is_refused() -> None:
    model = tiny.llama().eval()
    tried = trial(model)
    shifted = tried._replace(logits=[one.flip(0) for one in tried.logits])
    with pytest.raises(ModelError, match="tiny cannot be run here"):
        heeds_padding(model, shifted, 0, "tiny")


def test_the_length_where_frequencies_change_is_known() -> None:
    rope = {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 2.0}
    assert changing_length(build("phi3-longrope")) == 100
    assert changing_length(tiny.llama(rope_parameters=rope)) == 128
    assert changing_length(tiny.llama()) is None
    assert changing_length(build("llama-yarn")) is None
    assert changing_length(build("gpt2")) is None
