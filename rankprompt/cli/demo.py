"""``rankprompt demo``: the whole way, on the sample collection."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from rankprompt.cli.console import print_table, progress_bar, tell

if TYPE_CHECKING:
    from rankprompt.eval.report import RunReport
    from rankprompt.pipeline.config import RerankConfig
    from rankprompt.types import Document

__all__ = ["demo"]

DEPTH, TOP = 20, 10
MEASURES = ("ndcg@10", "mrr", "precision@1")
_SHOWN = 5  # passages of one query before and after
_WIDTH = 60  # characters of a passage


def demo(
    folder: Path = typer.Option(Path("demo"), help="Where the files go."),
    quiet: bool = typer.Option(False, "--quiet", help="No progress bar."),
) -> None:
    """Search the sample collection, rerank what was found in two ways, and compare them.

    Everything is on this machine: BM25 makes the candidates, a small reranker orders them, and a
    small language model compares the best of them in pairs. The files stay in the folder, with a
    report to open in a browser, and the commands that do the same are shown.
    """
    import time

    from rankprompt.datasets.sample import sample
    from rankprompt.errors import InputError, require
    from rankprompt.files import read_documents, read_queries, write_run
    from rankprompt.llm.embedded import EMBEDDED, find_gguf
    from rankprompt.llm.rerankers.names import MINILM, find_reranker
    from rankprompt.pipeline.config import DataConfig, OutputConfig, RerankConfig
    from rankprompt.retrieval import bm25

    for package in ("onnxruntime", "torch", "matplotlib"):
        require(package)
    find_reranker()
    find_gguf()
    source = sample("en")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {folder}: {error.strerror or error}") from error
    first, reranked, top = (
        folder / name for name in ("bm25.trec", "reranked.trec", "pairs-on-top.trec")
    )
    queries, documents = read_queries(source / "queries.tsv"), read_documents(source / "docs.jsonl")
    started = time.perf_counter()
    first_stage = bm25(queries, documents, depth=DEPTH)
    seconds = time.perf_counter() - started
    write_run(first, {query: list(scores) for query, scores in first_stage.items()}, tag="bm25")
    data = DataConfig(first, source / "queries.tsv", source / "docs.jsonl", depth=DEPTH)
    stages = (f"pointwise:{MINILM}@{DEPTH}", f"allpair:{EMBEDDED}@{TOP}")
    journal = folder / "demo.journal"
    tell(
        f"{len(queries)} queries, {len(documents)} passages; reranking BM25's first {DEPTH} with "
        f"{MINILM}, then its first {TOP} in pairs with {EMBEDDED} (whose weights are converted "
        "once, which takes half a minute)"
    )
    costs: list[Mapping[str, Any]] = [{"seconds": seconds}]
    for output, more in ((reranked, ()), (top, stages)):
        config = RerankConfig(data, stage=more, output=OutputConfig(output, journal))
        costs += [_rerank(config, quiet=quiet)]
    tell("scoring, and writing the report")
    report = folder / "report.html"
    runs = _report(source, {"BM25": first, MINILM: reranked, "pairs on top": top}, report)
    names = ("first stage (BM25)", f"reranked ({MINILM})", f"pairs on top ({EMBEDDED})")
    print_table(
        ("", *MEASURES, "prompts", "tokens", "seconds"),
        [
            [
                name,
                *(f"{run.scores.means[measure]:.4f}" for measure in MEASURES),
                f"{cost.get('prompts', 0):,}",
                f"{cost.get('prompt_tokens', 0):,}",
                f"{cost['seconds']:.1f}",
            ]
            for name, run, cost in zip(names, runs, costs, strict=True)
        ],
    )
    _show_query(runs[1], first, reranked, documents)
    by_stage = " ".join(f'--stage "{stage}"' for stage in stages)
    texts = f"--queries {data.queries} --docs {data.docs} --depth {DEPTH}"
    qrels = source / "qrels.trec"
    tell(
        f"the report is {report}; the same by hand:\n"
        f"  rankprompt rerank --run {first} {texts} --output {reranked}\n"
        f"  rankprompt rerank --run {first} {texts} {by_stage} --output {top}\n"
        f"  rankprompt report {first} {reranked} {top} --qrels {qrels} --queries {data.queries} "
        f"--output {report}"
    )


def _rerank(config: "RerankConfig", *, quiet: bool) -> Mapping[str, Any]:
    """Reranks; gives the costs."""
    from rankprompt.pipeline.rerank import run_rerank

    try:
        manifest = run_rerank(config, lambda what, n: progress_bar(what, n, quiet=quiet))
    except KeyboardInterrupt:
        tell("interrupted; the same command, started again, continues from there")
        raise typer.Exit(130) from None
    costs: Mapping[str, Any] = manifest["costs"]
    return costs


def _report(source: Path, runs: Mapping[str, Path], output: Path) -> "tuple[RunReport, ...]":
    """Writes the report; gives the evaluation of each run."""
    from rankprompt.eval.grades import Grades
    from rankprompt.eval.measures import parse_measures
    from rankprompt.eval.report import build_report
    from rankprompt.eval.report_files import write_report
    from rankprompt.files import read_qrels, read_queries

    qrels = source / "qrels.trec"
    built = build_report(
        runs,
        Grades(read_qrels(qrels), parse_measures(MEASURES)),
        source=str(qrels),
        texts=read_queries(source / "queries.tsv"),
    )
    write_report(built, output)
    return built.runs


def _show_query(
    run: "RunReport", before: Path, after: Path, documents: "Mapping[str, Document]"
) -> None:
    """Shows the best passages of the query that gained most, before and after, with grades."""
    from rankprompt.datasets.sample import sample
    from rankprompt.files import read_qrels, read_run

    if not run.gains:
        return
    gain = run.gains[0]
    grades = read_qrels(sample("en") / "qrels.trec")[gain.query]
    tell(f"the query that gained most, {gain.text!r} (grades from 0, not relevant):")
    rows = []
    tops = [list(read_run(path)[gain.query])[:_SHOWN] for path in (before, after)]
    for rank, pair in enumerate(zip(*tops, strict=True), 1):
        shown = [f"[{grades.get(name, 0)}] {documents[name].text[:_WIDTH]}" for name in pair]
        rows.append([str(rank), *shown])
    print_table(("rank", "BM25", "reranked"), rows, texts=3)
