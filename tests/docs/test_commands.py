"""Each command that a page shows exists: the command, its options, the make target, the module.

No command is run: it is parsed as the program would parse it, with ``--help`` at its end.
"""

import importlib.util
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rankprompt.cli.app import app

ROOT = Path(__file__).parent.parent.parent
PAGES = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    ROOT / "rankprompt" / "datasets" / "sample" / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "notebooks").glob("*.ipynb")),
]
MAKE = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))


def text_of(page: Path) -> str:
    text = page.read_text("utf-8")
    if page.suffix == ".ipynb":
        return "\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"])
    return text


def commands(text: str) -> Iterator[str]:
    """The commands in fenced blocks, their continued lines joined, and those between backticks.

    In a block of the language ``console``, a command is a line after the prompt ``$``.
    """
    for language, block in re.findall(r"^ *```(\w*)\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL):
        prompt = "$ " if language == "console" else ""
        for line in re.sub(r"\\\n", " ", block).splitlines():
            if line.strip().startswith(f"{prompt}rankprompt "):
                yield line.strip().removeprefix(prompt)
    for code in re.findall(r"`([^`]+)`", re.sub(r"^ *```.*?^ *```", "", text, flags=re.M | re.S)):
        command = " ".join(code.split())
        if command.startswith("rankprompt "):
            yield command


def words(command: str) -> list[str]:
    """A command's words after the program's name, without comments and ellipses."""
    return [
        word for word in shlex.split(command, comments=True)[1:] if word not in ("...", "[OPTIONS]")
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_command_exists(page: Path) -> None:
    for command in commands(text_of(page)):
        ran = CliRunner().invoke(app, [*words(command), "--help"])
        assert ran.exit_code == 0, f"{command}\n{ran.output}"


def test_commands_are_found_and_wrong_ones_refused() -> None:
    assert sum(1 for page in PAGES for _ in commands(text_of(page))) > 50
    (command,) = commands("```sh\nrankprompt rerank \\\n    --methods x # so\n```\n")
    assert words(command) == ["rerank", "--methods", "x"]
    assert CliRunner().invoke(app, [*words(command), "--help"]).exit_code == 2
    assert list(commands("`rankprompt\nplan` and `make check`")) == ["rankprompt plan"]
    shown = "```console\n$ rankprompt plan \\\n    --quiet\nrankprompt: read\n```\n"
    assert [words(command) for command in commands(shown)] == [["plan", "--quiet"]]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_make_target_and_each_module_exists(page: Path) -> None:
    text = text_of(page)
    assert set(re.findall(r"(?:^|`)make ([a-z][a-z-]*)", text, re.MULTILINE)) <= MAKE
    for module in re.findall(r"python -m (benchmarks[\w.]*)", text):
        assert importlib.util.find_spec(module), module


def test_links_out_of_the_readme_lead_somewhere() -> None:
    for page in ("README.md", "CHANGELOG.md"):
        for link in re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / page).read_text("utf-8")):
            assert (ROOT / link).exists(), link
