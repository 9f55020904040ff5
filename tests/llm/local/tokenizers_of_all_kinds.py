"""Small tokenizers of the kinds that models have, trained on a few sentences of our own."""

from collections.abc import Callable
from typing import Any

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import PreTrainedTokenizerFast

from tests.llm.tiny import SENTENCES, SPECIAL

# As published: GPT-4's split of a text, which Llama 3 and Qwen have with small changes.
_SPLIT = Regex(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
# What a word is depends on all that stands before it, or on all that follows.
_BEHIND = Regex(r"(?<=Passage) \w+| ?\w+|\s+|[^\w\s]+")
_AHEAD = Regex(r"[^?]+\?|\w+|\s+|[^\w\s]+")


def _byte_level(pre_tokenizer: Any = None, *, normalizer: Any = None, size: int = 400) -> Tokenizer:
    words = Tokenizer(models.BPE())
    words.pre_tokenizer = pre_tokenizer or pre_tokenizers.ByteLevel(add_prefix_space=False)
    if normalizer:
        words.normalizer = normalizer
    words.decoder = decoders.ByteLevel()
    words.train_from_iterator(
        SENTENCES,
        trainers.BpeTrainer(
            vocab_size=size,
            special_tokens=SPECIAL,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    return words


def _split(pattern: Regex, behavior: str = "isolated") -> Any:
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(pattern, behavior),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


def _bound(words: Tokenizer, *, start: bool = True, end: bool = True) -> Tokenizer:
    single = [*(["<s>"] if start else []), "$A", *(["</s>"] if end else [])]
    words.post_processor = processors.TemplateProcessing(
        single=" ".join(single), special_tokens=[("<s>", 2), ("</s>", 1)]
    )
    return words


def _trimming(words: Tokenizer) -> Tokenizer:
    words.post_processor = processors.ByteLevel(trim_offsets=True)
    return words


def _added(words: Tokenizer) -> Tokenizer:
    words.add_tokens(
        [
            AddedToken(" Passage A or", normalized=False),
            AddedToken("more relevant", single_word=True),
            AddedToken("<mask>", lstrip=True, rstrip=True, special=True),
            AddedToken("   "),
        ]
    )
    return words


def _sentence_piece(*, split: bool) -> Tokenizer:
    """As Llama 2: spaces are letters, so that tokens may reach over them; or words as in T5."""
    words = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True))
    if split:
        words.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=True)
    else:
        words.normalizer = normalizers.Sequence(
            [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
        )
    trainer = trainers.BpeTrainer(
        vocab_size=600, special_tokens=[*SPECIAL, "<unk>"], show_progress=False
    )
    words.train_from_iterator(SENTENCES, trainer)
    return words


def _unigram() -> Tokenizer:
    words = Tokenizer(models.Unigram())
    words.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]
    )
    words.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=300, special_tokens=[*SPECIAL, "<unk>"], unk_token="<unk>", show_progress=False
    )
    words.train_from_iterator(SENTENCES * 9, trainer)
    return words


def _word_piece() -> Tokenizer:
    words = Tokenizer(models.WordPiece(unk_token="<unk>"))
    words.normalizer = normalizers.BertNormalizer(lowercase=True)
    words.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=400, special_tokens=[*SPECIAL, "<unk>"], show_progress=False
    )
    words.train_from_iterator(SENTENCES, trainer)
    return words


KINDS: dict[str, Callable[[], Tokenizer]] = {
    "byte level": _byte_level,
    "space put first": lambda: _byte_level(pre_tokenizers.ByteLevel(add_prefix_space=True)),
    "offsets without spaces": lambda: _trimming(_byte_level()),
    "GPT-4's split": lambda: _byte_level(_split(_SPLIT), size=500),
    "NFC, lower case": lambda: _byte_level(
        normalizer=normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    ),
    "stripped": lambda: _byte_level(normalizer=normalizers.Strip()),
    "start and end": lambda: _bound(_byte_level()),
    "end": lambda: _bound(_byte_level(_split(_SPLIT)), start=False),
    "added tokens": lambda: _added(_byte_level()),
    "spaces with the word before": lambda: _byte_level(_split(Regex(" "), "merged_with_previous")),
    "one word": lambda: _byte_level(pre_tokenizers.ByteLevel(False, use_regex=False), size=600),
    "looks behind": lambda: _byte_level(_split(_BEHIND)),
    "looks ahead": lambda: _byte_level(_split(_AHEAD), size=600),
    "digits": lambda: _byte_level(
        pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(False)]
        )
    ),
    "Llama 2": lambda: _bound(_sentence_piece(split=False), end=False),
    "sentence pieces in words": lambda: _sentence_piece(split=True),
    "unigram": _unigram,
    "word pieces": _word_piece,
}


def make(kind: str, template: str | None = None) -> PreTrainedTokenizerFast:
    """A tokenizer of a kind, with a chat template or none."""
    fast: Any = PreTrainedTokenizerFast
    found: PreTrainedTokenizerFast = fast(
        tokenizer_object=KINDS[kind](),
        pad_token="<pad>",
        eos_token="</s>",
        bos_token="<s>",
        chat_template=template,
    )
    return found
