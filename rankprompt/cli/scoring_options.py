"""The options of the verbs that score runs, and the scores that they stand for."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from rankprompt.cli.console import tell
from rankprompt.eval.measures import DEFAULT_MEASURES

if TYPE_CHECKING:
    from rankprompt.eval import Grades
    from rankprompt.eval.scored_runs import ScoredRuns

__all__ = [
    "DEFAULT_HELP", "MEASURES_HELP", "GradesDataset", "QrelsFile", "RunFiles", "Seed", "Shared",
    "Split", "Ties", "score_runs",
]  # fmt: skip

MEASURES_HELP = (
    "Measures such as ndcg@10, map, map-l2@100, RR(rel=2)@10, P@10, recall@100, rbp.8, bpref and "
    "judged@10, or the groups trec-dl, beir and t2ranking; repeat the option, or put several "
    "between quotes. -lN is the lowest grade that counts as relevant, .8 the persistence."
)
DEFAULT_HELP = f"Default: {', '.join(DEFAULT_MEASURES)}."

RunFiles: TypeAlias = Annotated[
    list[Path], typer.Argument(metavar="RUN...", help="Runs in TREC form.")
]
QrelsFile: TypeAlias = Annotated[Path | None, typer.Option(help="Relevance grades in TREC form.")]
GradesDataset: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="In place of --qrels, the collection whose grades are read: ir:ID (ir_datasets), "
        "beir:DIR, t2ranking:DIR or requests:FILE; a folder or file without such a prefix is "
        "recognised."
    ),
]
Split: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="Split of the dataset, such as dev or test. Default: dev of T2Ranking; of BEIR test, "
        "else the only one."
    ),
]
Ties: TypeAlias = Annotated[
    str,
    typer.Option(
        help="Order of equal scores: docid, as in trec_eval, by document id, the last in the "
        "alphabet first; or order, by the rank column, then by line."
    ),
]
Shared: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--shared",
        help="Score only the judged queries that all runs have, as trec_eval without -c. Without "
        "it, a query that a run lacks counts 0.",
    ),
]
Seed: TypeAlias = Annotated[
    int, typer.Option(help="Seed of the bootstrap and of the randomisation test.")
]


def score_runs(runs: Sequence[Path], grades: "Grades", ties: str, *, shared: bool) -> "ScoredRuns":
    """Scores runs by the names of their files, and prints on stderr what limits the scores.

    Raises:
        InputError: a run cannot be read or scored; nothing is printed then.
    """
    from rankprompt.eval import scored_runs

    named = [(str(run), run) for run in runs]
    scored = scored_runs.score_runs(named, grades, ties, shared=shared)
    for sentence in scored.limitations:
        tell(sentence)
    return scored
