"""Options made from a config's fields: names, defaults, repeated options, nested configs, help."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer
from typer.testing import CliRunner

from rankprompt.cli.options_from_annotations import options_of


@dataclass(frozen=True)
class Inner:
    batch_size: Annotated[int, "Examples."] = 4


@dataclass(frozen=True)
class Outer:
    run: Annotated[Path, "The run; see `batch_size`."]
    keep: Annotated[tuple[int, ...], "Repeated."] = (1, 2)
    inner: Inner = field(default_factory=Inner)
    skip_missing: Annotated[bool, "A flag."] = False
    limit: Annotated[int | None, "Default: all."] = None


def call(*words: str) -> tuple[list[tuple[Outer, bool]], str]:
    seen: list[tuple[Outer, bool]] = []
    app = typer.Typer(rich_markup_mode=None)

    @app.command()
    @options_of(Outer)
    def verb(config: Outer, *, quiet: bool = typer.Option(False, "--quiet")) -> None:
        """Says what it does."""
        seen.append((config, quiet))

    return seen, CliRunner().invoke(app, list(words)).output


def test_a_verb_gets_its_config() -> None:
    assert call("--run", "r")[0] == [(Outer(Path("r")), False)]
    seen, _ = call(
        "--run", "r", "--keep", "3", "--keep", "4", "--batch-size", "9", "--skip-missing",
        "--limit", "2", "--quiet",
    )  # fmt: skip
    assert seen == [(Outer(Path("r"), (3, 4), Inner(9), True, 2), True)]


def test_what_is_required_is_asked_for_and_help_names_flags() -> None:
    seen, output = call()
    assert not seen
    assert "--run" in output
    _, output = call("--help")
    assert "Says what it does." in output
    assert "The run; see --batch-size." in output
    assert "--no-skip-missing" not in output
