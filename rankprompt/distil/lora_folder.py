"""The folder of a LoRA student: PEFT's adapter, its prompt, its card and its curves."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from rankprompt.cascade.report_files import csv_text
from rankprompt.distil.folder import describe_teacher, write_folder
from rankprompt.llm.adapter_folders import CONFIG, PROMPT
from rankprompt.pipeline.job import RerankJob
from rankprompt.prompts.prompt import Prompt
from rankprompt.prompts.prompt_file import format_prompt
from rankprompt.version import VERSION

if TYPE_CHECKING:
    from rankprompt.distil.config import DistilConfig
    from rankprompt.distil.lora_job import LoraResult
    from rankprompt.llm.local.trainable import TrainableModel

__all__ = ["write_adapter"]

_WEIGHTS = "adapter_model.safetensors"


def write_adapter(
    config: "DistilConfig",
    job: RerankJob,
    model: "TrainableModel",
    prompt: Prompt,
    base: str,
    result: "LoraResult",
) -> None:
    """Writes the folder whole or not at all.

    Args:
        config: who taught whom.
        job: by which the teacher was asked.
        model: with the trained adapter.
        prompt: the student's.
        base: the name by which the language model is found again.
        result: what came out.

    Raises:
        InputError: it cannot be written, or something is in its place by now.
    """
    from peft import get_peft_model_state_dict
    from safetensors.torch import save

    tensors = {
        name: value.detach().cpu().contiguous()
        for name, value in get_peft_model_state_dict(
            model.adapted, save_embedding_layers=False
        ).items()
    }
    about = model.adapted.peft_config["default"].to_dict()
    about |= {"base_model_name_or_path": base, "inference_mode": True}
    files = {
        _WEIGHTS: save(tensors, {"format": "pt"}),
        CONFIG: (json.dumps(about, indent=2, sort_keys=True, default=_plain) + "\n").encode(),
        PROMPT: format_prompt(prompt).encode(),
        "curves.csv": csv_text(_columns(result.curve)).encode(),
        "README.md": _card(config, job, model, prompt, base, result).encode(),
    }
    write_folder(config.output, files)


def _plain(value: object) -> object:
    return sorted(value) if isinstance(value, set) else str(value)


def _columns(curve: list[dict[str, float]]) -> list[dict[str, float | None]]:
    names = list(dict.fromkeys(name for row in curve for name in row))
    return [{name: row.get(name) for name in names} for row in curve]


def _card(
    config: "DistilConfig",
    job: RerankJob,
    model: "TrainableModel",
    prompt: Prompt,
    base: str,
    result: "LoraResult",
) -> str:
    begun, best = result.begun, result.best
    more = ""
    if "inconsistent" in best:
        more = "".join(
            f"| {text} | {begun[name]:.3f} | {best[name]:.3f} |\n"
            for name, text in (
                ("inconsistent", "of the pairs, answered by place: both orders for the same place"),
                ("shown_first", "of the answers, for the passage shown first"),
            )
        )
    return f"""---
base_model: {base}
library_name: peft
---

# A judge distilled from {job.config.model.name}

A LoRA adapter of {base}, which answers the prompt {Path(prompt.name).stem} (`{PROMPT}`). Made by
`rankprompt distil` (rankprompt {VERSION}). Use:

    rankprompt rerank --model THIS_FOLDER --run bm25.trec --queries queries.tsv --docs docs.jsonl \\
        --output better.trec

## Teacher and data

{describe_teacher(config, job)}
- pairs: {result.pairs[0]:,} of {result.queries[0]:,} queries learnt from, {result.pairs[1]:,} of \
{result.queries[1]:,} other queries to validate on; ties left out

## Scores

On the held-out pairs, which also chose the step:

| share | before | after |
|---|---|---|
| of the pairs, ordered as the teacher orders them | {begun["held_out"]:.3f} \
| {best["held_out"]:.3f} |
{more}
Measure it on queries of your own with `rankprompt evaluate` before you rely on it. `curves.csv` has
every step.

## Settings

- student: {base}, fingerprint {model.fingerprint}, products in {model.dtype}
- {result.config.epochs} epochs at most, learning rate {result.config.learning_rate:g}, seed \
{job.config.seed}; step {best["step"]:.0f} of {result.steps} was the best

## Licences

The adapter holds numbers that were learnt from the teacher's answers about these texts. Whether it
may be passed on depends on the terms of the teacher (some forbid that models learn from its
answers), of the texts, and of {base}, without which the adapter is of no use.
"""
