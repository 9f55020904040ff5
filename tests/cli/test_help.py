"""Help pages, kept as golden files: a changed option is seen in review.

``RANKPROMPT_RENEW=1 pytest tests/cli/test_help.py`` writes them anew.
"""

import os
from importlib.metadata import version
from pathlib import Path

import pytest

from rankprompt import __version__
from tests.cli.conftest import Command

GOLDEN = Path(__file__).parent / "golden"


VERBS = [
    "calibrate", "cascade", "compare", "demo", "distil", "doctor", "evaluate", "evolve", "export",
    "fuse", "generate-queries", "index", "inspect", "plan", "report", "rerank", "retrieve", "serve",
]  # fmt: skip


@pytest.mark.parametrize("verb", ["", *VERBS, "cascade report", "cascade train"])
def test_the_help_page_is_the_golden_one(command: Command, verb: str) -> None:
    ran = command(*verb.split(), "--help")
    assert (ran.code, ran.err) == (0, "")
    assert "\x1b" not in ran.out
    golden = GOLDEN / f"{verb.replace(' ', '-') or 'rankprompt'}.txt"
    if os.environ.get("RANKPROMPT_RENEW"):
        golden.write_text(ran.out)
    assert ran.out == golden.read_text(), "if that is meant, renew with RANKPROMPT_RENEW=1"


def test_dash_h_is_help(command: Command) -> None:
    assert command("rerank", "-h") == command("rerank", "--help")


def test_without_a_verb_the_help_is_shown(command: Command) -> None:
    ran = command()
    assert ran.code == 2
    assert "Commands:" in ran.out + ran.err


def test_the_version_is_the_packages(command: Command) -> None:
    assert command("--version") == (0, f"rankprompt {__version__}\n", "")
    assert version("rankprompt") == __version__


def test_a_verb_that_is_none_is_answered_with_the_nearest(command: Command) -> None:
    ran = command("evaluat")
    assert (ran.code, ran.out) == (2, "")
    assert "Did you mean 'evaluate'?" in ran.err


def test_an_option_that_is_none_is_answered_with_the_nearest(command: Command) -> None:
    ran = command("rerank", "--methods", "heapsort")
    assert (ran.code, ran.out) == (2, "")
    assert "No such option: --methods" in ran.err
    assert "--method" in ran.err.split("--methods", 1)[1]
