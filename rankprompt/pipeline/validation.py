"""Fills the gaps of a reranking's settings, and refuses what cannot work before it costs."""

import os
from dataclasses import fields, replace
from difflib import get_close_matches
from pathlib import Path

from rankprompt.cascade.teachers import (
    MINILM,
    YES_NO,
    aggregate_of,
    default_aggregate,
    llm_of,
)  # fmt: skip
from rankprompt.cascade.windows import UNITS
from rankprompt.errors import InputError, UnknownNameError
from rankprompt.files.manifest import beside, check_paths
from rankprompt.judges.registry import check_fit, default_method, default_prompt
from rankprompt.judges.simulated.error_model import parse_error_model
from rankprompt.pipeline.config import CASCADE, ORACLE, SERVER, Job
from rankprompt.prompts.prompt import Prompt, load_prompt
from rankprompt.rankers import method
from rankprompt.rankers.reranking import INPUT_ORDERS
from rankprompt.rankers.stages import split_stages
from rankprompt.types import QUESTION_NOUNS, PairwiseQuestion

__all__ = ["resolve"]

# What only a language model on this machine takes.
_LOCAL_MODEL = (
    "model", "prompt", "dtype", "device", "batch_tokens", "threads", "trust_remote_code",
    "max_prompts", "max_tokens", "max_cost",
)  # fmt: skip


def resolve(job: Job) -> tuple[Job, Prompt | None]:
    """Fills in what the user left open, and checks all that can be checked at no cost.

    Returns:
        The settings, and the prompt where a model is asked.

    Raises:
        InputError: a setting that cannot work; says which and what would.
    """
    missing = [f"--{name}" for name in ("run", "queries", "docs") if not getattr(job, name)]
    if missing and not job.dataset:
        raise InputError(f"give {', '.join(missing)}, or a --dataset that has them")
    if not job.shown:
        raise InputError("--fields names no field; give some, as in title,text")
    for name in (
        "k", "passes", "depth", "limit", "passage_tokens", "batch_tokens", "concurrency",
        "max_prompts", "max_tokens", "workers", "comparisons", "threads",
        "keep", "window", "step", "tournaments",
    ):  # fmt: skip
        value = getattr(job, name)
        if value is not None and value < 1:
            raise InputError(f"--{name.replace('_', '-')} must be at least 1, not {value}")
    if job.set_size is not None and job.set_size < 2:
        raise InputError(f"--set-size must be at least 2, not {job.set_size}")
    if job.overlap < 0:
        raise InputError(f"--overlap must be 0 or more, not {job.overlap}")
    if not 0 <= job.noise <= 1:
        raise InputError(f"--noise is a probability from 0 to 1, not {job.noise}")
    for name, known in (
        ("order", ("both", "single")),
        ("decide", (None, "agreement", "soft")),
        ("mode", ("scoring", "generation")),
        ("input_order", INPUT_ORDERS),
        ("window_unit", UNITS),
    ):
        if getattr(job, name) not in known:
            raise UnknownNameError(name.replace("_", " "), getattr(job, name), filter(None, known))
    for name in ("max_cost", "price_in", "price_out"):
        if not 0 <= (getattr(job, name) or 0) < float("inf"):
            raise InputError(f"--{name.replace('_', '-')} must be 0 or more")
    if job.max_cost is not None and not (job.price_in or job.price_out):
        raise InputError("--max-cost needs the prices of a million tokens: --price-in, --price-out")
    if job.method == CASCADE:
        return _resolve_cascade(job)
    for name in ("teacher", "aggregate"):
        if getattr(job, name) is not None:
            raise InputError(f"--{name} goes with --method {CASCADE}")
    if job.ray and (job.server is not None or job.oracle):
        raise InputError("--ray goes with a model that each worker loads")
    if job.ray and job.budget.limited:
        raise InputError("--ray knows no budget: workers could keep but a share of it each")
    if job.server is not None:
        job = replace(job, base_url=job.base_url or os.environ.get("OPENAI_BASE_URL"))
        if not job.base_url:
            raise InputError("--model openai:MODEL needs --base-url (or OPENAI_BASE_URL)")
        if not job.server:
            raise InputError("--model openai:MODEL needs the model's name at the server")
    elif job.base_url:
        raise InputError("--base-url goes with --model openai:MODEL")
    if job.prior is not None and not 0 <= job.prior < float("inf"):
        raise InputError(f"--prior must be 0 or more, not {job.prior}")
    if job.prompt and job.oracle:
        raise InputError("--prompt goes with a model; an oracle reads the grades")
    for name in ("noise", "judge_model"):
        if getattr(job, name) and job.oracle is None:
            option = name.replace("_", "-")
            raise InputError(f"--{option} goes with --model oracle:QRELS only")
    if job.judge_model is not None:
        if job.noise:
            raise InputError("--noise P is --judge-model flip=P; give one of the two")
        parse_error_model(job.judge_model)
    prompt = None
    if job.oracle is None:
        _catch_misspelt_model(job.model)
        prompt = _prompt(job)
    job = replace(job, method=job.method or default_method(prompt))
    pairs = job.question is PairwiseQuestion
    if not pairs and (job.decide or job.prior or job.order == "single"):
        raise InputError(
            f"--decide, --prior and --order single go with pairs, and --method {job.method} asks "
            f"{QUESTION_NOUNS[job.question]}s"
        )
    job = replace(
        job,
        passes=job.passes or job.k,
        prompt=prompt.name if prompt else None,
        decide=job.decide or ("agreement" if prompt is None or prompt.kind == "choice" else "soft"),
        prior=job.prior if job.prior is not None else (prompt.prior if prompt and pairs else 0.0),
        journal=job.journal or (beside(job.output, ".journal") if prompt else None),
    )
    for _, depth in split_stages(job.method or ""):
        if depth is not None and depth > job.depth:
            raise InputError(
                f"--method {job.method}: a stage reranks {depth}, but --depth is {job.depth}"
            )
    _check_paths(job)
    return job, prompt


