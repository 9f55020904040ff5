"""The local engine and vLLM on a card, with random weights: the table in docs/results/gpu.md.

Random weights at the size of a real model cost what trained ones do, and need no download. A token
is a word of a made-up vocabulary, so that prompts have the lengths that are asked for. It takes at
most the minutes that are given; on a CPU, ``--size tiny`` shows that the script runs.
"""

import argparse
import importlib.util
import json
import os
import platform
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast, Qwen3Config

from benchmarks.tables import replace_part, table
from rankprompt.llm.base import Request
from rankprompt.llm.local.loading import resolve_device
from rankprompt.llm.local.model import LocalModel

PAGE = Path("docs/results/gpu.md")
WRITER = "benchmarks/gpu.py"
# Qwen3's: hidden size, layers, heads, size of the inner layer, head shared with the embeddings.
SIZES = {
    "tiny": (64, 2, 4, 128, True),
    "0.6b": (1024, 28, 16, 3072, True),
    "4b": (2560, 36, 32, 9728, True),
    "8b": (4096, 36, 32, 12288, False),
}
DEPTH = 20
# Tokens of a prompt: instruction and query, each of two passages, and the question after them.
SHARED, PASSAGE, QUESTION = 40, 80, 12


class Measured(NamedTuple):
    """A line of the table."""

    engine: str
    workload: str
    prompts: int
    seconds: float
    tokens: int
    reused: int
    planned: float = 0.0


