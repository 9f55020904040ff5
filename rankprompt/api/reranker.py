"""``Reranker``: ranks texts for a query, with any model and any method, in a few lines."""

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

from rankprompt.api.documents import DocumentLike
from rankprompt.api.rankings import check_explanation
from rankprompt.api.results import Ranking, Usage
from rankprompt.api.secrets import refuse_secrets
from rankprompt.api.session import Session
from rankprompt.llm.model_thread import Call
from rankprompt.llm.rerankers.names import MINILM
from rankprompt.pipeline.config import RerankConfig
from rankprompt.pipeline.config_keywords import config_from, config_from_options
from rankprompt.pipeline.job import RerankJob

if TYPE_CHECKING:
    from rankprompt.integrations.pyterrier import RankpromptTransformer
    from rankprompt.planning.config import Plan

__all__ = ["Reranker"]

# As deep as any list of candidates.
_ALL = 1_000_000


class Reranker:
    """Ranks documents for a query by a model that stays loaded.

    Calls from several threads and tasks at a time share the model's batches. The model is loaded by
    the first call, or by ``warm_up``. Where it can be, a mistake is reported before that. A pickle
    or a copy holds the configuration alone, and is a new reranker, which loads its own model.

    Args:
        model: as ``--model`` of ``rankprompt rerank``: the embedded reranker; a folder, a file or a
            hub id; ``openai:MODEL`` or ``rerank:MODEL`` behind a server.
        method: the ranking method; None for what suits the model.
        k: the methods that stop early rank the first k.
        stages: a stage, or several, with a model each, in place of ``model`` and ``method``, such
            as ``["pointwise@100", "allpair:smollm2-135m@10"]``.
        journal: keeps all answers in this file; a question that it holds costs nothing.
        threshold: documents with a lower score are left out of every ranking. Those with a text
            that was never judged (``value`` is None) stay: a single document by a method that
            compares, those below ``depth``, and those that a budget did not reach.
        options: any other option of ``rankprompt rerank`` by its name, such as ``base_url``,
            ``prompt``, ``instruction``, ``depth``, ``max_prompts`` or ``seed``. Budgets are those
            of one call. Without ``depth``, all documents are ranked.

    Raises:
        InputError: an option that is unknown or cannot work.

    Examples:
        >>> from rankprompt import Reranker
        >>> with Reranker() as reranker:
        ...     texts = ["An old mill.", "Bees make honey of nectar, which they dry."]
        ...     ranking = reranker.rank("how do bees make honey", texts)
        >>> [(document.rank, document.index) for document in ranking]
        [(1, 1), (2, 0)]
        >>> ranking[0].score > 0.5, str(ranking.meaning), ranking.usage.prompts
        (True, 'probability of relevance', 2)
    """

    def __init__(
        self,
        model: str = MINILM,
        *,
        method: str | None = None,
        k: int | None = None,
        stages: str | Sequence[str] = (),
        journal: Path | str | None = None,
        threshold: float | None = None,
        **options: Any,
    ) -> None:
        given: dict[str, Any] = {"model": model, "method": method, "k": k, "journal": journal}
        given |= {"threshold": threshold, "stage": stages or None}
        chosen = {name: value for name, value in given.items() if value is not None}
        config = config_from_options(RerankConfig(), {"depth": _ALL, **chosen, **options})
        self._session = Session(config)

    @classmethod
    def from_config(cls, config: RerankConfig | Path | str, **options: Any) -> Self:
        """A reranker with the configuration of a run.

        Its ``depth`` is that of the configuration, by default 100: of more documents, those below
        keep their order and are not judged. The constructor, without ``depth``, ranks all.

        Args:
            config: a configuration; or the path of a TOML file, or of a run's manifest (.json).
                What it says of files to read and write plays no part, but for the journal.
            options: options that replace those of the configuration.

        Raises:
            InputError: the file cannot be read, or an option cannot work.
        """
        reranker = cls.__new__(cls)
        reranker._session = Session(config_from(config, options))
        return reranker

    def with_options(self, **options: Any) -> Self:
        """A reranker with some options replaced, which shares the models of this one.

        Closing either closes both.

        Raises:
            InputError: an option that is unknown or cannot work.
        """
        reranker = type(self).__new__(type(self))
        reranker._session = self._session.variant(options)
        return reranker

    @property
    def config(self) -> RerankConfig:
        """The configuration with every gap filled, as a run's manifest shows it."""
        return self._session.job.config

    @property
    def job(self) -> RerankJob:
        """The validated job."""
        return self._session.job

    @property
    def usage(self) -> Usage:
        """What all calls of this reranker have cost so far."""
        return self._session.usage

    @property
    def batches(self) -> tuple[int, int]:
        """The number of batches that local models have answered, and of requests in them.

        Rerankers that share models by ``with_options`` count together.
        """
        return self._session.models.batches

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
            InputError: a query without text, a document that is none, ``top_k`` below 0, or
                ``explain`` where only a cascade's teacher judges, which asks no questions.
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
        check_explanation(self.job, explain)
        tasks = self._session.tasks(queries, documents, top_k, threshold)
        return self._session.rank(tasks, explain, Call())

    async def arank(
        self,
        query: str,
        documents: Sequence[DocumentLike],
        *,
        top_k: int | None = None,
        threshold: float | None = None,
        explain: bool = False,
        spent: Callable[[Usage], None] | None = None,
    ) -> Ranking:
        """As ``rank``, without blocking the event loop; a cancelled task asks nothing more.

        ``spent`` is called from another thread with what the call has cost, also where it fails,
        and where it is cancelled when what was asked has been answered.
        """
        rankings = await self.arank_many(
            [query], [documents], top_k=top_k, threshold=threshold, explain=explain, spent=spent
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
        spent: Callable[[Usage], None] | None = None,
    ) -> list[Ranking]:
        """As ``rank_many``, without blocking the event loop; ``spent`` as in ``arank``."""
        check_explanation(self.job, explain)
        tasks = self._session.tasks(queries, documents, top_k, threshold)
        return await self._session.rank_in_thread(tasks, explain, spent)

    def plan(
        self,
        queries: str | Sequence[str],
        documents: Sequence[DocumentLike] | Sequence[Sequence[DocumentLike]],
        *,
        calibrate: bool = False,
        seeds: int = 3,
    ) -> "Plan":
        """Prices every method on these documents, before any question is asked.

        Args:
            queries: a query, or several.
            documents: of the query; or for each of several queries, its documents.
            calibrate: measure the model's speed, by a few prompts.
            seeds: simulations whose mean is taken.

        Returns:
            For each method its questions, rounds, prompts, tokens and cost, and the quality that it
            would reach with a judge that errs, by synthetic grades. With stages, each stage.

        Raises:
            InputError: as ``rank``, or there is nothing to rank.
        """
        from rankprompt.api.planning import plan_tasks

        if isinstance(queries, str):
            queries, documents = [queries], [cast(Sequence[DocumentLike], documents)]
        lists = cast(Sequence[Sequence[DocumentLike]], documents)
        session = self._session
        tasks = session.tasks(queries, lists)
        # On another thread: where the caller runs an event loop, it could not run one here.
        return session.executor.submit(plan_tasks, session.job, tasks, calibrate, seeds).result()

    def pyterrier(self, text_field: str = "text") -> "RankpromptTransformer":
        """A step of a PyTerrier pipeline: ``bm25 % 100 >> text >> Reranker().pyterrier()``.

        Args:
            text_field: the column of the documents' texts, as ``pt.text.get_text`` adds it.

        Raises:
            MissingPackageError: pyterrier is not installed.
        """
        # By its name, since the layer of the adapters lies above this one.
        adapters: Any = import_module("rankprompt.integrations.pyterrier")
        transformer: RankpromptTransformer = adapters.RankpromptTransformer(self, text_field)
        return transformer

    def warm_up(self) -> None:
        """Loads the model, which the first call would do otherwise, and asks it a question.

        Raises:
            RankpromptError: the model cannot be loaded, or its server cannot be reached.
        """
        self.rank("a", ["b", "c"])  # methods that compare ask nothing about one document

    def close(self) -> None:
        """Closes models, connections and the journal; calls that are under way fail."""
        self._session.close()

    def __reduce__(self) -> tuple[Any, ...]:
        refuse_secrets(self.config, "a reranker that is pickled or copied, which holds no secret")
        return type(self).from_config, (self.config,)

    def __enter__(self) -> Self:
        """Returns itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes the reranker."""
        self.close()
