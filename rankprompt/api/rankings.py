"""Prepares the candidates of each query, and makes rankings of what the models gave."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rankprompt.api.documents import DocumentLike, GivenDocument, read_documents, read_sequence
from rankprompt.api.engine import Ranked
from rankprompt.api.results import RankedDocument, Ranking, Usage
from rankprompt.errors import InputError
from rankprompt.pipeline.config_keywords import convert_value
from rankprompt.pipeline.job import RerankJob
from rankprompt.pipeline.scoring import meaning_of
from rankprompt.rankers.reranking import insert_reranked
from rankprompt.rankers.scores import DocumentScore, follow_ranking, strictly_decreasing
from rankprompt.types import Candidates, Query

__all__ = ["Task", "check_explanation", "make_tasks"]


@dataclass(frozen=True)
class Task:
    """A query and its documents.

    Attributes:
        query: the query, whose id is its position among the queries.
        documents: as they were given.
        candidates: the documents with text; None where there is nothing to judge.
        top_k: the most documents of the ranking; None for all.
        threshold: documents with a lower score are left out, and so are those without a text;
            those whose text was never judged stay. None keeps all.
    """

    query: Query
    documents: Sequence[GivenDocument]
    candidates: Candidates | None
    top_k: int | None
    threshold: float | None

    def ranking(self, job: RerankJob, ranked: Ranked | None, usage: Usage) -> Ranking:
        """The ranking of the documents; those that were not judged keep their positions."""
        name = self.query.id
        scores: Mapping[str, DocumentScore] = {}
        order = [one.document.id for one in self.documents]
        if self.candidates and ranked:
            scores = ranked.scores[name]
            texts = [document.id for document in self.candidates.documents]
            order = insert_reranked(texts, ranked.rankings[name])
            order += [one.document.id for one in self.documents if not one.document.text.strip()]
        followed = follow_ranking(order, scores)
        given = {one.document.id: (index, one) for index, one in enumerate(self.documents)}
        written = strictly_decreasing([one.score for one in followed.values()])
        documents = []
        for rank, ((document, own), score) in enumerate(
            zip(followed.items(), written, strict=True), 1
        ):
            index, one = given[document]
            # The score of a text that was never judged says nothing of it.
            unjudged = own.value is None and bool(one.document.text.strip())
            if self.threshold is None or unjudged or score >= self.threshold:
                documents.append(
                    RankedDocument(
                        index, document, score, rank, one.document.text, one.given, own.value
                    )
                )
        explanation = None
        if ranked and name in ranked.judged:
            # Only documents with a text were shown.
            shown = [index for index, one in enumerate(self.documents) if one.document.text.strip()]
            explanation = tuple(
                one._replace(indices=tuple(shown[index] for index in one.indices))
                for one in ranked.judged[name]
            )
        return Ranking(
            self.query.text, tuple(documents[: self.top_k]), meaning_of(job), usage, explanation
        )


def check_explanation(job: RerankJob, explain: bool) -> None:
    """Checks that a job asks questions, where they are to explain its rankings.

    Raises:
        InputError: only a cascade's teacher judges.
    """
    if explain and all(one.source == "teacher" for one in job.single_jobs):
        raise InputError(
            "`explain` lists the questions that were asked, and a cascade's teacher asks none; "
            "leave it out"
        )


def make_tasks(
    job: RerankJob,
    queries: Sequence[str],
    documents: Sequence[Sequence[DocumentLike]],
    top_k: int | None,
    threshold: float | None,
) -> list[Task]:
    """Checks queries and documents, before anything is asked.

    Args:
        job: the validated job.
        queries: texts.
        documents: of each query.
        top_k: as in ``Reranker.rank``.
        threshold: as in ``Reranker.rank``.

    Raises:
        InputError: they cannot be ranked.
    """
    if isinstance(queries, str):
        raise InputError("`queries` must be a sequence of texts; for a single query, call rank")
    queries, documents = read_sequence("queries", queries), read_sequence("documents", documents)
    if len(queries) != len(documents):
        raise InputError(f"{len(queries)} queries have {len(documents)} lists of documents")
    top_k = convert_value("top_k", top_k, int | None)
    if top_k is not None and top_k < 0:
        raise InputError(f"`top_k` must be a whole number of at least 0, not {top_k}")
    threshold = convert_value("threshold", threshold, float | None)
    if threshold is None:
        threshold = job.config.output.threshold
    elif not 0 <= threshold <= 1:
        raise InputError(f"`threshold` must be from 0 to 1, not {threshold}")
    return [
        _task(job, index, query, given, top_k, threshold)
        for index, (query, given) in enumerate(zip(queries, documents, strict=True))
    ]


def _task(
    job: RerankJob,
    index: int,
    text: object,
    documents: Sequence[DocumentLike],
    top_k: int | None,
    threshold: float | None,
) -> Task:
    if not isinstance(text, str) or not text.strip():
        raise InputError(f"a query must be a text that is not blank, not {text!r:.80}")
    query = Query(str(index), text)
    given = read_documents(documents, job.fields)
    present = [one.document for one in given if one.document.text.strip()]
    # Where there is no first stage, equal steps stand for its scores.
    scores = tuple(float(len(present) - position) for position in range(len(present)))
    candidates = Candidates(query, tuple(present), scores) if present else None
    return Task(query, given, candidates, top_k, threshold)
