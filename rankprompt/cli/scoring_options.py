"""The options of the verbs that score runs, and the grades and scores that they stand for."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from rankprompt.cli.console import tell
from rankprompt.eval.measures import DEFAULT_MEASURES

if TYPE_CHECKING:
    from rankprompt.datasets.base import Collection
    from rankprompt.eval import Grades, Measure, Scores
    from rankprompt.eval.shared_queries import SharedQueries

__all__ = [
    "DEFAULT_HELP", "MEASURES_HELP", "GradesDataset", "QrelsFile", "RunFiles", "Seed", "Shared",
    "Split", "Ties", "read_grades", "score_runs",
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


def read_grades(
    qrels: Path | None, dataset: str | None, split: str | None, measures: "Sequence[Measure]"
) -> "tuple[Grades, Collection | None]":
    """Reads the grades that the user named, and returns them with their collection, if any.

    Raises:
        InputError: neither or both of file and dataset are given, or they cannot be read.
    """
    from rankprompt.errors import InputError
    from rankprompt.eval import Grades
    from rankprompt.files import read_qrels

    if qrels and not dataset:
        return Grades(read_qrels(qrels), measures), None
    if qrels or not dataset:
        raise InputError("give either --qrels or --dataset")
    from rankprompt.datasets import open_collection

    collection = open_collection(dataset, split=split)
    return Grades.of(collection, measures), collection


def score_runs(
    runs: Sequence[Path], grades: "Grades", ties: str, *, shared: bool
) -> "tuple[list[Scores], SharedQueries | None]":
    """Scores runs, and prints on stderr what limits the scores.

    Returns:
        The scores in the order of the runs, and with ``shared`` the queries that they are over.

    Raises:
        InputError: a run cannot be read or scored; nothing is printed then.
    """
    from rankprompt.eval.limitations import run_limitations
    from rankprompt.eval.run_files import score_run_file
    from rankprompt.eval.shared_queries import SharedQueries

    scored = [score_run_file(run, grades, ties) for run in runs]
    names = list(map(str, runs))
    common = SharedQueries.of(dict(zip(names, scored, strict=True))) if shared else None
    if common:
        scored = [common.only(scores) for scores in scored]
        grades = grades.only(frozenset(common.queries))
    by_name = dict(zip(names, scored, strict=True))
    for sentence in (*run_limitations(by_name, common), *grades.limitations()):
        tell(sentence)
    return scored, common
