"""A worker of the service: a replica of a deployment of Ray Serve, with a model of its own."""

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from importlib import import_module
from typing import Any, NamedTuple

from rankprompt.api.documents import DocumentLike
from rankprompt.api.reranker import Reranker
from rankprompt.api.results import Ranking, Usage
from rankprompt.errors import RankpromptError, naming_extras
from rankprompt.pipeline.config import RerankConfig

__all__ = ["Answer", "Worker"]


class Answer(NamedTuple):
    """What a worker found.

    Attributes:
        worker: its id.
        batches: how many the worker's model has answered so far, and of how many prompts.
        usage: what the request has cost this worker.
        loaded: whether the worker has a model; without one, another is to be asked.
        outcome: the rankings, or an error of ours: Ray adds a traceback to one that is raised.
    """

    worker: str
    batches: tuple[int, int]
    usage: Usage
    loaded: bool
    outcome: list[Ranking] | RankpromptError


class Worker:
    """Holds a reranker, and ranks what it is sent.

    Args:
        config: the reranker's, without a cluster.
        folder: where the service was started, to which paths in the configuration are relative.
        variants: how many combinations of options of requests are kept at a time.
    """

    def __init__(self, config: RerankConfig, folder: str, variants: int) -> None:
        with suppress(OSError):  # another machine may lack it, and need no file from it
            os.chdir(folder)
        self._id = import_module("ray.serve").get_replica_context().replica_id.unique_id
        self._failure: RankpromptError | None = None
        self._told = False
        self._variant = lru_cache(variants)(self._with_options)
        try:
            self._reranker = Reranker.from_config(config)
            with naming_extras():
                self._reranker.warm_up()
        except RankpromptError as error:
            self._failure = error

    def _with_options(self, options: tuple[tuple[str, Any], ...]) -> Reranker:
        return self._reranker.with_options(**dict(options)) if options else self._reranker

    def failure(self) -> RankpromptError | None:
        """Why the model cannot be loaded."""
        self._told = True
        return self._failure

    def check_health(self) -> None:
        """Lets Ray Serve start another worker in place of one without a model, once that is known.

        Raises:
            RankpromptError: the model cannot be loaded.
        """
        if self._failure and self._told:
            raise self._failure

    async def rank(
        self,
        options: tuple[tuple[str, Any], ...],
        queries: Sequence[str],
        documents: Sequence[Sequence[DocumentLike]],
        more: Mapping[str, Any],
    ) -> Answer:
        """As ``Reranker.arank_many``, with options for ``Reranker.with_options``."""
        if self._failure:
            self._told = True
            return Answer(self._id, (0, 0), Usage(), False, self._failure)
        outcome: list[Ranking] | RankpromptError
        costs = [Usage()]
        try:
            outcome = await self._variant(options).arank_many(
                queries, documents, spent=costs.append, **more
            )
        except RankpromptError as error:
            outcome = error
        return Answer(self._id, self._reranker.batches, costs[-1], True, outcome)

    def __del__(self) -> None:
        """Closes the reranker; Ray Serve calls this before it ends the process."""
        if not self._failure:
            self._reranker.close()