def _prompt(job: Job) -> Prompt:
    """The prompt that is named, or suits what is; checked against the mode and the method."""
    kind = method(job.method).question if job.method else PairwiseQuestion
    prompt = load_prompt(job.prompt or default_prompt(kind, embedded=job.model == Job.model))
    if job.method:
        check_fit(prompt, job.method)
    scored = prompt.kind in ("contrast", "likelihood")
    if job.mode == "generation" and scored:
        raise InputError(
            "--mode generation needs a prompt whose answer is written, such as a choice; "
            f"{prompt.name} is of kind {prompt.kind}"
        )
    if job.server and scored and prompt.chat:
        raise InputError(
            f"--prompt {prompt.name} scores a given text in a chat, which no server offers; "
            "use a prompt of kind choice, or one that is no chat"
        )
    return prompt


def _resolve_cascade(job: Job) -> tuple[Job, Prompt | None]:
    """As ``resolve``, where a teacher scores windows."""
    teacher = job.teacher or MINILM
    model = llm_of(teacher)
    unused = [
        "prior", "passage_tokens", "ray", "mode", "order", "decide", "comparisons", "early_exit",
        "passes", "noise", "judge_model", "base_url", "input_order", "set_size", "step",
        "tournaments",
        *(_LOCAL_MODEL if model is None else ["model"]),
    ]  # fmt: skip
    for field in fields(Job):
        if field.name in unused and getattr(job, field.name) != field.default:
            option = f"--{field.name.replace('_', '-')}"
            raise InputError(f"{option} plays no part in --method {CASCADE} --teacher {teacher}")
    prompt = None
    if model is not None:
        _catch_misspelt_model(model)
        job = replace(job, model=model)
        if job.server is not None or job.oracle is not None:
            raise InputError(f"--teacher {teacher}: a teacher is a model on this machine")
        prompt = load_prompt(job.prompt or YES_NO)
        check_fit(prompt, "pointwise")
    aggregate = job.aggregate or default_aggregate(teacher)
    aggregate_of(teacher, aggregate)
    job = replace(
        job,
        teacher=teacher,
        aggregate=aggregate,
        cascade=job.cascade or "bm25",
        prompt=prompt.name if prompt else None,
        journal=job.journal or beside(job.output, ".journal"),
    )
    _check_paths(job)
    return job, prompt


def _check_paths(job: Job) -> None:
    check_paths(job.output, job.journal, [job.run, job.queries, job.docs, job.oracle])


def _catch_misspelt_model(name: str) -> None:
    """Takes a name that is nearly one of ours for a slip, before the hub is asked for it."""
    known = (Job.model, f"{ORACLE}QRELS.trec")
    if name == Job.model or name.startswith(SERVER) or Path(name).expanduser().exists():
        return
    near = "/" not in name and get_close_matches(name.lower(), known, n=1, cutoff=0.7)
    if near or name.lower().partition(":")[0] == "oracle":
        raise UnknownNameError("model", name, known, "Or give a folder, a .gguf file or a hub id.")
