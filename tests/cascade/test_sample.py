"""The sample's long documents: what stands deep inside is found with the cascade, not without."""

import json

import pytest

from rankprompt.answering import Answering
from rankprompt.cascade.cascade import Cascade
from rankprompt.cascade.offsets import model_offsets
from rankprompt.cascade.students import load_student
from rankprompt.files import build_candidates, read_qrels, read_queries
from rankprompt.journal import Journal
from rankprompt.judges import PairwiseJudge
from rankprompt.models import embedded, load_model
from rankprompt.prompt import load_prompt
from rankprompt.readings import reading
from rankprompt.records import Candidates, Document
from rankprompt.reranking import rerank
from rankprompt.sample import sample
from rankprompt.sorting import allpair

KEEP, SHOWN = 2, 150  # windows, of 64 tokens each; and the tokens that a judge sees


def long_documents() -> tuple[list[Candidates], dict[str, str]]:
    """All six documents for each query, without their titles, which tell what they are about."""
    folder = sample("long")
    with (folder / "docs.jsonl").open(encoding="utf-8") as file:
        documents = {one["id"]: Document(one["id"], one["text"]) for one in map(json.loads, file)}
    queries = read_queries(folder / "queries.tsv")
    run = {query: dict.fromkeys(documents, 0.0) for query in queries}
    qrels = read_qrels(folder / "qrels.trec")
    relevant = {query: next(iter(grades)) for query, grades in qrels.items()}
    return build_candidates(run, queries, documents)[0], relevant


@pytest.mark.model
def test_what_stands_deep_inside_is_ranked_above_where_truncation_ranks_it() -> None:
    candidates, relevant = long_documents()
    answering = Answering(load_model(embedded.EMBEDDED), Journal(None))

    def places(asked: list[Candidates]) -> dict[str, int]:
        asks = reading(load_prompt("query-likelihood"), "scoring")
        judge = PairwiseJudge(answering, asks, decide="soft", passage_tokens=SHOWN)
        rankings = rerank(asked, judge, allpair).rankings
        return {query: rankings[query].index(relevant[query]) for query in rankings}

    cascade = Cascade(
        load_student("bm25"), model_offsets(embedded.EMBEDDED), keep=KEEP, passage_tokens=SHOWN
    )
    cascaded, truncated = places(cascade(candidates)), places(candidates)
    assert all(cascaded[query] <= truncated[query] for query in relevant)
    assert any(cascaded[query] < truncated[query] for query in relevant)
