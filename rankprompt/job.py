"""One reranking, from files to files: what ``rankprompt rerank`` does."""

import json
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from rankprompt.answering import Answering
from rankprompt.errors import InputError, UnknownNameError
from rankprompt.files import (
    build_candidates,
    check_writable,
    format_run,
    read_documents,
    read_qrels,
    read_queries,
    read_run,
    write_together,
)
from rankprompt.journal import Journal
from rankprompt.judges import OracleJudge, PairwiseJudge
from rankprompt.manifest import (
    beside,
    describe_costs,
    describe_file,
    describe_judge,
    format_manifest,
    manifest_path,
    versions,
)
from rankprompt.models import load_model
from rankprompt.prior import PriorJudge
from rankprompt.prompt import Prompt, load_prompt
from rankprompt.readings import reading
from rankprompt.reranking import INPUT_ORDERS, merge, rerank
from rankprompt.sorting import method

__all__ = ["Job", "run_job"]

ORACLE = "oracle:"
# The choice is measured: docs/default.md.
EMBEDDED_PROMPT = "query-likelihood"
OTHER_PROMPT = "prp"

_Progress = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]


def _silent(_what: str, _total: int) -> AbstractContextManager[Callable[[int], None]]:
    return nullcontext(lambda _: None)


@dataclass(frozen=True)
class Job:
    """The settings of a reranking; None stands for "what suits the others".

    The options of ``rankprompt rerank`` explain them, and their defaults live here alone.
    """

    run: Path
    queries: Path
    docs: Path
    output: Path
    model: str = "smollm2-135m"
    method: str | None = None
    k: int = 10
    passes: int | None = None
    early_exit: bool = False
    depth: int = 100
    prompt: str | None = None
    mode: str = "scoring"
    order: str = "both"
    decide: str | None = None
    prior: float | None = None
    passage_tokens: int | None = None
    input_order: str = "given"
    limit: int | None = None
    seed: int = 0
    noise: float = 0.0
    skip_missing: bool = False
    journal: Path | None = None
    dtype: str = "auto"
    device: str = "auto"
    batch_tokens: int | None = None
    trust_remote_code: bool = False

    @property
    def oracle(self) -> Path | None:
        """The qrels of an oracle judge, where ``model`` names one."""
        return Path(self.model.removeprefix(ORACLE)) if self.model.startswith(ORACLE) else None


def _resolve(job: Job) -> tuple[Job, Prompt | None]:
    """Fills in what the user left open, and checks all that can be checked at no cost."""
    for name in ("k", "passes", "depth", "limit", "passage_tokens", "batch_tokens"):
        value = getattr(job, name)
        if value is not None and value < 1:
            raise InputError(f"--{name.replace('_', '-')} must be at least 1, not {value}")
    if not 0 <= job.noise <= 1:
        raise InputError(f"--noise is a probability from 0 to 1, not {job.noise}")
    for name, known in (
        ("order", ("both", "single")),
        ("decide", (None, "agreement", "soft")),
        ("mode", ("scoring", "generation")),
        ("input_order", INPUT_ORDERS),
    ):
        if getattr(job, name) not in known:
            raise UnknownNameError(name.replace("_", " "), getattr(job, name), filter(None, known))
    if job.prior is not None and not 0 <= job.prior < float("inf"):
        raise InputError(f"--prior must be 0 or more, not {job.prior}")
    if job.prompt and job.oracle:
        raise InputError("--prompt goes with a model; an oracle reads the grades")
    if job.noise and job.oracle is None:
        raise InputError("--noise goes with --model oracle:QRELS only")
    prompt = None
    if job.oracle is None:
        _catch_misspelt_model(job.model)
        embedded = job.model == Job.model
        prompt = load_prompt(job.prompt or (EMBEDDED_PROMPT if embedded else OTHER_PROMPT))
        if job.mode == "generation" and prompt.kind != "choice":
            raise InputError(
                f"--mode generation needs a prompt of kind choice; {prompt.name} is a {prompt.kind}"
            )
    ordered = prompt is None or reading(prompt, job.mode).ordered
    job = replace(
        job,
        # Where a document is read once for all its pairs, all pairs are as cheap as a few.
        method=job.method or ("heapsort" if ordered else "allpair"),
        passes=job.passes or job.k,
        prompt=prompt.name if prompt else None,
        decide=job.decide or ("agreement" if prompt is None or prompt.kind == "choice" else "soft"),
        prior=job.prior if job.prior is not None else (prompt.prior if prompt else 0.0),
        journal=job.journal or (beside(job.output, ".journal") if prompt else None),
    )
    method(job.method or "")
    inputs = [path for path in (job.run, job.queries, job.docs, job.oracle) if path]
    outputs = [job.output, manifest_path(job.output), *([job.journal] if job.journal else [])]
    for path in outputs:
        if path.resolve() in {one.resolve() for one in inputs}:
            raise InputError(f"{path}: this input would be overwritten; name another --output")
    if len({path.resolve() for path in outputs}) < len(outputs):
        raise InputError(f"{job.output}: run, manifest and journal need names that differ")
    check_writable(job.output)
    return job, prompt