def configure(size: str) -> Qwen3Config:
    hidden, layers, heads, inner, tied = SIZES[size]
    make: Any = Qwen3Config
    found: Qwen3Config = make(
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=max(1, min(8, heads // 2)),
        head_dim=64 if size == "tiny" else 128,
        intermediate_size=inner,
        vocab_size=4096 if size == "tiny" else 151936,
        max_position_embeddings=4096,
        tie_word_embeddings=tied,
        architectures=["Qwen3ForCausalLM"],
        bos_token_id=1, eos_token_id=2, pad_token_id=0,
    )  # fmt: skip
    return found


def words_of(vocabulary: int) -> PreTrainedTokenizerFast:
    """A tokenizer whose tokens are words: w0, w1 and so on; A and B are the last two."""
    names = {f"w{number}": number for number in range(3, vocabulary - 2)}
    names |= {"<pad>": 0, "<s>": 1, "</s>": 2, "A": vocabulary - 2, "B": vocabulary - 1}
    words = Tokenizer(WordLevel(names, unk_token="w3"))
    words.pre_tokenizer = WhitespaceSplit()
    make: Any = PreTrainedTokenizerFast
    found: PreTrainedTokenizerFast = make(
        tokenizer_object=words, pad_token="<pad>", bos_token="<s>", eos_token="</s>"
    )
    return found


def prompts(workload: str, count: int) -> list[Request]:
    """All pairs of 20 passages of each query, in both orders, or a round of a sort by heaps."""
    draw = random.Random(0)

    def text(tokens: int) -> str:
        return " ".join(f"w{draw.randrange(10, 4000)}" for _ in range(tokens))

    def of_query() -> Iterator[Request]:
        shared = text(SHARED)
        passages = [text(PASSAGE + draw.randint(-20, 20)) for _ in range(DEPTH)]
        pairs = [(one, other) for one in passages for other in passages if one is not other]
        if workload == "a round of heapsort":  # the last parent with its two children, both orders
            one, two, three = passages[:3]
            pairs = [(one, two), (two, one), (one, three), (three, one)]
        question = " " + text(QUESTION)
        for one, other in pairs:
            breaks = (len(shared) + 1, len(shared) + len(one) + 2)
            yield Request(f"{shared} {one} {other}{question}", (" A", " B"), breaks=breaks)

    found: list[Request] = []
    while len(found) < count:
        found += of_query()
    return found[:count]


def settled(device: torch.device) -> float:
    """The time, once the device has done what it was given."""
    if device.type != "cpu":
        torch.accelerator.synchronize()
    return time.perf_counter()


def timed(run: Callable[[], object], device: torch.device, times: int = 5) -> float:
    """The median seconds of a run, after one that warms up."""
    run()
    found = []
    for _ in range(times):
        started = settled(device)
        run()
        found.append(settled(device) - started)
    return sorted(found)[times // 2]


def product_rate(size: int, dtype: torch.dtype, device: torch.device) -> float:
    """Floating-point operations a second of a square product."""
    one, other = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    return 2 * size**3 / timed(lambda: one @ other, device)


def pass_costs(network: Any, tokens: int, device: torch.device) -> tuple[float, float]:
    """The seconds of a pass over one token, and the tokens a second of one over many."""

    def run(rows: int, length: int) -> Callable[[], object]:
        ids = torch.ones((rows, length), dtype=torch.long, device=device)

        def forward() -> object:
            with torch.inference_mode():
                return network(input_ids=ids, logits_to_keep=1, use_cache=False)

        return forward

    rows = max(1, tokens // 256)
    return timed(run(1, 1), device), rows * 256 / timed(run(rows, 256), device, times=3)


def operations(config: Qwen3Config, tokens: int, rows: int, length: int) -> float:
    """The operations of products and attention for tokens run, and of the head for rows read."""
    heads = config.num_attention_heads + 2 * (config.num_key_value_heads or 0)
    dim = config.head_dim or 0
    size = dim * config.num_attention_heads
    layer = config.hidden_size * (dim * heads + size + 3 * config.intermediate_size)
    attention = 2 * size * length  # each token sees half of a row, twice: scores and sums
    head = config.hidden_size * config.vocab_size
    return 2.0 * (tokens * config.num_hidden_layers * (layer + attention / 2) + rows * head)


def run_local(
    name: str, workload: str, model: LocalModel, requests: Sequence[Request], device: torch.device
) -> Measured:
    started = settled(device)
    batches = model.plan(requests)
    planned = settled(device) - started
    tokens = reused = 0
    for batch in batches:
        _, usage = model.answer([requests[index] for index in batch])
        tokens, reused = tokens + usage.tokens, reused + usage.reused
    seconds = settled(device) - started
    return Measured(name, workload, len(requests), seconds, tokens, reused, planned)


def run_vllm(
    python: str, config: Qwen3Config, asked: dict[str, list[Request]], dtype: str, left: float
) -> tuple[str, list[Measured]]:
    """vLLM's lines, by another process; why there are none, where there are none."""
    words = words_of(config.vocab_size)
    ids = {
        name: words([one.prompt for one in requests]).input_ids for name, requests in asked.items()
    }
    with tempfile.TemporaryDirectory() as folder:
        config.save_pretrained(folder)
        words.save_pretrained(folder)
        content = {
            "folder": folder, "dtype": dtype, "prompts": ids, "eager": dtype == "float32",
            "options": [config.vocab_size - 2, config.vocab_size - 1],
            "longest": max(len(prompt) for prompts in ids.values() for prompt in prompts),
        }  # fmt: skip
        script = Path(__file__).with_name("gpu_vllm.py")
        # A session of its own, since vLLM starts processes that outlive their parent.
        child = subprocess.Popen(
            [python, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        try:
            output, errors = child.communicate(json.dumps(content), timeout=max(1.0, left))
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            return "vLLM took longer than the time that was left.", []
    replies = [line for line in output.splitlines() if line.startswith("{")]
    if child.returncode or not replies:
        # The engine's own process tells it before the one that waits for it.
        problems = [line for line in (output + errors).splitlines() if "Error" in line]
        return f"vLLM failed: {problems[-1] if problems else child.returncode}", []
    reply = json.loads(replies[-1])
    found = []
    for name, one in reply["found"].items():
        tokens = sum(map(len, ids[name])) - one["cached"]
        found.append(
            Measured(f"vLLM {reply['version']}", name, len(ids[name]), one["seconds"], tokens,
                     one["cached"])
        )  # fmt: skip
    return "", found


def lines(config: Qwen3Config, found: Sequence[Measured], rate: float) -> list[list[str]]:
    length = SHARED + 2 * PASSAGE + QUESTION
    rows = []
    for one in found:
        share = operations(config, one.tokens, one.prompts, length) / one.seconds / rate
        rows.append(
            [
                one.engine, one.workload, f"{one.prompts:,}", f"{one.prompts / one.seconds:,.1f}",
                f"{one.tokens:,}", f"{one.reused:,}", f"{100 * share:.1f}%",
                f"{one.planned:.2f}", f"{one.seconds:.2f}",
            ]
        )  # fmt: skip
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--size", choices=SIZES, help="default: 4b on a card, tiny on a CPU")
    parser.add_argument("--minutes", type=float, default=10.0, help="the most it may take")
    parser.add_argument("--vllm", help="a Python that has vLLM; default: this one, if it has it")
    arguments = parser.parse_args()
    until = time.perf_counter() + 60 * arguments.minutes
    device = resolve_device(arguments.device)
    on_cpu = device.type == "cpu"
    size = arguments.size or ("tiny" if on_cpu else "4b")
    dtype = torch.float32 if on_cpu else torch.bfloat16
    config = configure(size)
    rate = product_rate(512 if size == "tiny" else 8192, dtype, device)
    with device:
        network: Any = AutoModelForCausalLM.from_config(config, dtype=dtype).eval()
    words = words_of(config.vocab_size)
    start, pace = pass_costs(network, 1024 if size == "tiny" else 16384, device)
    print(f"a pass of one token {1000 * start:.1f} ms, {pace:,.0f} tokens a second: starting one "
          f"costs {start * pace:,.0f} tokens", file=sys.stderr)  # fmt: skip
    # Each line may take the twelfth part of the time, and has no more than 20 queries' pairs.
    length = SHARED + 2 * PASSAGE + QUESTION
    most = 160 if size == "tiny" else 380 * 20
    count = int(max(40, min(most, 5 * arguments.minutes * pace / length)))
    asked = {name: prompts(name, count) for name in ("all pairs", "a round of heapsort")}
    measured: list[Measured] = []
    tokens = (1024, 4096) if size == "tiny" else (8192, 32768, 65536)
    ways: list[tuple[str, dict[str, Any]]] = [
        *(
            (f"local, batches of {one:,}", {"batch_tokens": one, "prefix_bytes": 0})
            for one in tokens
        ),
        (f"local, prefixes by level, batches of {tokens[-1]:,}",
         {"batch_tokens": tokens[-1], "launch_tokens": 0}),
        (f"local, prefixes where starting costs {start * pace:,.0f}",
         {"batch_tokens": tokens[-1], "launch_tokens": int(start * pace)}),
    ]  # fmt: skip
    problem = ""
    for name, how in ways:
        model = LocalModel(network, words, name=f"random {size}", **how)
        run_local(name, "", model, asked["all pairs"][:40], device)  # warms up
        for workload, requests in asked.items():
            if time.perf_counter() > until - 60 * arguments.minutes / 3:
                problem = "Lines were left out for lack of time. "
                continue
            measured.append(run_local(name, workload, model, requests, device))
            print(" ".join(lines(config, measured[-1:], rate)[0]), file=sys.stderr, flush=True)
    python = arguments.vllm or (sys.executable if importlib.util.find_spec("vllm") else "")
    if python:
        del network, model
        if not on_cpu:
            torch.accelerator.empty_cache()
        left = until - time.perf_counter()
        why, more = run_vllm(python, config, asked, str(dtype).removeprefix("torch."), left)
        problem, measured = problem + why, [*measured, *more]
    else:
        problem += "vLLM is not installed here."
    shown = str(dtype).removeprefix("torch.")
    card = torch.cuda.get_device_name() if device.type == "cuda" else platform.machine()
    columns = [
        "engine", "prompts of", "prompts", "prompts a second", "tokens run", "tokens reused",
        "share of the product's rate", "planning, s", "seconds",
    ]  # fmt: skip
    text = f"""\
{table(columns, lines(config, measured, rate))}

Random weights of the size {size}, {shown}, on {device} ({card}). A square product runs at
{rate / 1e12:.2f} TFLOP/s in the same run; the share counts the operations of the tokens that were
run. A pass over one token takes {1000 * start:.1f} ms, and one over many runs {pace:,.0f} tokens a
second: starting a pass costs {start * pace:,.0f} tokens. {problem}

Made by `python -m benchmarks.gpu --size {size}` on {datetime.now(UTC):%Y-%m-%d}:
{os.cpu_count()} cores, torch {torch.__version__}, Python {platform.python_version()}.
"""
    print(text)
    replace_part(PAGE, WRITER, text)


if __name__ == "__main__":
    main()
