"""Tiny models with random weights, and a tokenizer trained on a few sentences of our own."""

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    BertConfig,
    BertForMaskedLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)

SENTENCES = [
    "The harbour is quiet in the morning, and the boats are still asleep.",
    "Which passage is more relevant? Passage A or Passage B?",
    "The passage about the harbour is more relevant than the passage about the mill.",
    "Answer: A. Answer: B. The answer is Passage A, the answer is Passage B.",
    "An old mill stands above the river; its wheel has not turned for years.",
    "哪个段落更相关？段落甲，还是段落乙？",
]
TEMPLATE = (
    "{% for message in messages %}<s>{{ message.role }}: {{ message.content }}</s>\n"
    "{% endfor %}{% if add_generation_prompt %}<s>assistant:\n{% endif %}"
)
SPECIAL = ["<pad>", "</s>", "<s>"]


def tokenizer(
    *, template: str | None = None, bos: bool = False, eos: bool = False, special: bool = True
) -> PreTrainedTokenizerFast:
    """A byte-level BPE; ``bos`` and ``eos`` are added to each text, ``special`` names them."""
    words = Tokenizer(models.BPE())
    words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    words.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    words.train_from_iterator(SENTENCES, trainer)
    if bos or eos:
        single = [*(["<s>"] if bos else []), "$A", *(["</s>"] if eos else [])]
        words.post_processor = processors.TemplateProcessing(
            single=" ".join(single), special_tokens=[("<s>", 2), ("</s>", 1)]
        )
    names = {"pad_token": "<pad>", "eos_token": "</s>", "bos_token": "<s>"} if special else {}
    make: Any = PreTrainedTokenizerFast
    found: PreTrainedTokenizerFast = make(tokenizer_object=words, chat_template=template, **names)
    return found


def llama(seed: int = 0, **settings: Any) -> LlamaForCausalLM:
    torch.manual_seed(seed)
    return LlamaForCausalLM(
        LlamaConfig(
            **{
                "vocab_size": 400,
                "hidden_size": 32,
                "intermediate_size": 48,
                "num_hidden_layers": 2,
                "num_attention_heads": 4,
                "num_key_value_heads": 2,
                "max_position_embeddings": 128,
                "initializer_range": 0.5,
                "pad_token_id": 0,
                "eos_token_id": 1,
                "bos_token_id": 2,
                **settings,
            }
        )
    )


def gpt2(seed: int = 0, n_positions: int = 128) -> GPT2LMHeadModel:
    torch.manual_seed(seed)
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=400,
            n_embd=32,
            n_layer=2,
            n_head=2,
            n_positions=n_positions,
            initializer_range=0.5,
            pad_token_id=0,
            eos_token_id=1,
            bos_token_id=2,
        )
    )


def t5(seed: int = 0) -> T5ForConditionalGeneration:
    torch.manual_seed(seed)
    make: Any = T5Config
    return T5ForConditionalGeneration(
        make(
            vocab_size=400,
            d_model=32,
            d_kv=8,
            d_ff=48,
            num_layers=2,
            num_heads=4,
            initializer_factor=2.0,
            decoder_start_token_id=0,
            pad_token_id=0,
            eos_token_id=1,
        )
    )


def bert(seed: int = 0) -> BertForMaskedLM:
    torch.manual_seed(seed)
    return BertForMaskedLM(
        BertConfig(
            vocab_size=400,
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=48,
            initializer_range=0.5,
        )
    )


def save(folder: Path, model: Any, words: PreTrainedTokenizerFast | None = None) -> Path:
    """Saves a model and its tokenizer as transformers does."""
    model.save_pretrained(folder)
    (words or tokenizer()).save_pretrained(folder)
    return folder
