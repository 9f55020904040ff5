"""The table of verbs, each in the file of its name, and the program that is made of them."""

from collections.abc import Iterable, Mapping
from importlib import import_module

import typer

from rankprompt.cli.help_page import example

__all__ = ["VERBS", "program"]

_FILES = "--run bm25.trec --queries queries.tsv --docs docs.jsonl"

VERBS: Mapping[str, tuple[str, ...]] = {
    "inspect": ("rankprompt inspect --dataset beir:DIR",),
    "index": ("rankprompt index --dataset beir:DIR --output index",),
    "retrieve": ("rankprompt retrieve --dataset beir:DIR --depth 100 --output bm25.trec",),
    "fuse": ("rankprompt fuse bm25.trec dense.trec --output fused.trec",),
    "rerank": (
        f"rankprompt rerank {_FILES} --output better.trec",
        "rankprompt rerank --from better.json",
    ),
    "evaluate": ("rankprompt evaluate --qrels qrels.trec bm25.trec better.trec",),
    "compare": ("rankprompt compare --qrels qrels.trec --baseline bm25.trec better.trec",),
    "report": ("rankprompt report --qrels qrels.trec bm25.trec better.trec --output report.html",),
    "calibrate": ("rankprompt calibrate scores.tsv --qrels qrels.trec --output calibration.json",),
    "plan": (f"rankprompt plan {_FILES} --prompt prp --price-in 0.15",),
    "distil": (
        f"rankprompt distil {_FILES} --teacher ms-marco-minilm-l12 --output mine",
        "rankprompt distil --from better.json --output mine",
    ),
    "generate-queries": (
        "rankprompt generate-queries --docs docs.jsonl --number 500 --output queries.tsv",
        "rankprompt retrieve --queries queries.tsv --docs docs.jsonl --depth 30 --output bm25.trec",
    ),
    "export": ("rankprompt export --dataset beir:DIR --run bm25.trec --output requests.jsonl",),
    "serve": (
        "rankprompt serve",
        "rankprompt serve --model openai:MODEL --base-url http://localhost:8080/v1 --k 10",
    ),
    "doctor": ("rankprompt doctor",),
    "demo": ("rankprompt demo",),
    "cascade": (),
    "evolve": (),
}
"""The examples of each verb's help page, by the verb; groups of verbs have theirs themselves."""


def program(verbs: Iterable[str] = VERBS) -> typer.Typer:
    """Makes the program with these verbs, whose files it imports."""
    app = typer.Typer(
        name="rankprompt",
        help="Rank text with LLMs: find candidates, rerank them, score and compare the runs.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    for name in verbs:
        file = name.replace("-", "_")
        verb = getattr(import_module(f"rankprompt.cli.{file}"), file)
        if isinstance(verb, typer.Typer):
            app.add_typer(verb)
        else:
            app.command(**example(*VERBS[name]))(verb)
    return app


def _version(show: bool) -> None:
    if show:
        from rankprompt.version import VERSION

        typer.echo(f"rankprompt {VERSION}")
        raise typer.Exit


def _root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Show the version and exit."
    ),
) -> None:
    """Rank text with LLMs: find candidates, rerank them, score and compare the runs."""
