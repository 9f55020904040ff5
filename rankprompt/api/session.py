"""What a reranker keeps open: its job, the models that calls share, and threads for the calls."""

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

from rankprompt.api.documents import DocumentLike
from rankprompt.api.engine import rank_candidates
from rankprompt.api.rankings import Task, make_tasks
from rankprompt.api.results import Ranking, Usage
from rankprompt.errors import InputError
from rankprompt.llm.model_thread import Call
from rankprompt.pipeline.config import RerankConfig
from rankprompt.pipeline.config_keywords import config_from_options
from rankprompt.pipeline.shared_models import SharedModels
from rankprompt.pipeline.validation import validate_ranking

__all__ = ["Session"]

# Threads mostly wait for the model, which runs on a thread of its own.
_THREADS = 64


class Session:
    """A validated job with open models, for the calls of a reranker.

    Args:
        config: the configuration.
        base: another session, whose models and threads this one uses; None for its own.

    Attributes:
        job: the validated job.
        models: the models, which the first call opens.
        executor: runs the calls that may not block.
        usage: what all calls have cost so far.

    Raises:
        InputError: the configuration cannot work.
    """

    def __init__(self, config: RerankConfig, base: "Session | None" = None) -> None:
        if config.ray.address:
            raise InputError("`ray` reranks runs; use rerank_run, or `rankprompt serve`")
        self._given = config
        journal = config.output.journal and config.output.journal.absolute()
        if journal and not journal.parent.is_dir():
            raise InputError(f"`journal` {journal}: there is no such folder")
        output = replace(config.output, run=None, scores=None, journal=journal)
        self.job = validate_ranking(replace(config, output=output))
        self.models: SharedModels = base.models if base else SharedModels()
        self.executor: ThreadPoolExecutor = (
            base.executor if base else ThreadPoolExecutor(_THREADS, "rankprompt-call")
        )
        self.usage, self._usage_lock = Usage(), threading.Lock()

    def variant(self, options: Mapping[str, Any]) -> "Session":
        """A session with some options replaced, on the same models and threads."""
        return Session(config_from_options(self._given, options), self)

    def tasks(
        self,
        queries: Sequence[str],
        documents: Sequence[Sequence[DocumentLike]],
        top_k: int | None = None,
        threshold: float | None = None,
    ) -> list[Task]:
        """Checks queries and documents, before anything is asked; as ``make_tasks``."""
        if self.models.closed:
            raise InputError("the reranker was closed")
        return make_tasks(self.job, queries, documents, top_k, threshold)

    def rank(
        self,
        tasks: Sequence[Task],
        explain: bool,
        call: Call,
        spent: Callable[[Usage], None] | None = None,
    ) -> list[Ranking]:
        """Ranks the documents of some queries in lock-step.

        Args:
            tasks: the queries and their documents.
            explain: keep the questions and their answers.
            call: the call, which may be cancelled.
            spent: is called with what it has cost, also where it fails or is cancelled.

        Raises:
            CancelledError: the call was cancelled.
            RankpromptError: as ``Reranker.rank``.
        """
        asked = [task.candidates for task in tasks if task.candidates and task.top_k != 0]
        if not asked:
            return [task.ranking(self.job, None, Usage()) for task in tasks]

        def note(usage: Usage) -> None:
            with self._usage_lock:
                self.usage += usage
            if spent:
                spent(usage)

        try:
            ranked = rank_candidates(
                self.job, asked, self.models, call=call, spent=note, explain=explain
            )
        except CancelledError as error:
            if call.cancelled:
                raise
            raise InputError("the reranker was closed") from error
        return [task.ranking(self.job, ranked, ranked.usage) for task in tasks]

    async def rank_in_thread(
        self, tasks: Sequence[Task], explain: bool, spent: Callable[[Usage], None] | None
    ) -> list[Ranking]:
        """As ``rank``, without blocking the event loop; a task that is cancelled ends its call."""
        call = Call()
        work = partial(self.rank, tasks, explain, call, spent)
        try:
            return await asyncio.get_running_loop().run_in_executor(self.executor, work)
        except RuntimeError as error:
            if self.models.closed:
                raise InputError("the reranker was closed") from error
            raise
        finally:
            call.cancel()

    def close(self) -> None:
        """Closes the models; calls that are under way fail."""
        self.executor.shutdown(wait=False)
        self.models.close()
