"""Generates the pages that are not written by hand: command line, Python API, notebooks."""

import re
import subprocess
import sys
from pathlib import Path

import nbformat
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent

# The packages and modules of the Python API reference, in the order of the navigation. A package's
# page includes its public modules.
API = (
    "rankprompt",
    "rankprompt.api",
    "rankprompt.types",
    "rankprompt.errors",
    "rankprompt.files",
    "rankprompt.prompts",
    "rankprompt.rankers",
    "rankprompt.datasets",
    "rankprompt.llm",
    "rankprompt.journal",
    "rankprompt.judges",
    "rankprompt.retrieval",
    "rankprompt.cascade",
    "rankprompt.eval",
    "rankprompt.search",
    "rankprompt.distil",
    "rankprompt.integrations",
)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Adds the pages of the Python API to the navigation."""
    for section in config.nav or ():
        if "Python API" in section:
            section["Python API"] = [{module: f"api/{module}.md"} for module in API]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the generated pages."""
    pages = {"cli.md": command_line()}
    pages |= {f"api/{module}.md": api_page(module) for module in API}
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        pages[f"notebooks/{path.stem}.md"] = notebook_page(path)
    for name, text in pages.items():
        files.append(File.generated(config, name, content=text))
    return files


# The theme's markup, and the same with what axe-core misses in it.
_ACCESSIBLE = {
    'data-md-component="search" role="dialog"': 'data-md-component="search" role="dialog" '
    'aria-label="Search"',
    "<th></th>": "<td></td>",
}

# A block of code, but for the signatures of the reference, whose lines are wrapped (site.css).
_BLOCK = re.compile(
    r'(?<!doc-signature highlight">)<pre><span></span><code>(.*?)</code></pre>', re.DOTALL
)


def on_post_page(output: str, **_: object) -> str:
    """Corrects the accessibility faults that axe-core finds in the theme's markup."""
    for theirs, ours in _ACCESSIBLE.items():
        output = output.replace(theirs, ours)
    # What scrolls must take the focus, to be scrolled by keyboard. The theme's script sees to that
    # for code which has been seen, where a pointer hovers, and takes a tabindex away elsewhere; so
    # what scrolls is an element in the code that the script does not know.
    scrolls = r'<pre><span></span><code><span class="scrolls" tabindex="0">\1</span></code></pre>'
    return _BLOCK.sub(scrolls, output)


def api_page(module: str) -> str:
    """The reference of a module, or of a package with its modules, from their docstrings."""
    # A page of the package itself would otherwise hold the whole tree.
    alone = "" if module != "rankprompt" else "\n    options:\n      show_submodules: false"
    return f"# {module}\n\n::: {module}{alone}\n"


def command_line() -> str:
    """The reference of all commands, from the program itself."""
    arguments = ["rankprompt.cli.app", "utils", "docs", "--name", "rankprompt", "--title"]
    completed = subprocess.run(
        [sys.executable, "-m", "typer", *arguments, "Command line"],
        capture_output=True, text=True, check=True, cwd=ROOT,
    )  # fmt: skip
    return link_commands(completed.stdout)


def link_commands(page: str) -> str:
    """Turns the lists of commands into links with whole first sentences, which typer truncates."""
    summaries = dict(re.findall(r"^#+ `(rankprompt [^`]+)`\n\n(.+)", page, re.MULTILINE))
    lines, parent = [], "rankprompt"
    for line in page.splitlines():
        if heading := re.match(r"#+ `(.+)`", line):
            parent = heading[1]
        item = re.match(r"\* `(\w+)`: ", line)
        command = f"{parent} {item[1]}" if item else ""
        if item and command in summaries:
            line = f"* [`{item[1]}`](#{command.replace(' ', '-')}): {summaries[command]}"
        lines.append(line)
    return "\n".join(lines) + "\n"


def notebook_page(path: Path) -> str:
    """A notebook as a page: its text, its code, and the code's output."""
    blocks = []
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "markdown":
            blocks.append(cell.source)
            continue
        blocks.append(f"```python\n{cell.source}\n```")
        output = "".join(entry.get("text", "") for entry in cell.outputs).rstrip()
        if output:
            blocks.append(f"```text\n{output}\n```")
    title, _, rest = "\n\n".join(blocks).partition("\n")
    name = path.relative_to(ROOT)
    return f"{title}\n\n*From the notebook `{name}`, which `make test` runs.*\n{rest}\n"
