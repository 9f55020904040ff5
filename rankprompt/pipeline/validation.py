"""Validation: fills the gaps of a configuration, and refuses what cannot work before it costs."""

import logging
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from rankprompt.cascade.teachers import (
    MINILM,
    YES_NO,
    aggregate_of,
    default_aggregate,
    is_served,
    llm_of,
)  # fmt: skip
from rankprompt.datasets.passages import parse_fields
from rankprompt.errors import InputError
from rankprompt.eval.calibration import read_calibration
from rankprompt.files.manifest import beside, check_paths
from rankprompt.judges.registry import check_fit, check_lazy, default_method, default_prompt, serves
from rankprompt.judges.simulated.error_model import ErrorModel, parse_error_model
from rankprompt.llm.embedded import EMBEDDED
from rankprompt.llm.registry import is_reranker
from rankprompt.pipeline.config import (
    JudgeConfig,
    OutputConfig,
    RerankConfig,
)
from rankprompt.pipeline.config_methods import CASCADE
from rankprompt.pipeline.config_option import check_values, iterate_options
from rankprompt.pipeline.engine_fields import check_engine_fields
from rankprompt.pipeline.job import JudgeSource, RerankJob
from rankprompt.pipeline.model_names import check_model_name
from rankprompt.pipeline.scoring import calibrate_job, scored_by
from rankprompt.pipeline.server_fields import check_key, check_server_fields
from rankprompt.pipeline.stage_validation import name_stage, validate_stages
from rankprompt.pipeline.unused_options import source_of, unused_options
from rankprompt.prompts.prompt import RELEVANCE, Prompt, load_prompt
from rankprompt.rankers import METHODS, method
from rankprompt.rankers.stages import split_stages
from rankprompt.types import QUESTION_NOUNS, PairwiseQuestion

__all__ = ["validate", "validate_ranking"]

log = logging.getLogger("rankprompt")


def validate(config: RerankConfig, *, asks: bool = True) -> RerankJob:
    """Checks everything that can be checked at no cost, and fills in what the user left open.

    Args:
        config: the configuration.
        asks: whether a model will be asked, which may need a key. A journal that is there may have
            all answers, so that a key that it turns out to need is missed by the server.

    Raises:
        InputError: a field that cannot work; the message names it and says what would work.
    """
    check_values(config)
    data = config.data
    missing = [f"`{name}`" for name in ("run", "queries", "docs") if not getattr(data, name)]
    if missing and not data.dataset:
        raise InputError(f"give {', '.join(missing)}, or a `dataset` that has them")
    if config.output.run is None:
        raise InputError("give `output`, the run to write")
    job = validate_ranking(config, asks=asks)
    oracles = [one.qrels for one in job.single_jobs if one.source == "oracle"]
    output = job.config.output
    inputs = [data.run, data.queries, data.docs, output.calibration, *oracles]
    check_paths(config.output.run, output.journal, inputs, output.scores)
    return job


def validate_ranking(config: RerankConfig, *, asks: bool = True) -> RerankJob:
    """As ``validate``, for texts that are in memory: no file is read for candidates, or written.

    Args:
        config: the configuration.
        asks: as in ``validate``.

    Raises:
        InputError: a field that cannot work; the message names it and says what would work.
    """
    check_values(config)
    parse_fields(config.data.fields)
    job = validate_stages(config, _validate_one) if config.stage else _validate_one(config)
    prices = [(one.budget.price_in, one.budget.price_out) for one in job.single_jobs]
    if config.budget.max_cost is not None and not any(map(any, prices)):
        raise InputError("`max_cost` needs the prices of a million tokens: `price_in`, `price_out`")
    output = job.config.output
    if asks and not (output.journal and output.journal.is_file()):
        for number, one in enumerate(job.single_jobs, 1):
            with name_stage(number) if job.stages else nullcontext():
                check_key(one.config)
    return _calibrated(job, output.calibration) if output.calibration else job


