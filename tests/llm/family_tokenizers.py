"""Small tokenizers of the classes that Qwen and T5 models have, made of a few texts."""

import json
import re
from collections.abc import Sequence
from typing import Any

from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerBase, Qwen2Tokenizer, T5Tokenizer

from tests.llm.tiny import SENTENCES

__all__ = ["qwen_tokenizer", "t5_tokenizer"]

# Enough of the words that rerankers answer with, for each to become a token.
_ANSWERS = ["yes", "no", "true", "false"] * 50


def qwen_tokenizer(texts: Sequence[str] = ()) -> PreTrainedTokenizerBase:
    """A byte-level BPE of at most 400 tokens, with Qwen's pattern of words and its added tokens.

    As in Qwen3, the marks of turns are special tokens, and those of reasoning are not.
    """
    words = Tokenizer(models.BPE())
    make: Any = Qwen2Tokenizer
    words.pre_tokenizer = make().backend_tokenizer.pre_tokenizer
    trainer = trainers.BpeTrainer(
        vocab_size=390,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    words.train_from_iterator([*_ANSWERS, *SENTENCES, *texts], trainer)
    model = json.loads(words.to_str())["model"]
    merges = [tuple(merge) for merge in model["merges"]]
    tokenizer: PreTrainedTokenizerBase = make(vocab=model["vocab"], merges=merges)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    tokenizer.add_tokens(["<think>", "</think>"])
    assert len(tokenizer) <= 400
    return tokenizer


def t5_tokenizer(texts: Sequence[str] = ()) -> PreTrainedTokenizerBase:
    """A unigram model of at most 400 tokens, which ends each text with </s> as T5's does."""
    known = [*_ANSWERS, *SENTENCES, *texts]
    words = dict.fromkeys(word for text in known for word in re.findall(r"[A-Za-z0-9]+", text))
    letters = dict.fromkeys("▁" + "".join(known).replace(" ", ""))
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    pieces += [(f"▁{word}", -5.0) for word in words] + [(letter, -8.0) for letter in letters]
    make: Any = T5Tokenizer
    tokenizer: PreTrainedTokenizerBase = make(vocab=pieces)
    assert len(tokenizer) <= 400
    return tokenizer
