"""Validation of stages: each becomes a configuration, and a job, of its own."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from typing import Any, get_type_hints

from rankprompt.errors import InputError, RankpromptError, UnknownNameError
from rankprompt.judges.simulated.error_model import ErrorModel
from rankprompt.llm.openai.settings import is_hidden
from rankprompt.pipeline.config import BudgetConfig, ModelConfig, RayConfig, RerankConfig
from rankprompt.pipeline.config_file import replace_options
from rankprompt.pipeline.config_methods import (
    CASCADE,
    CascadeConfig,
    JudgeConfig,
    OracleConfig,
    RankerConfig,
)
from rankprompt.pipeline.config_option import check_values, iterate_options
from rankprompt.pipeline.job import RerankJob
from rankprompt.pipeline.stage_notation import StageNotation, format_stage, parse_stage
from rankprompt.pipeline.unused_options import source_of, unused_options
from rankprompt.rankers import METHODS

__all__ = ["name_stage", "validate_stages"]

_GROUPS = (ModelConfig, RankerConfig, JudgeConfig, CascadeConfig, OracleConfig, BudgetConfig)
_PRICES = ("price_in", "price_out")
# The limits are those of the whole run, and no stage's.
_LIMITS = ("max_prompts", "max_tokens", "max_cost")
# These are written in the stage's first word.
_HEAD = ("model", "method")


def _types() -> dict[str, Any]:
    """The types of the options that a stage may have for itself, by name."""
    types = {}
    for group in _GROUPS:
        hints = get_type_hints(group)
        for field in fields(group):
            name = field.metadata["option"].flag or field.name
            if name not in _HEAD and (group is not BudgetConfig or name in _PRICES):
                types[name] = hints[field.name]
    return types


_TYPES: Mapping[str, Any] = _types()


@contextmanager
def name_stage(number: int) -> Iterator[None]:
    """Names the stage, from 1, in the message of an error."""
    try:
        yield
    except RankpromptError as error:
        error.args = (f"stage {number}: {error.args[0]}", *error.args[1:])
        raise


def validate_stages(
    config: RerankConfig, validate_one: Callable[[RerankConfig], RerankJob]
) -> RerankJob:
    """Checks the stages of a configuration, each as a configuration of its own.

    Args:
        config: has stages. Its other options are those of every stage in which they play a part.
        validate_one: checks the configuration of one stage.

    Returns:
        A job with a job for each stage. In its configuration each stage is written with its model,
        its depth and the options that it was given.

    Raises:
        InputError: a stage that cannot work; the message names the stage.
    """
    for name, value in (("method", config.ranker.method), ("prompt", config.judge.prompt)):
        if value is not None:
            raise InputError(f"`{name}` plays no part: each `stage` has its own")
    parsed = []
    for number, text in enumerate(config.stage, 1):
        with name_stage(number):
            parsed.append(_parse(text))
    jobs = []
    for number, stage in enumerate(_configs(config, parsed), 1):
        with name_stage(number):
            check_values(stage)
            jobs.append(validate_one(stage))
    journals = [job.config.output.journal for job in jobs if job.config.output.journal]
    shared = replace(
        config,
        model=replace(config.model, name=ModelConfig().name),
        cascade=replace(config.cascade, teacher=None),
        data=replace(config.data, depth=jobs[0].config.data.depth),
        output=replace(config.output, journal=journals[0] if journals else None),
    )
    jobs = [replace(job, config=replace(job.config, output=shared.output)) for job in jobs]
    written = tuple(_format(job.config, stage) for job, stage in zip(jobs, parsed, strict=True))
    return RerankJob(replace(shared, stage=written), "stages", "", None, ErrorModel(), tuple(jobs))


def _parse(text: str) -> StageNotation:
    stage = parse_stage(text)
    known = (*METHODS, CASCADE)
    if stage.method not in known:
        raise UnknownNameError("method", stage.method, known, "A stage is METHOD:MODEL@DEPTH.")
    return stage


def _configs(config: RerankConfig, stages: Sequence[StageNotation]) -> list[RerankConfig]:
    """The configurations of the stages."""
    depths, before = [], config.data.depth
    for number, stage in enumerate(stages, 1):
        depth = stage.depth or before
        if depth > before:
            limit = f"`depth` is {before}" if number == 1 else f"the stage before has {before}"
            raise InputError(f"stage {number}: {stage.method} reranks {depth}, but {limit}")
        depths.append(before := depth)
    configs, written = [], []
    for number, stage in enumerate(stages, 1):
        with name_stage(number):
            own = _options(stage)
        if stage.model:
            own["teacher" if stage.method == CASCADE else "model"] = stage.model
        written.append(own.keys() & {*_TYPES, "model"})
        if number < len(stages):
            # What the next stage reranks is ranked, not only the top k.
            ranker, least = config.ranker, depths[number]
            passes = max(ranker.passes, least) if ranker.passes else None
            own = {"k": max(ranker.k, least), "passes": passes, **own}
        own |= {"method": stage.method, "depth": depths[number - 1], "stage": ()}
        configs.append(replace_options(config, own))
    unused = [unused_options(one) & {*_TYPES, *_LIMITS, "model"} for one in configs]
    # What plays no part in any stage is left, and refused with the first.
    nowhere = set.intersection(*unused)
    elsewhere = [given | without for given, without in zip(written, unused, strict=True)]
    overridden = set.intersection(*elsewhere) - nowhere
    defaults = {}
    for name, value, default, _ in iterate_options(config):
        defaults[name] = default
        if name in overridden and value != default:
            raise InputError(f"`{name}` plays no part: each `stage` has its own")
    return _with_workers(
        [
            replace_options(one, {name: defaults[name] for name in names - nowhere - given})
            for one, names, given in zip(configs, unused, written, strict=True)
        ]
    )


def _with_workers(configs: Sequence[RerankConfig]) -> list[RerankConfig]:
    """Leaves the cluster to the stages whose models workers can load."""
    loaded = [
        one.ranker.method != CASCADE and source_of(one.model.name)[0] == "local" for one in configs
    ]
    if configs[0].ray.address and not any(loaded):
        raise InputError("`ray` goes with a model that each worker loads, and no stage has one")
    return [
        one if on_workers else replace(one, ray=RayConfig())
        for one, on_workers in zip(configs, loaded, strict=True)
    ]


def _options(stage: StageNotation) -> dict[str, Any]:
    """The stage's own options with their values."""
    options: dict[str, Any] = {}
    for name, text in stage.options:
        if name in _HEAD:
            raise InputError(f"`{name}` is written before the options, in METHOD:MODEL@DEPTH")
        if name not in _TYPES:
            raise UnknownNameError("option of a stage", name, _TYPES)
        if name == "header" and is_hidden(text):
            raise InputError(
                f"`header` {text.partition(':')[0]}: no manifest holds its value; give each "
                "`stage` again, with it or with NAME:env:VARIABLE, which reads it from the "
                "environment"
            )
        if _TYPES[name] == tuple[str, ...]:
            options[name] = (*options.get(name, ()), text)
        elif name in options:
            raise InputError(f"`{name}` is given twice")
        else:
            options[name] = _value(name, text)
    return options


def _value(name: str, text: str) -> Any:
    kind = _TYPES[name]
    plain = text.isascii() and "_" not in text
    try:
        if kind in (int, int | None, int | str) and plain:
            return int(text)
        if kind in (float, float | None) and plain:
            return float(text)
    except ValueError:
        pass
    if kind in (str, str | None, int | str):
        return text
    if kind is bool and text in ("true", "false"):
        return text == "true"
    wanted = {bool: "true or false", int: "a whole number", int | None: "a whole number"}
    raise InputError(f"`{name}` must be {wanted.get(kind, 'a number')}, not {text!r}")


def _format(config: RerankConfig, stage: StageNotation) -> str:
    """Writes a stage with the model and the depth that it has, and otherwise as it was given."""
    model = config.cascade.teacher if stage.method == CASCADE else config.model.name
    options = tuple(pair for pair in stage.options if pair[0] != "teacher")
    return format_stage(StageNotation(stage.method, model, config.data.depth, options))
