"""``rankprompt compare``: is a run better than a baseline, or may it be chance?"""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from rankprompt.cli.console import print_json, print_table, tell
from rankprompt.cli.scoring_options import TIES_HELP, grades_of, score_runs

if TYPE_CHECKING:
    from rankprompt.eval.comparison import Comparison, Interval

__all__ = ["compare"]


def compare(
    runs: list[Path] = typer.Argument(..., metavar="RUN...", help="Runs in TREC form."),
    baseline: Path = typer.Option(..., help="The run that the others are compared with."),
    qrels: Path | None = typer.Option(None, help="Relevance grades in TREC form."),
    dataset: str | None = typer.Option(
        None, help="In place of --qrels: the grades of a collection; as in evaluate."
    ),
    split: str | None = typer.Option(None, help="Of the dataset, such as dev; as in evaluate."),
    measures: list[str] | None = typer.Option(
        None,
        help="As in evaluate. Left out: ndcg@10 alone, for each measure more asks for a "
        "stricter correction.",
    ),
    ties: str = typer.Option("docid", help=TIES_HELP),
    seed: int = typer.Option(0, help="Seed of the bootstrap and the randomisation test."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Compare runs with a baseline, query by query.

    Means with 95% confidence intervals; paired t-test and Fisher's randomisation test, two-sided;
    Holm's correction of the latter over all comparisons asked at once.
    """
    from rankprompt.errors import InputError
    from rankprompt.eval import parse_measures
    from rankprompt.eval.comparison import RESAMPLES, draws_for, interval
    from rankprompt.eval.comparison import compare as compare_scores

    asked = parse_measures(measures or ("ndcg@10",))
    paths = (baseline, *runs)
    names = [str(path) for path in paths]
    if len(set(names)) < len(names):
        raise InputError("each run, and the baseline, may be given once")
    grades = grades_of(qrels, dataset, split, asked)
    scored = dict(zip(names, score_runs(paths, grades, ties), strict=True))
    found = compare_scores(scored, str(baseline), [one.name for one in asked], seed=seed)
    queries = scored[str(baseline)].queries
    if (draws := draws_for(queries)) < RESAMPLES:
        tell(f"for {queries:,} queries intervals and tests take {draws:,} draws, not {RESAMPLES:,}")
    means: list[dict[str, Any]] = [
        {
            "run": name,
            "measure": one.name,
            "mean": scores.means[one.name],
            "interval": interval(list(scores.by_query[one.name].values()), seed=seed),
        }
        for one in asked
        for name, scores in scored.items()
    ]
    if as_json:
        print_json(
            {
                "qrels": str(qrels or dataset),
                "ties": ties,
                "baseline": str(baseline),
                "resamples": draws,
                "means": [
                    {**one, "interval": one["interval"] and asdict(one["interval"])}
                    for one in means
                ],
                "comparisons": [asdict(one) for one in found],
            }
        )
        return
    print_table(
        ["run", "measure", "mean", "95% interval"],
        [
            [one["run"], one["measure"], f"{one['mean']:.4f}", _between(one["interval"])]
            for one in means
        ],
        texts=2,
    )
    columns = [
        "run", "measure", "difference", "95% interval", "better", "equal", "worse", "effect",
        "t-test", "randomisation", "Holm",
    ]  # fmt: skip
    print_table(columns, [_row(one) for one in found], texts=2)
    for one in found:
        typer.echo(one.in_words())


def _row(one: "Comparison") -> list[str]:
    return [
        one.run,
        one.measure,
        f"{one.difference:+.4f}",
        _between(one.interval),
        *map(str, (one.wins, one.ties, one.losses)),
        "-" if one.effect is None else f"{one.effect:+.2f}",
        *map(_p, (one.t_test, one.randomisation, one.holm)),
    ]


def _between(interval: "Interval | None") -> str:
    return "-" if interval is None else f"{interval.low:.4f} to {interval.high:.4f}"


def _p(p: float | None) -> str:
    return "-" if p is None else f"{p:.4f}" if p >= 0.0001 else "<0.0001"
