"""What is the head of `make judge` worth on collections that it has not seen? docs/distil.md.

The head was taught on texts of our own. The plain model's query likelihood and the head rerank the
first candidates of TREC DL 2019 and of the sample collection.
"""

import argparse
import platform
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.distil import pairs_right, top
from benchmarks.tables import replace_part, table
from rankprompt.api.evaluation import compare
from rankprompt.eval import ndcg_at_10
from rankprompt.files import read_qrels, read_run
from rankprompt.files.cache_directory import cache_dir
from rankprompt.pipeline.config import RerankConfig
from rankprompt.pipeline.config_keywords import config_from_options
from rankprompt.pipeline.rerank import run_rerank
from rankprompt.retrieval.first_stage import RetrievalConfig, retrieve
from rankprompt.types import Run

PAGE = Path("docs/distil.md")
WRITER = "benchmarks/judge.py"
HEAD = Path("build/judge/smollm2-135m-head")
COLLECTIONS = {
    "DL19": Path("../shared/data/dl19"),
    "sample": Path("rankprompt/datasets/sample/en"),
}
DEPTH = 20
MODELS = {
    "query likelihood": {"model": "smollm2-135m", "prompt": "query-likelihood"},
    "the head": {"model": str(HEAD)},
    "its teacher": {"model": "ms-marco-minilm-l12"},
}


def ranked(name: str, collection: Path, output: Path) -> tuple[Run, dict[str, Run]]:
    """BM25's run of a collection, and how the models rank its first candidates."""
    queries, docs = collection / "queries.tsv", collection / "docs.jsonl"
    candidates = collection / "run.bm25.trec"
    if not candidates.exists():
        candidates = output / f"{name}.bm25.trec"
        retrieve(RetrievalConfig(candidates, queries=queries, docs=docs, depth=DEPTH))
    runs: dict[str, Run] = {}
    for model, options in MODELS.items():
        path = output / f"{name}-{model.replace(' ', '-')}.trec"
        if not path.exists():
            given = {
                "run": candidates,
                "queries": queries,
                "docs": docs,
                "depth": DEPTH,
                "output": path,
            }
            run_rerank(
                config_from_options(RerankConfig(), {**given, **options, "method": "pointwise"})
            )
        runs[model] = read_run(path)
    return read_run(candidates), runs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=cache_dir("benchmarks", "judge"))
    output: Path = parser.parse_args().output
    output.mkdir(parents=True, exist_ok=True)
    rows = []
    for name, collection in COLLECTIONS.items():
        qrels = read_qrels(collection / "qrels.trec")
        first, runs = ranked(name, collection, output)
        shown = {model: top(run, first, DEPTH) for model, run in runs.items()}
        for model, run in {"BM25": top(first, first, DEPTH), **shown}.items():
            p = ["", ""]
            if model == "the head":
                others = (first, shown["query likelihood"])
                tests = [compare(qrels, {model: run}, baseline=other) for other in others]
                p = [f"{test.records[0]['randomisation']:.4f}" for test in tests]
            right, total = pairs_right(run, qrels)
            rows.append(
                [name, model, f"{right:.3f} of {total:,}", f"{ndcg_at_10(qrels)(run):.4f}", *p]
            )
    columns = [
        "", "", "judged pairs right", "nDCG@10", "p against BM25", "p against query likelihood",
    ]  # fmt: skip
    text = (
        f"`make bench-judge`, {datetime.now(UTC):%Y-%m-%d}, {platform.machine()}; BM25's first "
        f"{DEPTH}; p of the randomisation test.\n\n{table(columns, rows)}\n"
    )
    print(text)
    replace_part(PAGE, WRITER, text)


if __name__ == "__main__":
    main()
