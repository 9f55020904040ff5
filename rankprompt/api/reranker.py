"""``Reranker``: ranks texts for a query, with any model and any method, in a few lines."""

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Self

from rankprompt.api.documents import DocumentLike
from rankprompt.api.engine import rank_candidates
from rankprompt.api.rankings import Task, make_tasks
from rankprompt.api.results import Ranking, Usage
from rankprompt.errors import InputError
from rankprompt.llm.model_thread import Call
from rankprompt.llm.rerankers.names import MINILM
from rankprompt.pipeline.config import RerankConfig
from rankprompt.pipeline.config_file import load_config, load_manifest
from rankprompt.pipeline.config_keywords import config_from_options
from rankprompt.pipeline.job import RerankJob
from rankprompt.pipeline.model_access import SharedModels
from rankprompt.pipeline.validation import validate_ranking

__all__ = ["Reranker"]

# As deep as any list of candidates.
_ALL = 1_000_000
# Threads mostly wait for the model, which runs on a thread of its own.
_THREADS = 64


class Reranker:
    """Ranks documents for a query by a model that stays loaded.

    Calls from several threads and tasks at a time share the model's batches. The model is loaded by
    the first call, or by ``warm_up``. Where it can be, a mistake is reported before that.

    Args:
        model: as ``--model`` of ``rankprompt rerank``: the embedded reranker; a folder, a file or a
            hub id; ``openai:MODEL`` or ``rerank:MODEL`` behind a server.
        method: the ranking method; None for what suits the model.
        k: the methods that stop early rank the first k.
        stages: stages with a model each, in place of ``model`` and ``method``, such as
            ``["pointwise@100", "allpair:smollm2-135m@10"]``.
        journal: keeps all answers in this file; a question that it holds costs nothing.
        threshold: documents with a lower score are left out of every ranking.
        options: any other option of ``rankprompt rerank`` by its name, such as ``base_url``,
            ``prompt``, ``instruction``, ``depth``, ``max_prompts`` or ``seed``. Budgets are those
            of one call. Without ``depth``, all documents are ranked.

    Raises:
        InputError: an option that is unknown or cannot work.

    Examples:
        >>> from rankprompt import Reranker
        >>> reranker = Reranker("oracle:rankprompt/datasets/sample/en/qrels.trec")
    """

    def __init__(
        self,
        model: str = MINILM,
        *,
        method: str | None = None,
        k: int | None = None,
        stages: Sequence[str] = (),
        journal: Path | str | None = None,
        threshold: float | None = None,
        **options: Any,
    ) -> None:
        given: dict[str, Any] = {"model": model, "method": method, "k": k, "journal": journal}
        given |= {"threshold": threshold, "stage": tuple(stages) or None}
        chosen = {name: value for name, value in given.items() if value is not None}
        config = config_from_options(RerankConfig(), {"depth": _ALL, **chosen, **options})
        self._open(config, SharedModels(), None)

    @classmethod
    def from_config(cls, config: RerankConfig | Path | str, **options: Any) -> Self:
        """A reranker with the configuration of a run.

        Args:
            config: a configuration; or the path of a TOML file, or of a run's manifest (.json).
                What it says of files to read and write plays no part, but for the journal.
            options: options that replace those of the configuration.

        Raises:
            InputError: the file cannot be read, or an option cannot work.
        """
        if not isinstance(config, RerankConfig):
            path = Path(config)
            config = load_manifest(path) if path.suffix == ".json" else load_config(path)
        reranker = cls.__new__(cls)
        reranker._open(config_from_options(config, options), SharedModels(), None)
        return reranker

    def with_options(self, **options: Any) -> Self:
        """A reranker with some options replaced, which shares the models of this one.

        Closing either closes both.

        Raises:
            InputError: an option that is unknown or cannot work.
        """
        reranker = type(self).__new__(type(self))
        config = config_from_options(self._given, options)
        reranker._open(config, self._models, self._executor)
        return reranker

    def _open(
        self, config: RerankConfig, models: SharedModels, executor: ThreadPoolExecutor | None
    ) -> None:
        if config.ray.address:
            raise InputError("`ray` reranks runs; use rerank_run, or `rankprompt serve`")
        self._given = config
        output = replace(config.output, run=None, scores=None)
        self._job = validate_ranking(replace(config, output=output))
        self._models = models
        self._executor = executor or ThreadPoolExecutor(_THREADS, "rankprompt-call")
        self._usage, self._usage_lock = Usage(), threading.Lock()

    @property
    def config(self) -> RerankConfig:
        """The configuration with every gap filled, as a run's manifest shows it."""
        return self._job.config

    @property
    def job(self) -> RerankJob:
        """The validated job."""
        return self._job

    @property
    def usage(self) -> Usage:
        """What all calls of this reranker have cost so far."""
        return self._usage

    @property
    def batches(self) -> tuple[int, int]:
        """The number of batches that local models have answered, and of requests in them.

        Rerankers that share models by ``with_options`` count together.
        """
        return self._models.batches

    def rank(
        self,
        query: str,
        documents: Sequence[DocumentLike],
        *,
        top_k: int | None = None,
        threshold: float | None = None,
        explain: bool = False,
    ) -> Ranking:
        """Ranks documents for a query.

        Args:
            query: the query's text.
            documents: texts, (id, text) pairs, dictionaries or Documents; where a first stage found
                them, best first. Those without any text come last, and are not judged.
            top_k: the most documents of the result; None for all.
            threshold: in place of the reranker's own.
            explain: also give the questions that were asked, and their answers.

        Raises:
            InputError: a query without text, a document that is none, or ``top_k`` below 0.
            RankpromptError: the model cannot be loaded, or its answers cannot be read.
        """
        return self.rank_many(
            [query], [documents], top_k=top_k, threshold=threshold, explain=explain
        )[0]

    def rank_many(
        self,
        queries: Sequence[str],
        documents: Sequence[Sequence[DocumentLike]],
        *,
        top_k: int | None = None,
        threshold: float | None = None,
        explain: bool = False,
    ) -> list[Ranking]:
        """Ranks the documents of several queries, whose questions fill the model's batches.

        Args:
            queries: the queries' texts.
            documents: for each query, its documents.
            top_k: as in ``rank``.
            threshold: as in ``rank``.
            explain: as in ``rank``.

        Returns:
            A ranking for each query. A budget is that of all of them together, and so is the usage.

        Raises:
            RankpromptError: as ``rank``.
        """
        tasks = make_tasks(self._job, queries, documents, top_k, threshold)
        return self._rank(tasks, explain, Call())

    async def arank(
        self,
        query: str,
        documents: Sequence[DocumentLike],
        *,
        top_k: int | None = None,
        threshold: float | None = None,
        explain: bool = False,
    ) -> Ranking:
        """As ``rank``, without blocking the event loop; a cancelled task asks nothing more."""
        rankings = await self.arank_many(
            [query], [documents], top_k=top_k, threshold=threshold, explain=explain
        )
        return rankings[0]

    async def arank_many(
        self,
        queries: Sequence[str],
        documents: Sequence[Sequence[DocumentLike]],
        *,
        top_k: int | None = None,
        threshold: float | None = None,
        explain: bool = False,
    ) -> list[Ranking]:
        """As ``rank_many``, without blocking the event loop."""
        tasks = make_tasks(self._job, queries, documents, top_k, threshold)
        call = Call()
        work = partial(self._rank, tasks, explain, call)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, work)
        except CancelledError as error:  # the reranker was closed
            raise InputError("the reranker is closed") from error
        finally:
            call.cancel()

    def warm_up(self) -> None:
        """Loads the model, which the first call would do otherwise.

        Raises:
            RankpromptError: the model cannot be loaded, or its server cannot be reached.
        """
        self.rank("a", ["b", "c"])  # methods that compare ask nothing about one document

    def close(self) -> None:
        """Closes models, connections and the journal; calls that are under way fail."""
        self._executor.shutdown(wait=False, cancel_futures=True)
        self._models.close()

    def __enter__(self) -> Self:
        """Returns itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes the reranker."""
        self.close()

    def _rank(self, tasks: Sequence[Task], explain: bool, call: Call) -> list[Ranking]:
        asked = [task.candidates for task in tasks if task.candidates]
        if not asked:
            return [task.ranking(self._job, None, Usage()) for task in tasks]
        ranked = rank_candidates(self._job, asked, self._models, call=call, explain=explain)
        with self._usage_lock:
            self._usage += ranked.usage
        return [task.ranking(self._job, ranked, ranked.usage) for task in tasks]
