"""Tiny models of the families that rerankers belong to, and the texts that these were trained on.

The weights are random; the tokenizers are of the classes that Qwen and T5 models have.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerBase, Qwen2Tokenizer, T5Tokenizer

from tests.llm.local.architectures import build
from tests.llm.tiny import SENTENCES

__all__ = [
    "duot5",
    "monot5",
    "mxbai_rerank",
    "qwen3_reranker",
    "qwen_tokenizer",
    "save_reranker",
    "t5_tokenizer",
]

TASK = "Given a web search query, retrieve relevant passages that answer the query"

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


def save_reranker(folder: Path, name: str) -> Path:
    """Saves a model of the architecture "qwen3", "qwen2" or "t5", with its tokenizer."""
    model = build(name)
    if name == "t5":
        # Else its random logits are so far apart that every probability is 0 or 1.
        model.shared.weight.data *= 0.3
        tokenizer = t5_tokenizer([duot5("", "", "")])
    else:
        tokenizer = qwen_tokenizer([qwen3_reranker("", ""), mxbai_rerank("", "")] * 3)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def qwen3_reranker(query: str, passage: str, task: str = TASK) -> str:
    return (
        "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query "
        'and the Instruct provided. Note that the answer can only be "yes" or "no".<|im_end|>\n'
        f"<|im_start|>user\n<Instruct>: {task}\n<Query>: {query}\n<Document>: {passage}<|im_end|>\n"
        "<|im_start|>assistant\n<think>\n\n</think>\n\n"
    )


def mxbai_rerank(query: str, passage: str, task: str = "") -> str:
    instruction = f"instruction: {task}\n" if task else ""
    return (
        "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant."
        f"<|im_end|>\n<|im_start|>user\n{instruction}query: {query}\ndocument: {passage}\n"
        "You are a search relevance expert who evaluates how well documents match search queries. "
        "For each query-document pair, carefully analyze the semantic relationship between them, "
        "then provide your binary relevance judgment (0 for not relevant, 1 for relevant).\n"
        "Relevance:<|im_end|>\n<|im_start|>assistant\n"
    )


def monot5(query: str, passage: str) -> str:
    return f"Query: {query} Document: {passage} Relevant:"


def duot5(query: str, first: str, second: str) -> str:
    return f"Query: {query} Document0: {first} Document1: {second} Relevant:"
