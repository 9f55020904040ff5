"""Tables of results: as text, as HTML for notebooks, and as pandas DataFrames."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from rankprompt.errors import PIP_LINES, InputError

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["Record", "Table", "data_frame", "html_of", "text_of"]

Record: TypeAlias = Mapping[str, Any]
"""A row of a result: values by column. Every record of a result has the same columns."""


class Table(NamedTuple):
    """A table to show.

    Attributes:
        columns: their names.
        rows: cells of each row, in the order of the columns.
        texts: how many columns, from the left, are texts; the others are numbers.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    texts: int = 1


def text_of(table: Table) -> str:
    """Writes a table as aligned lines.

    >>> print(text_of(Table(["run", "mrr"], [["bm25", "0.5"], ["reranked", "0.75"]])))
    run        mrr
    bm25       0.5
    reranked  0.75
    """
    lines = [table.columns, *table.rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if place < table.texts else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def html_of(tables: Sequence[Table], notes: Sequence[str]) -> str:
    """Writes tables, and sentences below them, as HTML."""
    parts = []
    for table in tables:
        head = "".join(f'<th scope="col">{escape(name)}</th>' for name in table.columns)
        rows = "".join(
            f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in table.rows
        )
        parts.append(f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>")
    return "".join((*parts, *(f"<p>{escape(note)}</p>" for note in notes)))


def data_frame(records: Sequence[Record]) -> "DataFrame":
    """Makes a pandas DataFrame, with a row for each record.

    Raises:
        InputError: pandas is not installed.
    """
    try:
        from pandas import DataFrame
    except ModuleNotFoundError as error:
        raise InputError(f"a DataFrame needs pandas; run: {PIP_LINES['pandas']}") from error
    return DataFrame.from_records(list(records))
