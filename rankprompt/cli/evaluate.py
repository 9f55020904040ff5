"""``rankprompt evaluate``: scores of runs."""

from pathlib import Path
from typing import Any

import typer

from rankprompt.cli.console import print_json, print_table
from rankprompt.cli.scoring_options import TIES_HELP, grades_of, score_runs

__all__ = ["evaluate"]


def evaluate(
    runs: list[Path] = typer.Argument(..., metavar="RUN...", help="Runs in TREC form."),
    qrels: Path | None = typer.Option(None, help="Relevance grades in TREC form."),
    dataset: str | None = typer.Option(
        None, help="In place of --qrels: the grades of a collection; as in retrieve."
    ),
    split: str | None = typer.Option(None, help="Of the dataset, such as dev; as in retrieve."),
    measures: list[str] | None = typer.Option(
        None,
        help="Such as ndcg@10, map, map-l2@100, RR(rel=2)@10, P@10, recall@100, rbp.8, bpref, "
        "judged@10, or the groups trec-dl, beir and t2ranking; repeat the option or put several "
        "between quotes. -lN is the lowest grade that counts as relevant, .8 the persistence.",
    ),
    ties: str = typer.Option("docid", help=TIES_HELP),
    as_json: bool = typer.Option(False, "--json", help="Print JSON, with every query's values."),
) -> None:
    """Score runs against relevance grades, with ranx and by trec_eval's rules.

    Means are over all queries of the qrels: one that a run lacks counts 0. Where a dataset has
    binary judgements of its own beside its grades (T2Ranking), all measures but nDCG read these.
    """
    from rankprompt.eval import parse_measures

    asked = parse_measures(measures or ())
    grades = grades_of(qrels, dataset, split, asked)
    scored = score_runs(runs, grades, ties)
    if as_json:
        result: list[dict[str, Any]] = [
            {
                "run": str(path),
                "queries": scores.queries,
                "missing": scores.missing,
                "unjudged_queries": scores.unjudged_queries,
                "means": scores.means,
                "by_query": scores.by_query,
            }
            for path, scores in zip(runs, scored, strict=True)
        ]
        print_json({"qrels": str(qrels or dataset), "ties": ties, "runs": result})
        return
    rows = [
        [str(path), *(f"{scores.means[one.name]:.4f}" for one in asked), str(scores.queries)]
        for path, scores in zip(runs, scored, strict=True)
    ]
    print_table(["run", *(one.name for one in asked), "queries"], rows)
