"""The model of an evolution: in this process, behind a server, or on workers of a cluster."""

import logging
from collections.abc import Callable
from contextlib import ExitStack
from typing import TypeAlias

from rankprompt.journal.call_limit import most_calls
from rankprompt.llm import LanguageModel
from rankprompt.llm.model_thread import Call
from rankprompt.llm.registry import split_prefix
from rankprompt.llm.tokenizer_offsets import Offsets, word_offsets
from rankprompt.pipeline.config import RerankConfig
from rankprompt.pipeline.job import RerankJob
from rankprompt.pipeline.language_model import language_model_job
from rankprompt.pipeline.model_access import load_local
from rankprompt.pipeline.shared_models import SharedModels
from rankprompt.search.config import EvolveConfig
from rankprompt.search.served_model import ServedModel

__all__ = ["Load", "model_job", "offsets_of", "open_model"]

log = logging.getLogger("rankprompt")

Load: TypeAlias = Callable[[RerankJob], LanguageModel]
"""Loads the model of a job in this process."""


def model_job(config: EvolveConfig) -> RerankJob:
    """Checks, at no cost, who is to be asked, and gives the job that models are opened by.

    It has the model, the budget and the cluster of an evolution, and no prompt.

    Raises:
        InputError: a field that cannot work; the message names it and says what would work.
    """
    asked = RerankConfig(model=config.model, budget=config.budget, ray=config.ray)
    return language_model_job(
        asked,
        "reads no prompt that could be evolved",
        asks=not (config.output / "answers.journal").exists(),
    )


def open_model(job: RerankJob, stack: ExitStack, load: Load = load_local) -> LanguageModel:
    """Opens the model of a job; the stack closes it.

    Args:
        job: as ``model_job`` gives it.
        stack: closes connections, and ends workers.
        load: loads a model in this process.

    Raises:
        ModelError: the model cannot be loaded, or its server not be reached.
        InputError: there is no cluster, or it cannot be used.
    """
    if job.source == "server":
        shared = stack.enter_context(SharedModels())
        # Its event loop has a thread of its own: a notebook runs another in this one.
        server = stack.enter_context(shared.calling(Call())).server(job, stack)
        concurrency = most_calls(job.config.model.concurrency)
        return ServedModel(server.model, server.runner, server.calls, concurrency)
    if job.config.ray.address:
        from rankprompt.pipeline.ray import RayModel, WorkerConfig, cluster_of

        config = WorkerConfig(job, f"{load_local.__module__}:{load_local.__name__}")
        return stack.enter_context(RayModel(config, cluster_of(job.config.ray)))
    return load(job)


def offsets_of(job: RerankJob, tokens: Callable[[str], Offsets]) -> Offsets:
    """What tells where the tokens of the seed prompt stand, which are its genes.

    Args:
        job: as ``model_job`` gives it.
        tokens: gives the token offsets of a model by its name.
    """
    if tokenizer := job.config.model.tokenizer:
        return tokens(tokenizer)
    if job.source != "server":
        return tokens(split_prefix(job.model)[1])
    log.info(
        "words are pruned, for no server tells where its tokens stand; `tokenizer` FOLDER, the "
        "model's own, has the search prune tokens"
    )
    return word_offsets