def _calibrated(job: RerankJob, path: Path) -> RerankJob:
    calibration = read_calibration(path)
    scored_job = job.single_jobs[scored_by(job)]
    scored = scored_job.model
    # A run of stages is named by the models of all.
    every = ", ".join(one.model for one in job.single_jobs)
    known = (_file_names(scored), _file_names(every))
    if calibration.model and _file_names(calibration.model) not in known:
        raise InputError(
            f"`calibration` {path} is of the model {calibration.model}, not of {scored}; make "
            "one with `rankprompt calibrate`"
        )
    if not calibration.model and scored_job.source != "oracle":
        log.warning("%s names no model; it holds for the one that it was fitted on alone", path)
    return calibrate_job(job, calibration)


def _file_names(models: str) -> list[str]:
    """The last words of models' names: folders may have moved."""
    return [Path(name).name for name in models.split(", ")]


def _validate_one(config: RerankConfig) -> RerankJob:
    return _validate_cascade(config) if config.ranker.method == CASCADE else _validate(config)


def _validate(config: RerankConfig) -> RerankJob:
    for name, value in (
        ("teacher", config.cascade.teacher),
        ("aggregate", config.cascade.aggregate),
    ):
        if value is not None:
            raise InputError(f"`{name}` goes with `method` {CASCADE}")
    check_model_name(config.model.name)
    source, model = source_of(config.model.name)
    if config.ray.address and source != "local":
        raise InputError("`ray` goes with a model that each worker loads")
    if config.ray.address and _limits(config):
        raise InputError("`ray` knows no budget: workers could keep but a share of it each")
    config = check_server_fields(config, model if source == "server" else None)
    check_engine_fields(config.model)
    errors = _errors(config, source)
    for name, text in (("prompt", config.judge.prompt), ("instruction", config.judge.instruction)):
        if text is not None and source == "oracle":
            raise InputError(f"`{name}` goes with a model; an oracle reads the grades")
    prompt = None
    if source != "oracle":
        prompt = _prompt(config, source)
    name = config.ranker.method or default_method(prompt)
    ranking = method(name)
    pairs = ranking.question is PairwiseQuestion
    judge = config.judge
    if not pairs and (judge.decide or judge.prior or judge.order != "both"):
        raise InputError(
            f"`decide`, `prior` and `order` {judge.order} go with pairs, and `method` {name} asks "
            f"{QUESTION_NOUNS[ranking.question]}s"
        )
    for _, depth in split_stages(name):
        if depth is not None and depth > config.data.depth:
            raise InputError(
                f"`method` {name}: a stage reranks {depth}, but `depth` is {config.data.depth}"
            )
    judge = replace(
        judge,
        prompt=prompt.name if prompt else None,
        decide=judge.decide or (prompt.decide if prompt else "agreement") if pairs else None,
        prior=_default_prior(judge, prompt) if pairs else None,
    )
    if judge.order == "lazy":
        check_lazy(name, decide=judge.decide, prior=judge.prior)
    ranker = replace(config.ranker, method=name, passes=config.ranker.passes or config.ranker.k)
    config = replace(
        config, judge=judge, ranker=ranker, output=_output(config, journal=prompt is not None)
    )
    return RerankJob(config, source, model, prompt, errors)


def _validate_cascade(config: RerankConfig) -> RerankJob:
    """As ``_validate``, where a teacher scores windows."""
    teacher = config.cascade.teacher or MINILM
    aggregate = config.cascade.aggregate or default_aggregate(teacher)
    aggregate_of(teacher, aggregate)
    model = llm_of(teacher)
    if model and not is_served(teacher) and source_of(model)[0] != "local":
        raise InputError(
            f"`teacher` {teacher}: a language model as a teacher is one on this machine; a "
            "reranker behind a server is written rerank:MODEL"
        )
    unused = unused_options(config)
    for name, value, default, _ in iterate_options(config):
        if name in unused and value not in (default, model):
            raise InputError(f"`{name}` plays no part in `method` {CASCADE}, `teacher` {teacher}")
    prompt = None
    if model is not None:
        check_model_name(model)
        prompt = _teacher_prompt(config, teacher)
        config = replace(config, model=replace(config.model, name=model))
    if is_served(teacher):
        config = check_server_fields(config, teacher, field="teacher")
    config = replace(
        config,
        cascade=replace(
            config.cascade,
            teacher=teacher,
            aggregate=aggregate,
            student=config.cascade.student or "bm25",
        ),
        judge=replace(config.judge, prompt=prompt.name if prompt else None),
        output=_output(config, journal=True),
    )
    return RerankJob(config, "teacher", teacher, prompt, ErrorModel())


