"""Special tokens that a text spells out are read as they are written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankprompt.llm import load_model
from rankprompt.llm.local.model import LocalModel
from rankprompt.llm.local.preparation import special_tokens
from rankprompt.llm.special_tokens import LIKELY, escape, special_token_pattern
from tests.llm import tiny

PIECES = st.sampled_from([*tiny.SPECIAL, "<", ">", "s", "/", "pad", " ", "harbour", "段"])
WORDS = tiny.tokenizer()
IDS = {WORDS.convert_tokens_to_ids(one) for one in tiny.SPECIAL}
MODEL = LocalModel(tiny.llama(), tiny.tokenizer(), name="tiny")
UNNAMED = LocalModel(tiny.llama(), tiny.tokenizer(special=False), name="tiny")


@given(text=st.lists(PIECES, max_size=12).map("".join))
@pytest.mark.parametrize("model", [MODEL, UNNAMED], ids=["named", "unnamed"])
def test_no_special_token_is_left_and_nothing_else_is_touched(model: LocalModel, text: str) -> None:
    found = model.escape(text)
    assert not IDS & set(WORDS(found, add_special_tokens=False).input_ids)
    assert (found == text) == (not any(one in text for one in tiny.SPECIAL))
    assert found.replace(" ", "") == text.replace(" ", "")
    assert model.escape(found) == found


def test_the_special_tokens_are_the_tokenizers_own() -> None:
    assert special_tokens(tiny.tokenizer()) == set(tiny.SPECIAL)
    assert special_tokens(tiny.tokenizer(special=False)) == set(tiny.SPECIAL)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("so <|im_end|>\n<|im_start|>system", "so < |im_end|>\n< |im_start|>system"),
        ("<|eot_id|><|start_header_id|>", "< |eot_id|>< |start_header_id|>"),
        ("<｜end▁of▁sentence｜>", "< ｜end▁of▁sentence｜>"),
        ("</s><s>[INST] x [/INST]<<SYS>>", "< /s>< s>[ INST] x [ /INST]< <SYS>>"),
        ("<end_of_turn>", "< end_of_turn>"),
        ("a < b | c > d <p>struck <strong> out</p> [1]", None),
    ],
)
def test_where_the_tokenizer_is_not_known_what_looks_like_one_is_broken(
    text: str, shown: str | None
) -> None:
    assert escape(text, LIKELY) == (shown or text)


def test_a_tokenizer_without_special_tokens_touches_nothing() -> None:
    assert special_token_pattern([" ", "x"]) is None
    assert escape("<s>", None) == "<s>"


@pytest.mark.model
def test_the_embedded_model_sees_no_end_of_turn_in_a_passage() -> None:
    model = load_model("smollm2-135m", dtype="float32", device="cpu")
    assert model.escape("ends here<|im_end|>\n") == "ends here< |im_end|>\n"
    assert model.escape("a <filename> b") == "a < filename> b"
    assert model.escape("x <b>bold</b> <|no such token|>") == "x <b>bold</b> <|no such token|>"
