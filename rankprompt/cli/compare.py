"""``rankprompt compare``: is a run better than a baseline, or may it be chance?"""

from dataclasses import asdict
from pathlib import Path

import typer

from rankprompt.cli.console import print_json, print_table, tell
from rankprompt.cli.scoring_options import (
    MEASURES_HELP,
    GradesDataset,
    QrelsFile,
    RunFiles,
    Seed,
    Shared,
    Split,
    Ties,
    score_runs,
)
from rankprompt.errors import InputError
from rankprompt.eval.comparison import Comparison, Interval
from rankprompt.eval.measures import parse_measures
from rankprompt.eval.scored_runs import compare_runs, read_grades

__all__ = ["compare"]


def compare(
    runs: RunFiles,
    baseline: Path = typer.Option(..., help="The run that the others are compared with."),
    qrels: QrelsFile = None,
    dataset: GradesDataset = None,
    split: Split = None,
    measures: list[str] | None = typer.Option(
        None,
        help=f"{MEASURES_HELP} Each further measure makes the correction of all but the first "
        "stricter. Default: ndcg@10 only.",
    ),
    ties: Ties = "docid",
    shared: Shared = False,
    seed: Seed = 0,
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Compare runs with a baseline, query by query.

    Means with 95% confidence intervals; paired t-test and Fisher's randomisation test, two-sided;
    Holm's correction of the latter: of the first measure over the runs, of each further measure
    over all comparisons that are made at once.
    """
    parsed = parse_measures(measures or ("ndcg@10",))
    names = [measure.name for measure in parsed]
    paths = (baseline, *runs)
    if len(set(map(str, paths))) < len(paths):
        raise InputError("each run, and the baseline, may be given once")
    grades, _ = read_grades(qrels, dataset, split, parsed)
    scores, common, _ = score_runs(paths, grades, ties, shared=shared)
    scored = dict(zip(map(str, paths), scores, strict=True))
    comparisons, means, draws, limitations = compare_runs(scored, str(baseline), names, seed=seed)
    for sentence in limitations:
        tell(sentence)
    if as_json:
        print_json(
            {
                "qrels": str(qrels or dataset),
                "ties": ties,
                **({"shared": asdict(common)} if common else {}),
                "baseline": str(baseline),
                "resamples": draws,
                "means": [asdict(mean) for mean in means],
                "comparisons": [asdict(compared) for compared in comparisons],
            }
        )
        return
    print_table(
        ["run", "measure", "mean", "95% interval"],
        [[mean.run, mean.measure, f"{mean.mean:.4f}", _between(mean.interval)] for mean in means],
        texts=2,
    )
    columns = [
        "run", "measure", "difference", "95% interval", "better", "equal", "worse", "effect",
        "t-test", "randomisation", "Holm",
    ]  # fmt: skip
    print_table(columns, [_row(compared) for compared in comparisons], texts=2)
    for compared in comparisons:
        typer.echo(compared.in_words())


def _row(compared: Comparison) -> list[str]:
    return [
        compared.run,
        compared.measure,
        f"{compared.difference:+.4f}",
        _between(compared.interval),
        *map(str, (compared.wins, compared.ties, compared.losses)),
        "-" if compared.effect is None else f"{compared.effect:+.2f}",
        *map(_p, (compared.t_test, compared.randomisation, compared.holm)),
    ]


def _between(interval: Interval | None) -> str:
    return "-" if interval is None else f"{interval.low:.4f} to {interval.high:.4f}"


def _p(p: float | None) -> str:
    return "-" if p is None else f"{p:.4f}" if p >= 0.0001 else "<0.0001"
