"""The sample's long documents: what stands deep inside is found with the cascade, not without.

``rerank --cascade bm25`` with its defaults, on the texts without their titles (which tell what a
document is about), against a truncation to the 512 tokens that encoders read: about twice what the
cascade shows. 512 is chosen for that, and because it shows the difference: cut to 150 tokens, or to
the 262 that the cascade shows at the most, each beginning tells its subject well enough, and so do
windows at random. Six queries are few; docs/cascade.md measures on more.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from rankprompt.datasets.sample import sample
from rankprompt.files import read_documents, read_qrels, read_queries, read_run, write_run
from rankprompt.pipeline.rerank import run_rerank
from tests.configs import configure

TRUNCATED = 512


@pytest.mark.model
def test_what_stands_deep_inside_is_ranked_above_where_truncation_ranks_it(tmp_path: Path) -> None:
    folder, run = sample("long"), tmp_path / "all.trec"
    queries, docs = folder / "queries.tsv", folder / "docs.jsonl"
    write_run(run, {one: list(read_documents(docs)) for one in read_queries(queries)}, "all")
    qrels = read_qrels(folder / "qrels.trec")
    relevant = {query: next(iter(grades)) for query, grades in qrels.items()}

    def places(name: str, **settings: Any) -> dict[str, int]:
        output = tmp_path / f"{name}.trec"
        config = configure(
            run=run,
            queries=queries,
            docs=docs,
            output=output,
            fields="text",
            model="smollm2-135m",
            **settings,
        )
        run_rerank(config)
        manifest = json.loads(output.with_suffix(".json").read_text())
        assert bool(manifest["passages_cut"]) == ("passage_tokens" in settings)
        ranked = {query: list(scores) for query, scores in read_run(output).items()}
        return {query: ranked[query].index(relevant[query]) for query in relevant}

    cascaded = places("cascade", cascade="bm25")
    truncated = places("truncation", passage_tokens=TRUNCATED)
    assert all(cascaded[query] <= truncated[query] for query in relevant)
    assert any(cascaded[query] < truncated[query] for query in relevant)
