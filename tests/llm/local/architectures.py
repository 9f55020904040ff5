"""Configurations of tiny models of many architectures, with random weights."""

from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoModelForSeq2SeqLM,
)

_SIZES: dict[str, Any] = {
    "vocab_size": 400,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 512,
    "initializer_range": 0.3,
    "pad_token_id": 0,
    "eos_token_id": 1,
    "bos_token_id": 2,
}
_OLD: dict[str, Any] = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 512}
_EXPERTS: dict[str, Any] = {
    "num_experts": 4,
    "num_local_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 24,
    "decoder_sparse_step": 1,
}
_LATENT: dict[str, Any] = {
    "num_key_value_heads": 4,
    "kv_lora_rank": 16,
    "q_lora_rank": 16,
    "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 8,
    "v_head_dim": 8,
    "n_routed_experts": 4,
    "n_shared_experts": 1,
    "first_k_dense_replace": 1,
    "n_group": 2,
    "topk_group": 1,
    **_EXPERTS,
}
_DECODER: dict[str, Any] = {
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 48,
    "init_std": 0.3,
    "decoder_start_token_id": 1,
}
_T5: dict[str, Any] = {
    "d_model": 32,
    "d_kv": 8,
    "d_ff": 48,
    "num_layers": 2,
    "num_decoder_layers": 2,
    "num_heads": 4,
    "initializer_factor": 2.0,
    "decoder_start_token_id": 0,
}
_MAMBA: dict[str, Any] = {"state_size": 8, "num_heads": 8, "n_groups": 1, "expand": 2}
_LONGROPE: dict[str, Any] = {
    "rope_type": "longrope",
    "rope_theta": 10000.0,
    "short_factor": [1.0, 1.1, 1.2, 1.3],
    "long_factor": [2.0, 3.0, 4.0, 5.0],
    "original_max_position_embeddings": 100,
}
_VISION: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 1,
    "depth": 1,
    "num_heads": 4,
    "num_attention_heads": 4,
    "embed_dim": 32,
    "out_hidden_size": 32,
    "image_size": 28,
    "patch_size": 14,
    "head_dim": 8,
}


def _sees(kind: str, rope: dict[str, Any], vision: str = "", **more: Any) -> dict[str, Any]:
    text = {**_SIZES, "model_type": kind, "rope_parameters": rope}
    return {
        "text_config": text,
        "vision_config": {**_VISION, **({"model_type": vision} if vision else {})},
        **more,
    }


_MROPE = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [1, 1, 2]}
_ROPE = {"rope_type": "default", "rope_theta": 10000.0}

