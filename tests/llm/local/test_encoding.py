from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.normalizers import Lowercase
from tokenizers.pre_tokenizers import Whitespace
from transformers import PreTrainedTokenizerFast

from rankprompt.errors import ModelError
from rankprompt.llm.base import Request
from rankprompt.llm.local.encoding import EncodedRequest, Row, encode
from tests.llm.tiny import SENTENCES, TEMPLATE, tokenizer

PLAIN = tokenizer()
PROMPT = "Which passage is more relevant? Answer:"


def ids(text: str, words: PreTrainedTokenizerFast = PLAIN) -> tuple[int, ...]:
    return tuple(words(text, add_special_tokens=False).input_ids)


def tails(encoded: EncodedRequest) -> list[tuple[int, ...]]:
    """The options' tokens after the context, put together again from the rows."""
    found = {option: (*row.stem, last) for row in encoded.rows for option, last in row.lasts}
    assert sorted(found) == list(range(len(encoded.counts)))
    return [found[option] for option in sorted(found)]


def whole(encoded: EncodedRequest) -> list[tuple[int, ...]]:
    return [(*encoded.context, *tail) for tail in tails(encoded)]


def test_one_token_options_share_one_row() -> None:
    (a,), (b,) = ids(" A"), ids(" B")
    encoded = encode(PLAIN, Request(PROMPT, (" A", " B")))
    assert encoded == EncodedRequest(ids(PROMPT), (1, 1), (Row((), ((0, a), (1, b))),))
    assert encoded.length == len(ids(PROMPT))


def test_options_with_a_shared_stem_share_a_row() -> None:
    options = (" Passage A", " Passage B", " A", " Passage A?")
    encoded = encode(PLAIN, Request(PROMPT, options))
    (passage,), (a,), (b,), (mark,) = ids(" Passage"), ids(" A"), ids(" B"), ids("?")
    assert encoded == EncodedRequest(
        ids(PROMPT),
        (2, 2, 1, 3),
        (
            Row((passage,), ((0, a), (1, b))),
            Row((), ((2, a),)),
            # " Passage A" ends within this one, and is not meant where "?" follows.
            Row((passage, a), ((3, mark),), ((0, 2, (mark,)),)),
        ),
    )
    assert encoded.length == len(ids(PROMPT)) + 2


def test_what_all_options_begin_with_is_not_context_unless_the_prompt_has_it() -> None:
    # The probability of " Passage" belongs to both options.
    encoded = encode(PLAIN, Request(PROMPT, (" Passage A", " Passage B")))
    assert encoded.context == ids(PROMPT)
    assert encoded.counts == (2, 2)


def test_an_option_that_another_one_begins_with_keeps_its_own_end() -> None:
    (a,) = ids(" A")
    longer = ids(" Answer is")
    encoded = encode(PLAIN, Request(PROMPT, (" A", " A A", " Answer is")))
    assert tails(encoded) == [(a,), (a, a), longer]
    assert encoded.counts == (1, 2, len(longer))


def test_the_same_option_twice_is_scored_twice() -> None:
    (a,) = ids(" A")
    encoded = encode(PLAIN, Request(PROMPT, (" A", " A")))
    assert encoded.rows == (Row((), ((0, a), (1, a))),)


def test_a_merge_over_the_bound_moves_the_bound_for_all_options() -> None:
    # "Pass" and "age" are one token together: the last token of the prompt is not in "Passage".
    prompt = "the Pass"
    assert ids(prompt)[-1] not in ids("the Passage")
    encoded = encode(PLAIN, Request(prompt, ("age", " B")))
    assert encoded.context == ids("the")
    assert whole(encoded) == [ids("the Passage"), ids("the Pass B")]
    assert encoded.counts == (1, len(ids("the Pass B")) - len(ids("the")))


def test_a_token_that_swallows_the_whole_prompt_follows_the_start_token() -> None:
    prompt = " Pass"
    encoded = encode(PLAIN, Request(prompt, ("age", "ed")))
    assert encoded.context == (PLAIN.bos_token_id,)
    assert tails(encoded) == [ids(" Passage"), ids(" Passed")]


