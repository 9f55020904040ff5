"""Models that write what a test says: the next token depends on the last one alone."""

from collections.abc import Mapping

import torch
from transformers import LlamaConfig, LlamaForCausalLM

_LIKELY = 9.0


def follows(
    after: Mapping[int, int | Mapping[int, float]], vocabulary: int, positions: int = 2048
) -> LlamaForCausalLM:
    """A model that writes ``after[token]`` after a token, or any token where that has none.

    Several next tokens have logits of their own; those of all others are 0.
    """
    width = -(-vocabulary // 16) * 16
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=width,
            intermediate_size=8,
            num_hidden_layers=1,
            num_attention_heads=8,
            max_position_embeddings=positions,
            pad_token_id=0,
            eos_token_id=1,
            bos_token_id=2,
        )
    )
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
        # Each token is a direction of its own, which no layer changes and the norm scales.
        model.model.embed_tokens.weight.copy_(torch.eye(vocabulary, width))
        model.model.norm.weight.fill_(width**-0.5)
        for token, nexts in after.items():
            likely = {nexts: _LIKELY} if isinstance(nexts, int) else nexts
            for following, logit in likely.items():
                model.lm_head.weight[following, token] = logit
    model.eval()
    return model
