"""The examples of docs/integrations.md print the output below them."""

import io
import re
from contextlib import redirect_stdout
from itertools import pairwise

import pytest

from tests.docs.conftest import ROOT

PAGE = (ROOT / "docs" / "integrations.md").read_text("utf-8")
SECTION = re.compile(r"^## (.+)$", re.MULTILINE)
EXAMPLE = re.compile(r"```python\n(.*?)```\n\n```text\n(.*?)```", re.DOTALL)


def examples() -> dict[str, tuple[str, str]]:
    """The code and the output of each section that has an example."""
    headings = [(match[1], match.end()) for match in SECTION.finditer(PAGE)]
    bounds = [*headings, ("", len(PAGE))]
    texts = {name: PAGE[start:end] for (name, start), (_, end) in pairwise(bounds)}
    matches = {name: EXAMPLE.search(text) for name, text in texts.items()}
    return {name: (match[1], match[2]) for name, match in matches.items() if match}


def test_each_block_of_python_is_run() -> None:
    assert len(examples()) == PAGE.count("```python")
    assert {"LangChain", "LlamaIndex", "Haystack", "PyTerrier", "MTEB"} <= examples().keys()


@pytest.mark.model
@pytest.mark.filterwarnings("ignore:The inplace keyword:DeprecationWarning")  # PyTerrier's
@pytest.mark.parametrize("name", examples())
def test_an_example_prints_the_output_below_it(name: str) -> None:
    code, output = examples()[name]
    printed = io.StringIO()
    with redirect_stdout(printed):
        exec(compile(code, f"docs/integrations.md, {name}", "exec"), {"__name__": "__main__"})
    assert printed.getvalue() == output
