"""``RankpromptSearch``: a ``Reranker`` as a model that ``mteb.evaluate`` can score."""

import logging
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rankprompt.api.reranker import Reranker
from rankprompt.datasets.passages import join_fields
from rankprompt.errors import InputError, require
from rankprompt.pipeline.config_option import iterate_options
from rankprompt.retrieval.analyzer import guess_language
from rankprompt.retrieval.bm25 import Index
from rankprompt.types import Document
from rankprompt.version import VERSION

if TYPE_CHECKING:
    from mteb.models import ModelMeta

__all__ = ["RankpromptSearch"]

log = logging.getLogger("rankprompt")

# Where the journal lies changes no score.
_ELSEWHERE = ("model", "journal")


class RankpromptSearch:
    """Reranks the candidates of MTEB's tasks (MTEB 2's ``SearchProtocol``).

    A reranking task gives the candidates. Those of a retrieval task are found by BM25 over its
    corpus. The instructions of queries go to the reranker where its prompt has a slot for them.

    Args:
        reranker: ranks the candidates.
        depth: how many documents BM25 finds for each query of a retrieval task.
        language: of the texts, for BM25, as ``--language`` of ``rankprompt retrieve``; None to
            guess it from the queries.

    Raises:
        MissingPackageError: mteb is not installed.

    Examples:
        >>> from rankprompt import Reranker
        >>> from rankprompt.integrations.mteb import RankpromptSearch
        >>> model = RankpromptSearch(Reranker())
        >>> results = mteb.evaluate(model, tasks)  # doctest: +SKIP
    """

    def __init__(
        self, reranker: Reranker, *, depth: int = 100, language: str | None = None
    ) -> None:
        require("mteb")
        self.reranker, self.depth, self.language = reranker, depth, language
        self._corpus: Any = None

    @property
    def mteb_model_meta(self) -> "ModelMeta":
        """Names the model and all options that may change scores: MTEB caches results by them."""
        from mteb.models import ModelMeta

        config = self.reranker.config
        options = {
            name: value if isinstance(value, bool | int | float) else str(value)
            for name, value, default, _ in iterate_options(config)
            if value != default and name not in _ELSEWHERE
        }
        name = re.sub(r"[^\w.]+", "-", config.model.name).strip("-")
        return ModelMeta.create_empty(
            {
                "name": f"rankprompt/{name}",
                "revision": VERSION,
                "model_type": ["cross-encoder"],
                "use_instructions": self._instructed("") is not None,
                "experiment_kwargs": {**options, "bm25": f"{self.depth} {self.language or ''}"},
            }
        )

    def index(self, corpus: Any, **_: Any) -> None:
        """Keeps the corpus of a task.

        Args:
            corpus: rows with an "id", a "text" and perhaps a "title".
        """
        if "text" not in corpus.column_names:
            raise InputError("a task of MTEB without texts cannot be reranked")
        self._corpus = corpus

    def search(
        self,
        queries: Any,
        *,
        top_k: int,
        top_ranked: Mapping[str, Sequence[str]] | None = None,
        **_: Any,
    ) -> dict[str, dict[str, float]]:
        """Finds candidates, unless they are given, and reranks them.

        Args:
            queries: rows with an "id", a "text" and perhaps an "instruction".
            top_k: the most documents of each query.
            top_ranked: the ids of each query's candidates, best first.

        Returns:
            Scores by query id and document id, best first.

        Raises:
            RankpromptError: as ``Reranker.rank_many``.
        """
        ids = list(self._corpus["id"])
        texts = dict(zip(queries["id"], queries["text"], strict=True))
        if top_ranked is None:
            candidates = self._retrieve(texts)
        else:
            position = {name: index for index, name in enumerate(ids)}
            unique = {query: dict.fromkeys(top_ranked.get(query, ())) for query in texts}
            for query, names in unique.items():
                if unknown := names.keys() - position.keys():
                    raise InputError(f"query {query}: no document {min(unknown)!r} in the corpus")
            candidates = {query: [position[name] for name in unique[query]] for query in texts}
        results: dict[str, dict[str, float]] = {query: {} for query in texts}
        for instruction, group in self._group(queries).items():
            reranker = self._instructed(instruction) if instruction else self.reranker
            if reranker is None:
                log.warning("the prompt has no slot for the instructions of queries: left out")
                reranker = self.reranker
            rankings = reranker.rank_many(
                [texts[query] for query in group],
                [[self._document(index) for index in candidates[query]] for query in group],
                top_k=top_k,
            )
            for query, ranking in zip(group, rankings, strict=True):
                results[query] = {ids[int(one.id)]: one.score for one in ranking}
        return results

    def _retrieve(self, texts: Mapping[str, str]) -> dict[str, list[int]]:
        language = self.language or guess_language(texts.values())
        documents = map(self._document, range(len(self._corpus)))
        found = Index.build(documents, language=language).search(texts, self.depth)
        return {query: [int(name) for name in scores] for query, scores in found}

    def _document(self, index: int) -> Document:
        # MTEB's ids may hold spaces. Positions of equal lengths let BM25 keep the corpus's order.
        row = {name: text for name, text in self._corpus[index].items() if isinstance(text, str)}
        return join_fields(f"{index:012}", row, self.reranker.job.fields)

    def _group(self, queries: Any) -> dict[str, list[str]]:
        given = queries["instruction"] if "instruction" in queries.column_names else None
        groups: dict[str, list[str]] = {}
        for index, query in enumerate(queries["id"]):
            groups.setdefault((given[index] if given else None) or "", []).append(query)
        return groups

    def _instructed(self, instruction: str) -> Reranker | None:
        """The reranker with an instruction; None where its prompt has no slot for one."""
        try:
            return self.reranker.with_options(instruction=instruction)
        except InputError:
            return None
