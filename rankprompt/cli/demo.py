"""``rankprompt demo``: the whole way, on the sample collection."""

from collections.abc import Mapping
from pathlib import Path

import typer

from rankprompt.cli.console import print_table, progress_bar, tell

__all__ = ["demo"]

DEPTH = 20
MEASURES = ("ndcg@10", "mrr", "precision@1")


def demo(
    folder: Path = typer.Option(Path("demo"), help="Where the files go."),
    quiet: bool = typer.Option(False, "--quiet", help="No progress bar."),
) -> None:
    """Search the sample collection, rerank what was found, and score both.

    Everything is on this machine: BM25 makes the candidates, the embedded model reranks them. The
    files stay in the folder, and the commands that do the same are shown.
    """
    import time

    from rankprompt.datasets.sample import sample
    from rankprompt.errors import InputError
    from rankprompt.eval import parse_measure, score
    from rankprompt.files import read_documents, read_qrels, read_queries, read_run, write_run
    from rankprompt.pipeline.config import DataConfig, OutputConfig, RerankConfig
    from rankprompt.pipeline.rerank import run_rerank
    from rankprompt.retrieval import bm25

    source = sample("en")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {folder}: {error.strerror or error}") from error
    first, output = folder / "bm25.trec", folder / "reranked.trec"
    queries, documents = read_queries(source / "queries.tsv"), read_documents(source / "docs.jsonl")
    started = time.perf_counter()
    first_stage = bm25(queries, documents, depth=DEPTH)
    seconds = time.perf_counter() - started
    write_run(first, {query: list(scores) for query, scores in first_stage.items()}, tag="bm25")
    data = DataConfig(first, source / "queries.tsv", source / "docs.jsonl", depth=DEPTH)
    config = RerankConfig(data, output=OutputConfig(output, folder / "demo.journal"))
    model = config.model.name
    tell(
        f"{len(queries)} queries, {len(documents)} passages; reranking BM25's first {DEPTH} "
        f"with {model} (its weights are converted once, which takes half a minute)"
    )
    try:
        costs = run_rerank(config, lambda what, n: progress_bar(what, n, quiet=quiet))["costs"]
    except KeyboardInterrupt:
        tell("interrupted; the same command, started again, continues from there")
        raise typer.Exit(130) from None
    qrels = read_qrels(source / "qrels.trec")
    measures = [parse_measure(name) for name in MEASURES]

    def row(name: str, run: Path, costs: Mapping[str, float]) -> list[str]:
        means = score(read_run(run), qrels, measures).means
        return [
            name,
            *(f"{means[measure.name]:.4f}" for measure in measures),
            f"{costs.get('prompts', 0):,}",
            f"{costs.get('prompt_tokens', 0):,}",
            f"{costs['seconds']:.1f}",
        ]

    print_table(
        ("", *(measure.name for measure in measures), "prompts", "tokens", "seconds"),
        [
            row("first stage (BM25)", first, {"seconds": seconds}),
            row(f"reranked ({model})", output, costs),
        ],
    )
    tell(
        "the same by hand:\n"
        f"  rankprompt rerank --run {first} --queries {data.queries} --docs {data.docs} "
        f"--depth {DEPTH} --output {output}\n"
        f"  rankprompt evaluate --qrels {source / 'qrels.trec'} {first} {output}"
    )