def _teacher_prompt(config: RerankConfig, teacher: str) -> Prompt:
    """The prompt by which a teacher is asked: the one that is named, or the default."""
    served = is_served(teacher)
    default = RELEVANCE.name if served else YES_NO
    prompt = load_prompt(config.judge.prompt or default, config.judge.instruction)
    check_fit(prompt, "pointwise")
    if served and prompt != RELEVANCE:
        raise InputError(
            f"`prompt` {prompt.name} plays no part: `teacher` {teacher} is a reranker, which reads "
            "a query and a passage by its own template"
        )
    return prompt


def _limits(config: RerankConfig) -> bool:
    budget = config.budget
    return (budget.max_prompts, budget.max_tokens, budget.max_cost) != (None, None, None)


def _errors(config: RerankConfig, source: JudgeSource) -> ErrorModel:
    oracle = config.oracle
    for name, value in (("noise", oracle.noise), ("judge_model", oracle.judge_model)):
        if value and source != "oracle":
            raise InputError(f"`{name}` goes with `model` oracle:QRELS only")
    if oracle.judge_model is not None and oracle.noise:
        raise InputError("`noise` P is `judge_model` flip=P; give one of the two")
    return parse_error_model(oracle.judge_model or f"flip={oracle.noise}")


def _prompt(config: RerankConfig, source: JudgeSource) -> Prompt:
    """The prompt that is named, or the default; checked against the mode and the method."""
    judge, name = config.judge, config.ranker.method
    kind = method(name).question if name else PairwiseQuestion
    default = default_prompt(kind, config.model.name)
    prompt = load_prompt(judge.prompt or default, judge.instruction)
    if (prompt.kind == "relevance") != is_reranker(config.model.name):
        raise InputError(
            f"`prompt` {prompt.name} is for language models, and `model` {config.model.name} is a "
            "reranker, which has its own template: leave the prompt out, or name a language model, "
            f"such as {EMBEDDED}"
            if is_reranker(config.model.name)
            else f"`prompt` {prompt.name} is for rerankers, and `model` {config.model.name} is "
            "none; a classifier from the hub is written cross-encoder:ID"
        )
    if name and prompt.kind == "relevance" and not serves(prompt, kind):
        served = ", ".join(m for m, entry in METHODS.items() if serves(prompt, entry.question))
        raise InputError(
            f"`method` {name} asks {QUESTION_NOUNS[kind]}s, and `model` {config.model.name} is a "
            f"reranker, which scores single passages: take `method` {served}, or name a language "
            f"model, such as {EMBEDDED}"
        )
    if name:
        check_fit(prompt, name)
    scored = prompt.kind in ("contrast", "likelihood", "relevance")
    if judge.mode == "generation" and scored:
        raise InputError(
            "`mode` generation needs a prompt whose answer is written, such as a choice; "
            f"{prompt.name} is of kind {prompt.kind}"
        )
    if judge.mode == "generation" and prompt.kind == "grades" and kind is PairwiseQuestion and name:
        raise InputError(
            f"`method` {name} compares the likelihoods of {prompt.name}'s options, which `mode` "
            "generation does not read"
        )
    if source == "server" and scored and prompt.chat:
        raise InputError(
            f"`prompt` {prompt.name} scores a given text in a chat, which no server offers; "
            "use a prompt of kind choice, or one that is no chat"
        )
    return prompt


def _default_prior(judge: JudgeConfig, prompt: Prompt | None) -> float:
    if judge.prior is not None:
        return judge.prior
    return prompt.prior if prompt else 0.0


def _output(config: RerankConfig, *, journal: bool) -> OutputConfig:
    output = config.output
    if not journal or output.run is None:
        return output
    return replace(output, journal=output.journal or beside(output.run, ".journal"))
