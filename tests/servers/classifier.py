"""A small cross-encoder with random weights, whose tokenizer keeps query and passage apart."""

import json
from pathlib import Path
from typing import Any

from tokenizers import processors
from transformers import PreTrainedTokenizerFast

from rankprompt.pipeline.config import RerankConfig
from tests.cascade.toy_models import cross_encoder
from tests.configs import configure
from tests.llm import tiny

__all__ = ["LENGTH", "TEXTS", "save_classifier", "small_config"]

QUERIES = {"q1": "where are the boats", "q2": "is the mill old", "q3": "哪个段落"}
TEXTS = [*tiny.SENTENCES, *(f"{text} Boats. {text}" * 3 for text in tiny.SENTENCES)]
"""Some of them are longer than the model reads."""

LENGTH = 128
"""The most tokens that it reads."""


def save_classifier(folder: Path) -> Path:
    """Saves the model; vLLM can serve it, too."""
    backend: Any = tiny.tokenizer().backend_tokenizer
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> $B:1 </s>:1",
        special_tokens=[("<s>", 2), ("</s>", 1)],
    )
    make: Any = PreTrainedTokenizerFast
    words = make(
        tokenizer_object=backend,
        pad_token="<pad>",
        eos_token="</s>",
        bos_token="<s>",
        model_max_length=LENGTH,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )
    # vLLM's attention on the CPU wants heads of 32.
    model = cross_encoder(
        hidden_size=64, intermediate_size=96, num_hidden_layers=2, max_position_embeddings=LENGTH
    )
    return tiny.save(folder, model, words)


def small_config(folder: Path, model: Path) -> RerankConfig:
    """Writes queries, documents and a run into a folder; the model reranks them."""
    lines = [json.dumps({"id": f"d{n}", "text": text}) for n, text in enumerate(TEXTS)]
    (folder / "docs.jsonl").write_text("\n".join(lines))
    (folder / "queries.tsv").write_text("".join(f"{q}\t{text}\n" for q, text in QUERIES.items()))
    run = (f"{q} Q0 d{n} {n + 1} {99 - n} first\n" for q in QUERIES for n in range(len(TEXTS)))
    (folder / "run.trec").write_text("".join(run))
    return configure(
        run=folder / "run.trec",
        queries=folder / "queries.tsv",
        docs=folder / "docs.jsonl",
        model=str(model),
    )