@given(
    st.sampled_from(SENTENCES).flatmap(
        lambda text: st.integers(1, len(text)).map(lambda end: text[:end])
    ),
    st.lists(
        st.sampled_from([*SENTENCES, " A", " B", "s", "age", "ï", "😀"]), min_size=1, max_size=4
    ),
)
def test_context_and_tails_are_the_encoding_of_the_whole(prompt: str, options: list[str]) -> None:
    encoded = encode(PLAIN, Request(prompt, tuple(options)))
    start = () if encoded.context != (PLAIN.bos_token_id,) else encoded.context
    assert whole(encoded) == [(*start, *ids(prompt + option)) for option in options]
    assert encoded.counts == tuple(map(len, tails(encoded)))
    assert min(encoded.counts) >= 1
    assert encoded.length == len(encoded.context) + max(encoded.counts) - 1
    # As much context as there can be: one more token, and it is not the prompt's, or not all's.
    if not start:
        size = len(encoded.context)
        ends = {one[: size + 1] for one in [ids(prompt), *whole(encoded)]}
        assert len(ends) > 1 or min(encoded.counts) == 1


def test_a_text_to_be_continued_is_all_context() -> None:
    assert encode(PLAIN, Request(PROMPT, max_tokens=5)) == EncodedRequest(ids(PROMPT), (), ())


@pytest.mark.parametrize("options", [(), (" A", " B")])
def test_an_empty_prompt_is_the_start_token(options: tuple[str, ...]) -> None:
    encoded = encode(PLAIN, Request("", options))
    assert encoded.context == (PLAIN.bos_token_id,)
    assert tails(encoded) == [ids(option) for option in options]


def test_an_empty_prompt_is_the_end_token_where_no_other_is() -> None:
    words = tokenizer()
    words.bos_token = None
    assert encode(words, Request("", (" A",))).context == (words.eos_token_id,)


def test_an_empty_prompt_without_a_token_to_start_from_is_refused() -> None:
    with pytest.raises(ModelError, match="empty"):
        encode(tokenizer(special=False), Request("", (" A",)))


@pytest.mark.parametrize("encoder_decoder", [False, True])
@pytest.mark.parametrize("prompt", ["", PROMPT])
def test_an_empty_option_is_refused(prompt: str, encoder_decoder: bool) -> None:
    with pytest.raises(ModelError, match="empty"):
        encode(PLAIN, Request(prompt, ("", " A")), encoder_decoder=encoder_decoder)


def test_an_option_that_adds_no_token_is_refused() -> None:
    words = Tokenizer(WordLevel({"?": 0, "A": 1, "B": 2}, unk_token="?"))
    words.pre_tokenizer = Whitespace()
    make: Any = PreTrainedTokenizerFast
    with pytest.raises(ModelError, match="empty"):
        encode(make(tokenizer_object=words), Request("A B", (" A", " ")))


def test_the_tokenizers_own_start_token_comes_once() -> None:
    words = tokenizer(bos=True)
    encoded = encode(words, Request(PROMPT, (" A", " Passage B")))
    assert encoded.context == (words.bos_token_id, *ids(PROMPT))
    assert tails(encoded) == [ids(" A"), ids(" Passage B")]
    assert encode(words, Request("", (" A",))).context == (words.bos_token_id,)


def test_chat_puts_the_prompt_into_the_template() -> None:
    # This tokenizer adds a start token to plain texts; the template has its own.
    words = tokenizer(template=TEMPLATE, bos=True)
    encoded = encode(words, Request("A or B?", (" A", "\nPassage B"), chat=True))
    text = "<s>user: A or B?</s>\n<s>assistant:\n"
    assert encoded.context == ids(text, words)
    assert encoded.context.count(words.bos_token_id) == 2
    assert tails(encoded) == [ids("A"), ids("Passage B")]
    plain = encode(words, Request("A or B?", (" A",)))
    assert plain.context == (words.bos_token_id, *ids("A or B?"))


def test_chat_without_a_template_continues_the_prompt() -> None:
    asked = Request(PROMPT, (" A", " B"))
    assert encode(PLAIN, asked._replace(chat=True)) == encode(PLAIN, asked)


def test_a_decoder_starts_anew() -> None:
    words = tokenizer(eos=True)
    encoded = encode(words, Request("the Pass", ("age", " Passage B")), encoder_decoder=True)
    assert encoded.context == (*ids("the Pass"), words.eos_token_id)
    assert tails(encoded) == [ids("age"), ids(" Passage B")]
    assert encoded.counts == (len(ids("age")), 2)


def test_options_of_the_same_tokens_are_refused() -> None:
    words = tokenizer()
    words.backend_tokenizer.normalizer = Lowercase()
    with pytest.raises(ModelError, match="' a' and ' A' are the same tokens to this model"):
        encode(words, Request(PROMPT, (" b", " a", " A")))
