"""What the site takes from elsewhere: the command line's reference, and the notebooks."""

import re
import subprocess
import sys
from pathlib import Path

import nbformat
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages that nobody writes by hand."""
    made = {"cli.md": command_line()}
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        made[f"notebooks/{path.stem}.md"] = notebook_page(path)
    for name, text in made.items():
        files.append(File.generated(config, name, content=text))
    return files


# What the theme leaves out for those who hear a page.
_ACCESSIBLE = {
    'data-md-component="search" role="dialog"': 'data-md-component="search" role="dialog" '
    'aria-label="Search"',
    "<th></th>": "<td></td>",
}


def on_post_page(output: str, **_: object) -> str:
    """Mends what axe-core finds in the theme's own markup."""
    for found, better in _ACCESSIBLE.items():
        output = output.replace(found, better)
    return output


def command_line() -> str:
    """The reference of all verbs, from the program itself."""
    words = ["rankprompt.cli", "utils", "docs", "--name", "rankprompt", "--title", "Command line"]
    done = subprocess.run(
        [sys.executable, "-m", "typer", *words],
        capture_output=True, text=True, check=True, cwd=ROOT,
    )  # fmt: skip
    return whole_summaries(done.stdout)


def whole_summaries(page: str) -> str:
    """Lists of verbs with links, and with first sentences in place of their beginnings."""
    said = dict(re.findall(r"^#+ `(rankprompt [^`]+)`\n\n(.+)", page, re.MULTILINE))
    found, under = [], "rankprompt"
    for line in page.splitlines():
        if heading := re.match(r"#+ `(.+)`", line):
            under = heading[1]
        verb = re.match(r"\* `(\w+)`: ", line)
        name = f"{under} {verb[1]}" if verb else ""
        if verb and name in said:
            line = f"* [`{verb[1]}`](#{name.replace(' ', '-')}): {said[name]}"
        found.append(line)
    return "\n".join(found) + "\n"


def notebook_page(path: Path) -> str:
    """A notebook as a page: its text, its code, and what the code showed."""
    name = path.relative_to(ROOT)
    parts = []
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "markdown":
            parts.append(cell.source)
            continue
        parts.append(f"```python\n{cell.source}\n```")
        shown = "".join(one.get("text", "") for one in cell.outputs).rstrip()
        if shown:
            parts.append(f"```text\n{shown}\n```")
    title, _, rest = "\n\n".join(parts).partition("\n")
    return f"{title}\n\n*From the notebook `{name}`, which `make test` runs.*\n{rest}\n"
