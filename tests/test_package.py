"""What importing costs, and what the public API is."""

import importlib
import json
import subprocess
import sys
import tomllib
from itertools import chain
from pathlib import Path

import pytest

import rankprompt

ROOT = Path(__file__).parent.parent
HEAVY = {
    "accelerate", "aiohttp", "bm25s", "deap", "gguf", "huggingface_hub", "ir_datasets", "jinja2",
    "matplotlib", "numba", "numpy", "onnxruntime", "pandas", "ranx", "ray", "rich", "safetensors",
    "scipy", "tokenizers", "torch", "transformers", "urllib3",
}  # fmt: skip


def loaded(script: str, *words: str) -> set[str]:
    """The top-level modules that a fresh Python has loaded after the script."""
    tail = "\nimport sys, json; print('\\n' + json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script + tail, *words], capture_output=True, text=True, check=True
    )
    return {name.partition(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}


def test_importing_rankprompt_loads_nothing_heavy() -> None:
    found = loaded("import rankprompt, rankprompt.eval, rankprompt.search")
    assert "rankprompt" in found
    assert not found & HEAVY


def test_importing_the_command_line_and_showing_help_load_nothing_heavy() -> None:
    script = """
import contextlib, rankprompt.cli
with contextlib.suppress(SystemExit):
    rankprompt.cli.main()
"""
    found = loaded(script, "rerank", "--help")
    assert "typer" in found
    assert not found & HEAVY
    assert not loaded("import rankprompt.cli") & HEAVY


def test_python_itself_reports_no_heavy_import() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "import rankprompt"],
        capture_output=True,
        text=True,
        check=True,
    )
    names = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "rankprompt" in names
    assert not {name.partition(".")[0] for name in names} & HEAVY


@pytest.mark.parametrize(
    ("module", "names"),
    [
        (
            "rankprompt",
            [
                "Candidates", "Document", "Evolver", "JudgedQuestion", "PairwiseQuestion",
                "Preference", "Qrels", "Query", "RankedDocument", "Ranking", "RerankConfig",
                "Reranked", "Reranker", "Run", "Usage", "as_run", "compare", "evaluate", "rerank",
                "rerank_run", "run_rerank",
            ],
        ),
        (
            "rankprompt.eval",
            [
                "DEFAULT_MEASURES", "GROUPS", "Comparison", "Grades", "Measure", "Scores",
                "compare", "ndcg_at_10", "parse_measure", "parse_measures", "score", "trec_order",
            ],
        ),
        (
            "rankprompt.rankers",
            [
                "METHODS", "PAIRWISE", "Method", "Ranker", "RankerSettings", "allpair",
                "bradley_terry",
                "heapsort", "listwise", "method", "pipelined", "pointwise", "prp_graph",
                "quickselect", "setwise_bubblesort", "setwise_heapsort", "setwise_insertion",
                "sliding", "stages", "tourrank",
            ],
        ),
        (
            "rankprompt.files",
            [
                "RunNeedsReadingWholeError", "Scratch", "check_writable",
                "format_run", "iterate_run", "read_documents", "read_lines",
                "read_qrels", "read_queries", "read_run", "write_atomically", "write_run",
                "write_together",
            ],
        ),
    ],
)  # fmt: skip
def test_the_public_api_is_this(module: str, names: list[str]) -> None:
    found = importlib.import_module(module)
    assert found.__all__ == names
    assert all(hasattr(found, name) for name in names)


def test_a_name_that_there_is_not_is_told() -> None:
    with pytest.raises(ImportError, match="cannot import name 'ranker' from 'rankprompt'"):
        exec("from rankprompt import ranker")


def test_the_package_is_a_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rankprompt", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"rankprompt {rankprompt.__version__}\n"


@pytest.mark.parametrize("part", ["search", "eval"])
def test_the_parts_at_top_level_are_imported_under_the_package(part: str) -> None:
    found = importlib.import_module(f"rankprompt.{part}")
    assert found.__file__ is not None
    assert Path(found.__file__).resolve() == ROOT / part / "__init__.py"
    link = ROOT / "rankprompt" / part
    assert link.is_symlink()
    assert link.readlink() == Path("..") / part


@pytest.mark.parametrize("part", ["search", "eval"])
def test_ruff_bans_the_bare_names_which_would_import_a_second_copy(part: str) -> None:
    ruff = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]
    assert "TID" in ruff["lint"]["select"]
    banned = ruff["lint"]["flake8-tidy-imports"]["banned-api"]
    assert f"rankprompt.{part}" in banned[part]["msg"]


def test_ruff_indeed_refuses_such_an_import() -> None:
    done = subprocess.run(
        [
            sys.executable, "-m", "ruff", "check", "--config", ROOT / "pyproject.toml",
            "--select", "TID", "--output-format", "concise", "--stdin-filename",
            ROOT / "tests" / "x.py", "-",
        ],
        input="import eval\nfrom search import loop\n",
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stdout.count("TID251") == 2


def test_every_dependency_that_is_declared_has_an_exact_version_that_was_tried() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    def plain(name: str) -> str:
        return name.lower().replace("_", "-")

    exact = {
        plain(line.partition("==")[0])
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line and not line.startswith("#")
    }
    # Those of GPUs and of environments of their own are not tested together with the rest.
    extras = project["optional-dependencies"]
    tested = [extras[name] for name in extras.keys() - {"bitsandbytes", "vllm"}]
    declared = [*project["dependencies"], *chain(*tested)]
    names = {
        plain(one.partition(">=")[0].partition("[")[0])
        for one in declared
        if "rankprompt[" not in one
    }
    assert names <= exact, sorted(names - exact)


def test_the_sample_and_the_prompts_ship_with_the_package() -> None:
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    shipped = setuptools["package-data"]
    assert shipped["rankprompt"] == ["py.typed"]
    assert shipped["rankprompt.prompts"] == ["*.toml"]
    assert shipped["rankprompt.eval"] == ["templates/*"]
    assert shipped["rankprompt.datasets.sample"] == ["README.md", "*/*"]
    assert shipped["rankprompt.service.page"] == ["*.css", "*.html", "*.js", "*.svg"]
