"""Tiny classifiers with random weights, of the architectures that rerankers have."""

import json
import struct
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers.processors import TemplateProcessing
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForSequenceClassification,
    PreTrainedTokenizerFast,
)

from tests.cascade.test_onnx_embeddings import field, node, varint
from tests.llm import tiny

_SIZES: dict[str, Any] = {
    "vocab_size": 400,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 128,
    "initializer_range": 0.3,
    "pad_token_id": 0,
    "eos_token_id": 1,
    "bos_token_id": 2,
}
_CAUSAL: dict[str, Any] = {"num_key_value_heads": 2, "head_dim": 8, "initializer_range": 0.3}
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "bert": {},
    "electra": {"embedding_size": 32},
    "xlm-roberta": {"type_vocab_size": 1},
    "modernbert": {"local_attention": 16, "cls_token_id": 2, "sep_token_id": 1},
    "deberta-v2": {
        "relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 16,
        "type_vocab_size": 0, "pooler_hidden_size": 32,
    },
    "distilbert": {"dim": 32, "hidden_dim": 48, "n_layers": 2, "n_heads": 4},
    "qwen3": _CAUSAL,
    "llama": {**_CAUSAL, "pad_token_id": None},
}  # fmt: skip


def tokenizer() -> PreTrainedTokenizerFast:
    """The tiny tokenizer, which puts pairs together as XLM-R does: <s> A </s></s> B </s>."""
    words: Any = tiny.tokenizer().backend_tokenizer
    words.post_processor = TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B:1 </s>:1",
        special_tokens=[("<s>", 2), ("</s>", 1)],
    )
    make: Any = PreTrainedTokenizerFast
    found: PreTrainedTokenizerFast = make(
        tokenizer_object=words, pad_token="<pad>", eos_token="</s>", bos_token="<s>",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )  # fmt: skip
    return found


def classifier(name: str, labels: int = 1, **changes: Any) -> Any:
    torch.manual_seed(len(name) + labels)
    settings = {**_SIZES, **ARCHITECTURES[name], "num_labels": labels, **changes}
    model: Any = AutoModelForSequenceClassification.from_config(
        AutoConfig.for_model(name, **settings)
    ).eval()
    for parameter in model.parameters():  # heads are made of zeros or tiny numbers by some
        if parameter.ndim == 2 and parameter.abs().max() < 0.2:
            torch.nn.init.normal_(parameter, std=0.3)
    return model


def save_classifier(folder: Path, name: str = "bert", labels: int = 1, **changes: Any) -> Path:
    return tiny.save(folder, classifier(name, labels, **changes), tokenizer())


def save_modular(folder: Path) -> Any:
    """Saves a cross-encoder of four modules as sentence-transformers 6 does; returns its parts."""
    torch.manual_seed(5)
    settings = {**_SIZES, **ARCHITECTURES["modernbert"]}
    encoder = AutoModel.from_config(AutoConfig.for_model("modernbert", **settings)).eval()
    tiny.save(folder, encoder, tokenizer())
    dense, last, norm = torch.nn.Linear(32, 16), torch.nn.Linear(16, 1), torch.nn.LayerNorm(16)
    torch.nn.init.normal_(norm.weight)
    start = "sentence_transformers"
    modules = [
        ("", f"{start}.base.modules.transformer.Transformer", {}, None),
        ("1_Pooling", f"{start}.sentence_transformer.modules.pooling.Pooling",
         {"embedding_dimension": 32, "pooling_mode": "mean", "include_prompt": True}, None),
        ("2_Dense", f"{start}.base.modules.dense.Dense",
         {"in_features": 32, "out_features": 16, "bias": True, "activation_function":
          "torch.nn.modules.activation.GELU", "module_input_name": "sentence_embedding",
          "module_output_name": None}, ("linear", dense)),
        ("3_LayerNorm", f"{start}.sentence_transformer.modules.layer_norm.LayerNorm",
         {"dimension": 16}, ("norm", norm)),
        ("4_Dense", f"{start}.base.modules.dense.Dense",
         {"in_features": 16, "out_features": 1, "bias": True, "activation_function":
          "torch.nn.modules.linear.Identity", "module_input_name": "sentence_embedding",
          "module_output_name": "scores"}, ("linear", last)),
    ]  # fmt: skip
    listed = []
    for number, (path, kind, given, layer) in enumerate(modules):
        listed.append({"idx": number, "name": str(number), "path": path, "type": kind})
        if path:
            (folder / path).mkdir()
            write(folder / path / "config.json", given)
        if layer:
            weights = {f"{layer[0]}.{key}": one for key, one in layer[1].state_dict().items()}
            save_file(weights, folder / path / "model.safetensors")
    write(folder / "modules.json", listed)
    write(
        folder / "config_sentence_transformers.json",
        {"model_type": "CrossEncoder", "prompts": {}, "default_prompt_name": None,
         "activation_fn": "torch.nn.modules.linear.Identity"},
    )  # fmt: skip
    write(folder / "sentence_bert_config.json", {"transformer_task": "feature-extraction"})
    return encoder, torch.nn.Sequential(dense, torch.nn.GELU(), norm, last).eval()


def write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content))


def change(path: Path, **changes: Any) -> None:
    """Changes settings in a JSON file; None removes one."""
    settings = json.loads(path.read_text()) if path.exists() else {}
    write(path, {key: one for key, one in (settings | changes).items() if one is not None})


def save_onnx(
    folder: Path,
    labels: int = 1,
    *,
    name: str = "model.onnx",
    seed: int = 0,
    segments: bool = False,
) -> Path:
    """Saves an ONNX classifier, whose logits are the means of its tokens' rows in a table.

    With ``segments`` it has that input, too, whose rows in the table are added.
    """
    table = torch.randn(400, labels, generator=torch.Generator().manual_seed(seed))
    numbers = table.flatten().tolist()
    weights = b"".join(field(1, size) for size in (400, labels)) + field(2, 1)
    weights += field(8, "table") + field(9, struct.pack(f"<{len(numbers)}f", *numbers))
    mean = b"".join([
        field(1, "both" if segments else "rows"), field(2, "logits"), field(4, "ReduceMean"),
        field(5, field(1, "axes") + field(8, 1) + field(20, 7)),
        field(5, field(1, "keepdims") + varint(3 << 3) + varint(0) + field(20, 2)),
    ])  # fmt: skip
    more, given = b"", b""
    if segments:
        more = node("Gather", ["table", "token_type_ids"], "kinds")
        more += node("Add", ["rows", "kinds"], "both")
        given = field(11, _value("token_type_ids", 7))
    graph = b"".join([
        node("Gather", ["table", "input_ids"], "rows"), more, field(1, mean), field(2, "g"),
        field(5, weights), given,
        field(11, _value("input_ids", 7)), field(11, _value("attention_mask", 7)),
        field(12, _value("logits", 1)),
    ])  # fmt: skip
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(field(1, 8) + field(7, graph) + field(8, field(2, 13)))
    tokenizer().save_pretrained(folder)
    return folder


def _value(name: str, kind: int) -> bytes:
    sizes = b"".join(field(1, field(2, size)) for size in ("texts", "more"))
    return field(1, name) + field(2, field(1, field(1, kind) + field(2, sizes)))
