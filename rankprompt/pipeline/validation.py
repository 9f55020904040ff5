"""Validation: fills the gaps of a configuration, and refuses what cannot work before it costs."""

from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

from rankprompt.cascade.teachers import (
    MINILM,
    YES_NO,
    aggregate_of,
    default_aggregate,
    llm_of,
)  # fmt: skip
from rankprompt.datasets.passages import parse_fields
from rankprompt.errors import InputError, UnknownNameError
from rankprompt.eval.calibration import read_calibration
from rankprompt.files.home import expand
from rankprompt.files.manifest import beside, check_paths
from rankprompt.judges.registry import check_fit, default_method, default_prompt
from rankprompt.judges.simulated.error_model import ErrorModel, parse_error_model
from rankprompt.llm.embedded import EMBEDDED
from rankprompt.llm.registry import BACK_ENDS
from rankprompt.pipeline.config import (
    ORACLE,
    SERVER,
    JudgeConfig,
    OutputConfig,
    RerankConfig,
)
from rankprompt.pipeline.config_methods import CASCADE
from rankprompt.pipeline.config_option import check_values, iterate_options
from rankprompt.pipeline.job import JudgeSource, RerankJob
from rankprompt.pipeline.server_fields import SERVER_FIELDS, check_server_fields
from rankprompt.prompts.prompt import Prompt, load_prompt
from rankprompt.rankers import method
from rankprompt.rankers.stages import split_stages
from rankprompt.types import QUESTION_NOUNS, PairwiseQuestion

__all__ = ["validate"]

# What a cascade's teacher does not use; the second line, what only a language model uses.
_NOT_FOR_TEACHERS = (
    "prior", "passage_tokens", "ray", "mode", "order", "decide", "comparisons", "early_exit",
    "passes", "noise", "judge_model", "input_order", "set_size", "step", "tournaments", "thinking",
    *SERVER_FIELDS,
)  # fmt: skip
_NOT_FOR_CROSS_ENCODERS = (
    "model", "prompt", "dtype", "device", "batch_tokens", "threads", "trust_remote_code",
    "max_prompts", "max_tokens", "max_cost",
)  # fmt: skip


def validate(config: RerankConfig) -> RerankJob:
    """Checks everything that can be checked at no cost, and fills in what the user left open.

    Raises:
        InputError: a field that cannot work; the message names it and says what would work.
    """
    check_values(config)
    data, budget = config.data, config.budget
    missing = [f"`{name}`" for name in ("run", "queries", "docs") if not getattr(data, name)]
    if missing and not data.dataset:
        raise InputError(f"give {', '.join(missing)}, or a `dataset` that has them")
    parse_fields(data.fields)
    if config.output.run is None:
        raise InputError("give `output`, the run to write")
    if budget.max_cost is not None and not (budget.price_in or budget.price_out):
        raise InputError("`max_cost` needs the prices of a million tokens: `price_in`, `price_out`")
    job = _validate_cascade(config) if config.ranker.method == CASCADE else _validate(config)
    oracle = job.qrels if job.source == "oracle" else None
    output = job.config.output
    inputs = [data.run, data.queries, data.docs, oracle, output.calibration]
    check_paths(config.output.run, output.journal, inputs, output.scores)
    return _calibrated(job, output.calibration) if output.calibration else job


def _calibrated(job: RerankJob, path: Path) -> RerankJob:
    calibration = read_calibration(path)
    # Numbers of another model mean something else; folders may have moved.
    if calibration.model and Path(calibration.model).name != Path(job.model).name:
        raise InputError(
            f"`calibration` {path} is of the model {calibration.model}, not of {job.model}; make "
            "one with `rankprompt calibrate`"
        )
    return replace(job, calibration=calibration)


