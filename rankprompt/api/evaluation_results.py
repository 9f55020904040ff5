"""What ``evaluate`` and ``compare`` return: records, tables and pandas DataFrames."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rankprompt.api.tables import Record, Table, data_frame, html_of, text_of

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["Comparisons", "Evaluation"]


@dataclass(frozen=True)
class Evaluation:
    """The scores of runs.

    Attributes:
        records: one for each run and measure: ``run``, ``measure``, ``mean``, ``queries`` (in the
            mean) and ``missing`` (of the judged queries; they count 0).
        by_query: one for each run, measure and judged query: ``run``, ``measure``, ``query`` and
            ``value``. Higher values are better.
        limitations: sentences on what limits the scores, such as queries that a run lacks.
    """

    records: tuple[Record, ...]
    by_query: tuple[Record, ...]
    limitations: tuple[str, ...]

    def to_frame(self) -> "DataFrame":
        """The records as a pandas DataFrame.

        Raises:
            InputError: pandas is not installed.
        """
        return data_frame(self.records)

    def by_query_frame(self) -> "DataFrame":
        """The records by query as a pandas DataFrame.

        Raises:
            InputError: pandas is not installed.
        """
        return data_frame(self.by_query)

    def tables(self) -> list[Table]:
        """The tables that are shown: a row for each run."""
        names = list(dict.fromkeys(record["measure"] for record in self.records))
        rows: dict[str, list[str]] = {}
        for record in self.records:
            rows.setdefault(record["run"], [record["run"]]).append(f"{record['mean']:.4f}")
        queries = {record["run"]: str(record["queries"]) for record in self.records}
        columns = ["run", *names, "queries"]
        return [Table(columns, [[*row, queries[name]] for name, row in rows.items()])]

    def notes(self) -> tuple[str, ...]:
        """The sentences that are shown below the tables."""
        return self.limitations

    def __str__(self) -> str:
        """The tables, with the sentences below them."""
        return "\n".join(("\n\n".join(map(text_of, self.tables())), *self.notes()))

    def _repr_html_(self) -> str:
        return html_of(self.tables(), self.notes())


@dataclass(frozen=True)
class Comparisons(Evaluation):
    """Runs compared with a baseline, query by query.

    Attributes:
        records: one for each measure and run beside the baseline: ``run``, ``baseline``,
            ``measure``, ``mean``, ``baseline_mean``, ``difference`` with its 95% interval ``low``
            to ``high``, ``queries``, ``better``, ``equal`` and ``worse`` (numbers of queries),
            ``effect`` (Cohen's d for pairs), the p of the two-sided tests ``t_test`` and
            ``randomisation``, and ``holm``, the latter corrected for the number of comparisons.
            None stands for what so few queries do not allow (``rankprompt.eval.Comparison``).
        by_query: one for each measure, run beside the baseline, and judged query: ``run``,
            ``measure``, ``query``, ``value``, ``baseline_value`` and ``difference``.
        means: one for each measure and run, the baseline's too: ``run``, ``measure``, ``mean``, and
            its 95% interval ``low`` to ``high``.
        sentences: what each comparison allows to say.
    """

    means: tuple[Record, ...]
    sentences: tuple[str, ...]

    def tables(self) -> list[Table]:
        """The tables that are shown: the means, and the comparisons."""
        means = [
            [mean["run"], mean["measure"], f"{mean['mean']:.4f}", _between(mean)]
            for mean in self.means
        ]
        counts = ("better", "equal", "worse")
        rows = [
            [
                one["run"], one["measure"], f"{one['difference']:+.4f}", _between(one),
                *(str(one[name]) for name in counts), _p(one["randomisation"]), _p(one["holm"]),
            ]
            for one in self.records
        ]  # fmt: skip
        columns = ["run", "measure", "difference", "95% interval", *counts, "p", "corrected p"]
        return [
            Table(["run", "measure", "mean", "95% interval"], means, texts=2),
            Table(columns, rows, texts=2),
        ]

    def notes(self) -> tuple[str, ...]:
        """The sentences that are shown below the tables."""
        return (*self.sentences, *self.limitations)


def _between(record: Record) -> str:
    return "-" if record["low"] is None else f"{record['low']:.4f} to {record['high']:.4f}"


def _p(p: float | None) -> str:
    return "-" if p is None else f"{p:.4f}" if p >= 0.0001 else "<0.0001"
