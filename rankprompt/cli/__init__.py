"""The command line: one file a verb, results on stdout, progress and logs on stderr."""

import re
import sys
from collections.abc import Callable
from typing import Any

import typer

from rankprompt.cli.calibrate import calibrate
from rankprompt.cli.cascade import cascade
from rankprompt.cli.compare import compare
from rankprompt.cli.console import set_up_logging
from rankprompt.cli.demo import demo
from rankprompt.cli.doctor import doctor
from rankprompt.cli.evaluate import evaluate
from rankprompt.cli.evolve import evolve
from rankprompt.cli.export import export
from rankprompt.cli.fuse import fuse
from rankprompt.cli.help_page import example
from rankprompt.cli.index import index
from rankprompt.cli.inspect import inspect
from rankprompt.cli.plan import plan
from rankprompt.cli.report import report
from rankprompt.cli.rerank import rerank
from rankprompt.cli.retrieve import retrieve
from rankprompt.errors import RankpromptError

__all__ = ["app", "main"]

app = typer.Typer(
    name="rankprompt",
    help="Rank text with LLMs: find candidates, rerank them, score and compare the runs.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_FILES = "--run bm25.trec --queries queries.tsv --docs docs.jsonl"
_EXAMPLES: dict[Callable[..., None], tuple[str, ...]] = {
    inspect: ("rankprompt inspect --dataset beir:DIR",),
    index: ("rankprompt index --dataset beir:DIR --output index",),
    retrieve: ("rankprompt retrieve --dataset beir:DIR --depth 100 --output bm25.trec",),
    fuse: ("rankprompt fuse bm25.trec dense.trec --output fused.trec",),
    rerank: (
        f"rankprompt rerank {_FILES} --output better.trec",
        "rankprompt rerank --from better.json",
    ),
    evaluate: ("rankprompt evaluate --qrels qrels.trec bm25.trec better.trec",),
    compare: ("rankprompt compare --qrels qrels.trec --baseline bm25.trec better.trec",),
    report: ("rankprompt report --qrels qrels.trec bm25.trec better.trec --output report.html",),
    calibrate: ("rankprompt calibrate scores.tsv --qrels qrels.trec --output calibration.json",),
    plan: (f"rankprompt plan {_FILES} --prompt prp --price-in 0.15",),
    export: ("rankprompt export --dataset beir:DIR --run bm25.trec --output requests.jsonl",),
    doctor: ("rankprompt doctor",),
    demo: ("rankprompt demo",),
}
for verb, lines in _EXAMPLES.items():
    app.command(**example(*lines))(verb)
app.add_typer(cascade)
app.add_typer(evolve)


def _version(show: bool) -> None:
    if show:
        from rankprompt.version import VERSION

        typer.echo(f"rankprompt {VERSION}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Show the version and exit."
    ),
) -> None:
    """Rank text with LLMs: find candidates, rerank them, score and compare the runs."""


def with_flags(message: str) -> str:
    """A message in which the fields that it names, such as `set_size`, are options' flags."""
    if "`" not in message:
        return message
    command = typer.main.get_command(app)
    flags: dict[str, str] = {}
    pending: list[Any] = [command]
    while pending:
        command_or_group = pending.pop()
        pending += getattr(command_or_group, "commands", {}).values()
        names = [
            param.opts[0] for param in command_or_group.params if param.opts[0].startswith("--")
        ]
        flags |= {name[2:].replace("-", "_"): name for name in names}
    return re.sub(r"`(\w+)`", lambda match: flags.get(match[1], match[0]), message)


def main() -> None:
    """Runs the command line: exit code 2 for a user's error, told in one line."""
    set_up_logging(with_flags)
    try:
        app(prog_name="rankprompt")
    except RankpromptError as error:
        print(f"rankprompt: {with_flags(str(error))}", file=sys.stderr)  # noqa: T201
        sys.exit(error.exit_code)
