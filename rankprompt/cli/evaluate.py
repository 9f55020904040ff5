"""``rankprompt evaluate``: scores of runs."""

from dataclasses import asdict

import typer

from rankprompt.cli.console import print_json, print_table
from rankprompt.cli.scoring_options import (
    DEFAULT_HELP,
    MEASURES_HELP,
    GradesDataset,
    QrelsFile,
    RunFiles,
    Shared,
    Split,
    Ties,
    score_runs,
)
from rankprompt.eval.measures import parse_measures
from rankprompt.eval.scored_runs import read_grades

__all__ = ["evaluate"]


def evaluate(
    runs: RunFiles,
    qrels: QrelsFile = None,
    dataset: GradesDataset = None,
    split: Split = None,
    measures: list[str] | None = typer.Option(None, help=f"{MEASURES_HELP} {DEFAULT_HELP}"),
    ties: Ties = "docid",
    shared: Shared = False,
    as_json: bool = typer.Option(False, "--json", help="Print JSON, with every query's values."),
) -> None:
    """Score runs against relevance grades, by trec_eval's rules.

    Means are over all queries of the qrels, where a query that a run lacks counts 0, or with
    --shared over the queries that all runs have. Where a dataset has
    binary judgements of its own beside its grades (T2Ranking), all measures but nDCG read these.
    """
    parsed = parse_measures(measures or ())
    grades, _ = read_grades(qrels, dataset, split, parsed)
    scored, common, _ = score_runs(runs, grades, ties, shared=shared)
    if as_json:
        entries = [
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
        over = {"shared": asdict(common)} if common else {}
        print_json({"qrels": str(qrels or dataset), "ties": ties, **over, "runs": entries})
        return
    names = [measure.name for measure in parsed]
    rows = [
        [str(path), *(f"{scores.means[name]:.4f}" for name in names), str(scores.queries)]
        for path, scores in zip(runs, scored, strict=True)
    ]
    print_table(["run", *names, "queries"], rows)