# What differs from _SIZES, or for models with names of their own, from a part of it.
# fmt: off
TABLE: dict[str, dict[str, Any]] = {
    "gpt2": _OLD,
    "gpt_bigcode": _OLD,
    "codegen": {**_OLD, "rotary_dim": 4, "n_ctx": 512},
    "gptj": {**_OLD, "rotary_dim": 4},
    "ctrl": {**_OLD, "dff": 48},
    "openai-gpt": {**_OLD, "n_positions": 512},
    "gpt_neo": {"hidden_size": 32, "num_layers": 2, "num_heads": 4,
        "attention_types": [[["global", "local"], 1]], "window_size": 8},
    "gpt_neox": {},
    "opt": {"ffn_dim": 48, "word_embed_proj_dim": 32},
    "bloom": {"n_layer": 2, "n_head": 4},
    "mpt": {"d_model": 32, "n_layers": 2, "n_heads": 4, "expansion_ratio": 2, "max_seq_len": 512},
    "falcon": {"head_dim": None},
    "falcon-alibi": {"head_dim": None, "alibi": True, "new_decoder_architecture": False},
    "llama": {},
    "llama-yarn": {"rope_parameters": {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0,
        "original_max_position_embeddings": 128}},
    "mistral": {"sliding_window": 8},
    "ministral": {"sliding_window": 8},
    "mixtral": _EXPERTS,
    "qwen2": {},
    "qwen2_moe": {**_EXPERTS, "shared_expert_intermediate_size": 24},
    "qwen3": {},
    "qwen3_moe": _EXPERTS,
    "qwen3_next": {**_EXPERTS, "initializer_range": 0.2, "num_hidden_layers": 4,
        "linear_num_key_heads": 2,
        "linear_num_value_heads": 4, "linear_key_head_dim": 8, "linear_value_head_dim": 8,
        "shared_expert_intermediate_size": 24},
    "gemma": {},
    "gemma2": {"sliding_window": 8, "query_pre_attn_scalar": 8},
    "gemma3_text": {"sliding_window": 8, "query_pre_attn_scalar": 8},
    "phi": {},
    "phi3": {},
    "phi3-longrope": {"rope_parameters": _LONGROPE, "original_max_position_embeddings": 100},
    "phimoe": {**_EXPERTS, "rope_parameters": _ROPE},
    "stablelm": {},
    "starcoder2": {"sliding_window": 8},
    "cohere": {},
    "cohere2": {"sliding_window": 8},
    "olmo": {},
    "olmo2": {},
    "olmo3": {"sliding_window": 8},
    "olmoe": _EXPERTS,
    "granite": {},
    "granitemoe": _EXPERTS,
    "granitemoehybrid": {**_EXPERTS, "layer_types": ["mamba", "attention"], "mamba_n_heads": 8,
        "mamba_d_head": 8, "mamba_d_state": 8, "shared_intermediate_size": 24,
        "position_embedding_type": "rope"},
    "glm": {},
    "glm4": {},
    "glm4_moe": {**_EXPERTS, "n_routed_experts": 4, "first_k_dense_replace": 1},
    "persimmon": {},
    "mamba": _MAMBA,
    "mamba2": {**_MAMBA, "head_dim": 8},
    "falcon_mamba": _MAMBA,
    "rwkv": {"attention_hidden_size": 32, "context_length": 512},
    "recurrent_gemma": {"num_hidden_layers": 3, "attention_window_size": 8, "lru_width": 32,
        "conv1d_width": 4},
    "jamba": {**_EXPERTS, "num_hidden_layers": 4, "attn_layer_period": 2, "attn_layer_offset": 1,
        "use_mamba_kernels": False, "mamba_d_state": 8, "mamba_dt_rank": 4},
    "bamba": {"attn_layer_indices": [1], "mamba_n_heads": 8, "mamba_d_head": 8, "mamba_d_state": 8},
    "zamba2": {"num_hidden_layers": 3, "layers_block_type": ["mamba", "mamba", "hybrid"],
        "mamba_d_state": 8, "n_mamba_heads": 8, "mamba_headdim": 8, "num_mem_blocks": 1,
        "attention_head_dim": 16, "attention_hidden_size": 64, "use_mem_rope": True,
        "use_mamba_kernels": False, "mamba_ngroups": 1},
    "falcon_h1": {"mamba_d_ssm": 32, "mamba_n_heads": 4, "mamba_d_head": 8, "mamba_d_state": 8},
    "nemotron_h": {"layers_block_type": ["mamba", "attention"], "mamba_num_heads": 8,
        "mamba_head_dim": 8, "ssm_state_size": 8, "n_groups": 1},
    "lfm2": {"full_attn_idxs": [1]},
    "exaone4": {"sliding_window": 8},
    "smollm3": {"num_hidden_layers": 4},
    "gpt_oss": {**_EXPERTS, "sliding_window": 8, "rope_parameters": {"rope_type": "yarn",
        "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 128}},
    "deepseek_v2": _LATENT,
    "deepseek_v3": _LATENT,
    "minicpm3": {**_LATENT, "scale_emb": 1, "dim_model_base": 32},
    "minimax": {**_EXPERTS, "block_size": 16},
    "nemotron": {},
    "helium": {},
    "seed_oss": {},
    "ernie4_5": {},
    "hunyuan_v1_dense": {},
    "arcee": {},
    "apertus": {},
    "diffllama": {},
    "bitnet": {},
    "jetmoe": {**_EXPERTS, "num_key_value_heads": 2, "kv_channels": 8},
    "dbrx": {"d_model": 32, "n_layers": 2, "n_heads": 4, "max_seq_len": 512,
        "attn_config": {"kv_n_heads": 2, "rope_theta": 10000.0, "clip_qkv": 8.0},
        "rope_parameters": _ROPE, "ffn_config": {"ffn_hidden_size": 48, "moe_num_experts": 4,
        "moe_top_k": 2}},
    "xglm": {"d_model": 32, "num_layers": 2, "attention_heads": 4, "ffn_dim": 48, "init_std": 0.3},
    "biogpt": {},
    "llama4_text": {**_EXPERTS, "intermediate_size_mlp": 48, "attention_chunk_size": 8},
    "t5": _T5,
    "mt5": {**_T5, "initializer_factor": 1.0},
    "umt5": _T5,
    "longt5": _T5,
    "switch_transformers": {**_T5, "num_experts": 4, "expert_capacity": 8,
        "num_sparse_encoder_layers": 1, "num_sparse_decoder_layers": 1},
    "bart": _DECODER,
    "mbart": _DECODER,
    "pegasus": _DECODER,
    "blenderbot": _DECODER,
    "m2m_100": _DECODER,
    "led": {**_DECODER, "attention_window": 8, "max_encoder_position_embeddings": 512,
        "max_decoder_position_embeddings": 512},
    "t5gemma": {"encoder": {**_SIZES, "sliding_window": 8}, "decoder": {**_SIZES,
        "sliding_window": 8}},
    "gemma3": _sees("gemma3_text", _ROPE, mm_tokens_per_image=4, image_token_index=399,
        boi_token_index=398, eoi_token_index=397),
    "llava": _sees("llama", _ROPE, "clip_vision_model", image_token_index=399),
    "mistral3": _sees("mistral", _ROPE, "pixtral", image_token_index=10),
    "qwen2_vl": _sees("qwen2_vl_text", _MROPE, image_token_id=399, video_token_id=398,
        vision_start_token_id=397, vision_end_token_id=396),
    "qwen2_5_vl": _sees("qwen2_5_vl_text", _MROPE, image_token_id=399, video_token_id=398,
        vision_start_token_id=397, vision_end_token_id=396),
    "qwen3_vl": _sees("qwen3_vl_text", {**_MROPE, "mrope_interleaved": True}, image_token_id=399,
        video_token_id=398, vision_start_token_id=397, vision_end_token_id=396),
    "idefics3": _sees("llama", _ROPE, image_token_id=399),
}
# fmt: on

_SHARED = ("vocab_size", "initializer_range", "pad_token_id", "eos_token_id", "bos_token_id")


def build(name: str) -> Any:
    """A tiny model of this architecture, with random weights."""
    torch.manual_seed(len(name))
    own = TABLE[name]
    common = _SIZES
    if "text_config" in own or "encoder" in own:
        common = {}
    elif {"n_layer", "n_layers", "num_layers", "encoder_layers"} & set(own):
        common = {key: _SIZES[key] for key in _SHARED}
    settings = {key: value for key, value in {**common, **own}.items() if value is not None}
    config = AutoConfig.for_model(name if name == "openai-gpt" else name.split("-")[0], **settings)
    auto: Any = AutoModelForCausalLM
    if config.is_encoder_decoder:
        auto = AutoModelForSeq2SeqLM
    elif "text_config" in own:
        auto = AutoModelForImageTextToText
    return auto.from_config(config).eval()
