"""The notebooks run, and their output is the output that they are stored with.

``RANKPROMPT_RENEW=1 pytest -m model tests/notebooks`` runs them and stores their output.
"""

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parent.parent.parent / "notebooks").glob("*.ipynb"))
SECONDS = 180  # of one core, for each notebook

CPU_SECONDS = "import resource; print(sum(resource.getrusage(resource.RUSAGE_SELF)[:2]))"


def read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


def cleaned(notebook: Any) -> Any:
    """The notebook without what changes from run to run and without stderr."""
    notebook.metadata.language_info = {"name": "python"}
    for cell in notebook.cells:
        cell.metadata = {"tags": ["varies"]} if varies(cell) else {}
        if cell.cell_type == "code":
            cell.execution_count = None
            cell.outputs = joined(
                output for output in cell.outputs if output.get("name") != "stderr"
            )
    return notebook


def joined(outputs: Iterable[Any]) -> list[Any]:
    """Joins adjacent pieces of a stream, whose boundaries depend on timing."""
    whole: list[Any] = []
    for output in outputs:
        if whole and output.output_type == whole[-1].output_type == "stream":
            whole[-1].text += output.text
        else:
            whole.append(output)
    return whole


def varies(cell: Any) -> bool:
    """Whether the words of a cell's output may differ on a machine that rounds otherwise."""
    return "varies" in cell.metadata.get("tags", [])


def shown(notebook: Any) -> list[list[str]]:
    """The output of each cell, without numbers and white space."""
    return [
        [
            re.sub(r"[\s\d.,%+-]+", " ", output.get("text", output.output_type))
            for output in cell.outputs
        ]
        for cell in notebook.cells
        if cell.cell_type == "code" and not varies(cell)
    ]


def test_there_are_five() -> None:
    names = [path.stem for path in NOTEBOOKS]
    assert names == ["1_rerank", "2_cascade", "3_evolve", "4_evaluate", "5_rag"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_stored_notebook_is_valid_small_and_of_no_one_machine(path: Path) -> None:
    notebook = read(path)
    nbformat.validate(notebook)
    text = path.read_text("utf-8")
    assert len(text) < 40_000
    assert not re.search(r"/(tmp|home|root|work|Users)/", text)
    assert notebook.cells[0].source.startswith("# ")
    assert nbformat.writes(cleaned(read(path))) + "\n" == text
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert not any(output.output_type == "error" for output in cell.outputs)


@pytest.mark.model
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs_in_three_minutes_with_the_stored_output(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    notebook = read(path)
    notebook.cells.append(nbformat.v4.new_code_cell(CPU_SECONDS))
    resources = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=1500, resources=resources, record_timing=False).execute()
    seconds = float(notebook.cells.pop().outputs[0].text)
    if os.environ.get("RANKPROMPT_RENEW"):
        path.write_text(nbformat.writes(cleaned(notebook)) + "\n", "utf-8")
    assert shown(cleaned(notebook)) == shown(read(path)), "if meant, renew with RANKPROMPT_RENEW=1"
    # Processor time, which does not depend on other work on the machine.
    assert seconds < SECONDS
