"""What the verbs share of the terminal: messages, progress, tables, JSON."""

import json
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

__all__ = [
    "print_json",
    "print_table",
    "progress_bar",
    "set_up_logging",
    "show_imports",
    "tell",
]


def set_up_logging(with_flags: Callable[[str], str]) -> None:
    """Shows our warnings and hints on stderr, each on a line of its own.

    Args:
        with_flags: turns the fields that a message names into options' flags.
    """

    class Formatter(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            return with_flags(super().format(record))

    handler = logging.StreamHandler()
    handler.setFormatter(Formatter("rankprompt: %(message)s"))
    log = logging.getLogger("rankprompt")
    log.handlers = [handler]
    log.propagate = False
    log.setLevel(logging.INFO)


def tell(message: str) -> None:
    """Says something to the user on stderr."""
    print(f"rankprompt: {message}", file=sys.stderr)  # noqa: T201


def print_json(value: Any) -> None:
    """Prints a result for machines on stdout."""
    print(json.dumps(value, indent=2, ensure_ascii=False))  # noqa: T201


def print_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    texts: int = 1,
    stderr: bool = False,
) -> None:
    """Prints a table, on stdout or stderr.

    Args:
        columns: their names.
        rows: of cells, as many as there are columns.
        texts: how many columns, from the left, are texts; the others are numbers.
        stderr: whether it goes to stderr, for a command whose result is a file.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD)
    needed = 0
    for place, name in enumerate(columns):
        numeric = place >= texts
        widest = max(len(row[place]) for row in (columns, *rows))
        least = widest if numeric else min(widest, 12)
        needed += least + 3
        table.add_column(
            name,
            justify="right" if numeric else "left",
            no_wrap=numeric,
            overflow="fold",
            min_width=least,
        )
    for row in rows:
        table.add_row(*row)
    console = Console(highlight=False, markup=False, stderr=stderr)
    # A pipe has no width; and a terminal wraps a line that is too long: no number must be cut.
    console.width = max(console.width, needed) if console.is_terminal else 200
    console.print(table)


@contextmanager
def progress_bar(description: str, total: int, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    """A progress bar with the time to go, on stderr; silent where that is no terminal.

    Args:
        description: what goes on.
        total: about how many steps there will be; the bar grows where there are more.
        quiet: show nothing.

    Yields:
        A function to call with the number of steps done since the last call.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("about"),
        TimeRemainingColumn(),
        TextColumn("to go"),
        console=console,
        disable=quiet or not console.is_terminal,
        transient=True,
    ) as progress:
        task = progress.add_task(description, total=total)

        def advance(steps: int) -> None:
            done = progress.tasks[0].completed + steps
            progress.update(task, completed=done, total=max(done, progress.tasks[0].total or 0))

        yield advance


@contextmanager
def show_imports(*, quiet: bool) -> Iterator[None]:
    """Shows a progress bar while a big collection is imported, which happens once.

    Args:
        quiet: show nothing.
    """
    from rankprompt.datasets.document_store_import import watching

    bars = ExitStack()
    done, advance = 0, None

    def progress(read: int, total: int) -> None:
        nonlocal done, advance
        if advance is None:
            done, advance = 0, bars.enter_context(progress_bar("importing", total, quiet=quiet))
        advance(read - done)
        done = read
        if read >= total:
            # Before another bar is opened: a terminal shows one at a time.
            bars.pop_all().close()
            advance = None

    with bars, watching(progress):
        yield