def _validate(config: RerankConfig) -> RerankJob:
    for name, value in (
        ("teacher", config.cascade.teacher),
        ("aggregate", config.cascade.aggregate),
    ):
        if value is not None:
            raise InputError(f"`{name}` goes with `method` {CASCADE}")
    source, model = _source(config.model.name)
    if config.ray.address and source != "local":
        raise InputError("`ray` goes with a model that each worker loads")
    if config.ray.address and _limits(config):
        raise InputError("`ray` knows no budget: workers could keep but a share of it each")
    config = check_server_fields(config, model if source == "server" else None)
    errors = _errors(config, source)
    if config.judge.prompt and source == "oracle":
        raise InputError("`prompt` goes with a model; an oracle reads the grades")
    prompt = None
    if source != "oracle":
        _catch_misspelt_model(config.model.name)
        prompt = _prompt(config, source)
    name = config.ranker.method or default_method(prompt)
    ranking = method(name)
    pairs = ranking.question is PairwiseQuestion
    judge = config.judge
    if not pairs and (judge.decide or judge.prior or judge.order == "single"):
        raise InputError(
            f"`decide`, `prior` and `order` single go with pairs, and `method` {name} asks "
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
        decide=judge.decide or _default_decide(prompt) if pairs else None,
        prior=_default_prior(judge, prompt) if pairs else None,
    )
    ranker = replace(config.ranker, method=name, passes=config.ranker.passes or config.ranker.k)
    config = replace(
        config, judge=judge, ranker=ranker, output=_output(config, journal=prompt is not None)
    )
    return RerankJob(config, source, model, prompt, errors)


def _validate_cascade(config: RerankConfig) -> RerankJob:
    """As ``_validate``, where a teacher scores windows."""
    teacher = config.cascade.teacher or MINILM
    language_model = llm_of(teacher)
    unused = {*_NOT_FOR_TEACHERS, *(("model",) if language_model else _NOT_FOR_CROSS_ENCODERS)}
    for name, value, default, _ in iterate_options(config):
        if name in unused and value not in (default, language_model):
            raise InputError(f"`{name}` plays no part in `method` {CASCADE}, `teacher` {teacher}")
    prompt = None
    if language_model is not None:
        _catch_misspelt_model(language_model)
        if _source(language_model)[0] != "local":
            raise InputError(f"`teacher` {teacher}: a teacher is a model on this machine")
        prompt = load_prompt(config.judge.prompt or YES_NO)
        check_fit(prompt, "pointwise")
    aggregate = config.cascade.aggregate or default_aggregate(teacher)
    aggregate_of(teacher, aggregate)
    config = replace(
        config,
        cascade=replace(
            config.cascade,
            teacher=teacher,
            aggregate=aggregate,
            student=config.cascade.student or "bm25",
        ),
        model=replace(config.model, name=language_model or config.model.name),
        judge=replace(config.judge, prompt=prompt.name if prompt else None),
        output=_output(config, journal=True),
    )
    return RerankJob(config, "teacher", teacher, prompt, ErrorModel())


def _source(name: str) -> tuple[JudgeSource, str]:
    if name.startswith(ORACLE):
        return "oracle", name.removeprefix(ORACLE)
    if name.startswith(SERVER):
        return "server", name.removeprefix(SERVER)
    back_end = BACK_ENDS.get(name.partition(":")[0])
    return "server" if back_end and back_end.server else "local", name


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
    embedded = config.model.name == EMBEDDED
    prompt = load_prompt(judge.prompt or default_prompt(kind, embedded=embedded))
    if name:
        check_fit(prompt, name)
    scored = prompt.kind in ("contrast", "likelihood")
    if judge.mode == "generation" and scored:
        raise InputError(
            "`mode` generation needs a prompt whose answer is written, such as a choice; "
            f"{prompt.name} is of kind {prompt.kind}"
        )
    if source == "server" and scored and prompt.chat:
        raise InputError(
            f"`prompt` {prompt.name} scores a given text in a chat, which no server offers; "
            "use a prompt of kind choice, or one that is no chat"
        )
    return prompt


def _default_decide(prompt: Prompt | None) -> str:
    return "agreement" if prompt is None or prompt.kind == "choice" else "soft"


def _default_prior(judge: JudgeConfig, prompt: Prompt | None) -> float:
    if judge.prior is not None:
        return judge.prior
    return prompt.prior if prompt else 0.0


def _output(config: RerankConfig, *, journal: bool) -> OutputConfig:
    output = config.output
    assert output.run is not None, "checked before"
    if not journal:
        return output
    return replace(output, journal=output.journal or beside(output.run, ".journal"))


def _catch_misspelt_model(name: str) -> None:
    """Refuses a name that is nearly one of ours, before the hub is asked for it."""
    known = (EMBEDDED, f"{ORACLE}QRELS.trec")
    if name == EMBEDDED or name.startswith(SERVER) or expand(name).exists():
        return
    near = "/" not in name and get_close_matches(name.lower(), known, n=1, cutoff=0.7)
    if near or name.lower().partition(":")[0] == "oracle":
        raise UnknownNameError("model", name, known, "Or give a folder, a .gguf file or a hub id.")