def _catch_misspelt_model(name: str) -> None:
    """Takes a name that is nearly one of ours for a slip, before the hub is asked for it."""
    known = (Job.model, f"{ORACLE}QRELS.trec")
    if name == Job.model or Path(name).expanduser().exists():
        return
    near = "/" not in name and get_close_matches(name.lower(), known, n=1, cutoff=0.7)
    if near or name.lower().partition(":")[0] == "oracle":
        raise UnknownNameError("model", name, known, "Or give a folder, a .gguf file or a hub id.")


def run_job(
    job: Job, progress: _Progress = lambda *_: nullcontext(lambda _: None)
) -> dict[str, Any]:
    """Reranks, and writes the run and its manifest.

    Args:
        job: the settings.
        progress: opened with a description and about how many comparisons there will be; gives the
            function to call with the comparisons done.

    Returns:
        The manifest.

    Raises:
        RankpromptError: bad input, a model that cannot be loaded, a journal that fails. No output
            is written then; what the model has answered is in the journal.
    """
    started = time.perf_counter()
    job, prompt = _resolve(job)
    first_stage = read_run(job.run)
    wanted = {name for scores in first_stage.values() for name in list(scores)[: job.depth]}
    candidates, skipped = build_candidates(
        first_stage,
        read_queries(job.queries),
        read_documents(job.docs, wanted),
        depth=job.depth,
        limit=job.limit,
        skip_missing=job.skip_missing,
    )
    qrels = read_qrels(job.oracle) if job.oracle else None
    used = method(job.method or "")
    passes = job.passes or job.k
    total = sum(used.estimate(len(one.documents), job.k, passes) for one in candidates)
    with ExitStack() as stack:
        # Loaded before the bar is shown: it may have something to say.
        answering = _answering(job, stack) if prompt else None
        # A path would push the numbers off the terminal's edge.
        shown = "an oracle" if job.oracle else Path(job.model).name
        advance = stack.enter_context(progress(f"{job.method} with {shown}", total))
        judge: PairwiseJudge | OracleJudge
        if answering and prompt:
            judge = PairwiseJudge(
                answering,
                reading(prompt, job.mode),
                order=job.order,
                decide=job.decide or "agreement",
                seed=job.seed,
                passage_tokens=job.passage_tokens,
                on_judged=advance,
            )
        else:
            judge = OracleJudge(qrels or {}, noise=job.noise, seed=job.seed, on_judged=advance)
        ranked = rerank(
            candidates,
            PriorJudge(judge, candidates, job.prior or 0.0),
            used.ranker(job.k, passes, job.early_exit),
            input_order=job.input_order,
            seed=job.seed,
        )
    rankings = {
        query: merge(list(scores), ranked.rankings.get(query, []))
        for query, scores in list(first_stage.items())[: job.limit]
    }
    content = {
        "inputs": {
            name: describe_file(path)
            for name, path in {
                "run": job.run,
                "queries": job.queries,
                "docs": job.docs,
                "qrels": job.oracle,
            }.items()
            if path
        },
        "versions": versions(
            ("rankprompt", "torch", "transformers", "tokenizers", "numpy", "safetensors")
        ),
        "model": describe_judge(answering, prompt),
        "queries": len(rankings),
        "documents": sum(len(one.documents) for one in candidates),
        "skipped_documents": len(skipped),
        "costs": {
            "comparisons_asked": judge.asked,
            "comparisons_from_journal": getattr(judge, "from_journal", 0),
            "rounds": ranked.rounds,
            **describe_costs(answering),
            "seconds": round(time.perf_counter() - started, 3),
        },
        "passages_cut": len(getattr(judge, "cut", ())),
        "diagnostics": judge.diagnostics.summary(),
    }
    manifest = format_manifest(job, content)
    run = format_run(rankings, tag="rankprompt")
    write_together({job.output: run, manifest_path(job.output): manifest})
    written: dict[str, Any] = json.loads(manifest)
    return written


def _answering(job: Job, stack: ExitStack) -> Answering:
    journal = Journal(job.journal)
    stack.callback(journal.close)
    model = load_model(
        job.model,
        dtype=job.dtype,
        device=job.device,
        batch_tokens=job.batch_tokens,
        trust_remote_code=job.trust_remote_code,
    )
    return Answering(model, journal)
