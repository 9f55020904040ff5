"""How a reranking gets at its models, servers and journals; ``OwnModels`` opens them anew."""

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple, Protocol

from rankprompt.cascade import Cascade
from rankprompt.cascade.teachers import ModelTeacher
from rankprompt.journal.cached_model import Runner
from rankprompt.journal.call_limit import CallLimit
from rankprompt.journal.store import Journal
from rankprompt.llm import AsyncLanguageModel, LanguageModel, load_model
from rankprompt.pipeline.engine_fields import engine_settings
from rankprompt.pipeline.job import RerankJob
from rankprompt.pipeline.passages import open_cascade
from rankprompt.pipeline.server_fields import connect, connect_batches

__all__ = ["ModelAccess", "OwnModels", "Server", "load_local"]


class Server(NamedTuple):
    """A connection to a model behind a server.

    Attributes:
        runner: runs the calls.
        model: the model.
        calls: limits the calls in flight, of all rerankings that share the connection.
    """

    runner: Runner
    model: AsyncLanguageModel
    calls: CallLimit


class ModelAccess(Protocol):
    """Opens what a reranking needs; what is its own is closed by the stack."""

    def journal(self, path: Path | None, stack: ExitStack) -> Journal:
        """The journal at a path; None for one in memory."""

    def local(self, job: RerankJob, stack: ExitStack) -> LanguageModel:
        """The model of a job on this machine."""

    def server(self, job: RerankJob, stack: ExitStack) -> Server:
        """The connection to the model of a job behind a server."""

    def cascade(self, job: RerankJob) -> Cascade | None:
        """The cascade of a job, as ``open_cascade`` gives it."""

    def teacher(
        self, job: RerankJob, load: Callable[[], ModelTeacher], stack: ExitStack
    ) -> ModelTeacher:
        """A cascade's teacher that is a network of its own, or loads it; for this call alone."""


def load_local(job: RerankJob, device: str | None = None) -> LanguageModel:
    """Loads the local model of a job, on another device than the job's where one is named."""
    model = job.config.model
    return load_model(
        model.name,
        dtype=model.dtype,
        device=device or model.device,
        batch_tokens=model.batch_tokens,
        trust_remote_code=model.trust_remote_code,
        threads=model.threads,
        revision=model.revision,
        adapter=model.adapter,
        tokenizer=model.tokenizer,
        quantize=model.quantize,
        attention=model.attention,
        engine=engine_settings(model),
    )


class OwnModels:
    """Opens everything anew: the reranking is the only one that uses it."""

    def journal(self, path: Path | None, stack: ExitStack) -> Journal:
        """As ``ModelAccess.journal``."""
        journal = Journal(path)
        stack.callback(journal.close)
        return journal

    def local(self, job: RerankJob, stack: ExitStack) -> LanguageModel:
        """As ``ModelAccess.local``."""
        del stack
        return load_local(job)

    def server(self, job: RerankJob, stack: ExitStack) -> Server:
        """As ``ModelAccess.server``."""
        runner = stack.enter_context(asyncio.Runner())
        model = connect_batches(job) if job.config.model.batch_api else connect(job)
        stack.callback(lambda: runner.run(model.close()))
        runner.run(model.open())
        return Server(runner, model, CallLimit(job.config.model.concurrency))

    def cascade(self, job: RerankJob) -> Cascade | None:
        """As ``ModelAccess.cascade``."""
        return open_cascade(job)

    def teacher(
        self, job: RerankJob, load: Callable[[], ModelTeacher], stack: ExitStack
    ) -> ModelTeacher:
        """As ``ModelAccess.teacher``."""
        del job, stack
        return load()
