"""The README's Python block runs, and prints what the README shows; the README stays short."""

import re

import pytest

from tests.docs.conftest import ROOT, run_python

README = (ROOT / "README.md").read_text("utf-8")


def test_it_fits_on_a_few_screens() -> None:
    assert len(README.splitlines()) < 150


@pytest.mark.model
def test_its_python_block_prints_the_output_below_it() -> None:
    ((code, output),) = re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", README, re.DOTALL)
    completed = run_python(code)
    assert completed.returncode == 0, completed.stderr
    assert completed.stdout == output
