"""The part of ``benchmarks.gpu`` that runs where vLLM is installed, which may be another Python.

Reads JSON from standard input, and writes JSON as its last line. It needs nothing but vLLM.
"""

import json
import sys
import time


def main() -> None:
    import vllm

    asked = json.load(sys.stdin)
    engine = vllm.LLM(
        model=asked["folder"],
        load_format="dummy",
        skip_tokenizer_init=True,
        dtype=asked["dtype"],
        max_model_len=asked["longest"] + 8,
        gpu_memory_utilization=0.85,
        enable_prefix_caching=True,
        enforce_eager=asked["eager"],
        disable_log_stats=False,
    )
    settings = vllm.SamplingParams(
        max_tokens=1, temperature=0.0, logprobs=len(asked["options"]),
        allowed_token_ids=asked["options"], detokenize=False,
    )  # fmt: skip
    found = {}
    for name, prompts in asked["prompts"].items():
        engine.generate([{"prompt_token_ids": prompts[0]}], settings, use_tqdm=False)
        engine.reset_prefix_cache()
        started = time.perf_counter()
        replies = engine.generate(
            [{"prompt_token_ids": prompt} for prompt in prompts], settings, use_tqdm=False
        )
        found[name] = {
            "seconds": time.perf_counter() - started,
            "cached": sum(reply.num_cached_tokens or 0 for reply in replies),
        }
    print(json.dumps({"version": vllm.__version__, "found": found}))


if __name__ == "__main__":
    main()
