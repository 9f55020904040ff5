"""Questions that are no pairs, put to the embedded model."""

from contextlib import closing

import pytest

from rankprompt.datasets.sample import sample
from rankprompt.files import read_documents, read_queries
from rankprompt.journal.cached_model import CachedModel
from rankprompt.journal.store import Journal
from rankprompt.judges.registry import single_order_adapter
from rankprompt.judges.single_order import SingleOrderJudge
from rankprompt.llm import load_model
from rankprompt.prompts.prompt import load_prompt
from rankprompt.rankers import METHODS, RankerSettings
from rankprompt.rankers.reranking import rerank
from rankprompt.retrieval import bm25
from rankprompt.types import Candidates, Query


@pytest.mark.model
def test_the_embedded_model_answers_every_kind() -> None:
    source = sample("en")
    queries = dict(list(read_queries(source / "queries.tsv").items())[:1])
    documents = read_documents(source / "docs.jsonl")
    candidates = [
        Candidates(Query(query, queries[query]), tuple(documents[name] for name in found), ())
        for query, scores in bm25(queries, documents, depth=4).items()
        for found in [list(scores)]
    ]
    model = load_model("smollm2-135m", dtype="float32", device="cpu")
    with closing(Journal(None)) as journal:
        answering = CachedModel(model, journal)
        for method, prompt, mode in (
            ("pointwise", "relevance-yes-no", "scoring"),
            ("setwise-heapsort", "setwise", "scoring"),
            ("setwise-heapsort", "setwise", "generation"),
            ("listwise", "listwise", "scoring"),
            ("listwise", "listwise", "generation"),
        ):
            judge = SingleOrderJudge(
                answering, single_order_adapter(load_prompt(prompt), mode), passage_tokens=30
            )
            kind, ranker = (
                METHODS[method].question,
                METHODS[method].bind(RankerSettings(2, 2, False)),
            )
            rankings = rerank(candidates, judge, ranker, question=kind).rankings
            for one in candidates:
                assert sorted(rankings[one.query.id]) == sorted(doc.id for doc in one.documents)
            found = judge.diagnostics.summary()
            assert found["questions"] == judge.asked > 0
            if mode == "scoring":
                assert found["unreadable"] == found["repaired"] == 0
        # Scored answers and written ones were all asked.
        assert answering.costs.prompts == journal.totals()[1]
