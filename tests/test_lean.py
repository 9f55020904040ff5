"""An installation of the core alone: what works there, and how what is missing is told."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from rankprompt.cli.verbs import VERBS
from rankprompt.errors import (
    DISTRIBUTIONS,
    EXTRA_PACKAGES,
    PIP_LINES,
    MissingPackageError,
    naming_extras,
)
from tests.servers.protocol import ProtocolServer
from tests.servers.speaker import Speaker

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
SAMPLE = ROOT / "rankprompt" / "datasets" / "sample" / "en"
QUERIES, DOCS, QRELS = SAMPLE / "queries.tsv", SAMPLE / "docs.jsonl", SAMPLE / "qrels.trec"

# What the extras install, and what comes with it.
ABSENT = {*EXTRA_PACKAGES, "huggingface_hub", "numba", "pandas", "pyserini", "seaborn", "sympy"}
ABSENT |= {name.replace("-", "_") for name in DISTRIBUTIONS.values()}
WITHOUT = f"""
import sys
from importlib.machinery import PathFinder
absent = {ABSENT!r}
class Lean(PathFinder):
    @staticmethod
    def find_spec(name, *more):
        return None if name.partition(".")[0] in absent else PathFinder.find_spec(name, *more)
    @staticmethod
    def find_distributions(*context):
        found = PathFinder.find_distributions(*context)
        return [one for one in found if one.name.lower().replace("-", "_") not in absent]
sys.meta_path[sys.meta_path.index(PathFinder)] = Lean
"""
COMMAND = "from rankprompt.cli import main; main()"


def lean(code: str, *words: object) -> subprocess.CompletedProcess[str]:
    """Runs code in a Python that lacks all packages of extras."""
    return subprocess.run(
        [sys.executable, "-c", WITHOUT + code, *map(str, words)], capture_output=True, text=True
    )


def works(*words: object) -> str:
    """What a command prints on stdout."""
    ran = lean(COMMAND, *words)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """BM25's first four documents of each query of the sample."""
    path = tmp_path_factory.mktemp("lean") / "bm25.trec"
    works("retrieve", "--queries", QUERIES, "--docs", DOCS, "--depth", 4, "--output", path)
    return path


def plain(requirement: str) -> str:
    return requirement.partition(">=")[0].lower().replace("-", "_")


def test_the_core_depends_on_nothing_that_an_extra_installs() -> None:
    core = {plain(one) for one in PROJECT["dependencies"]}
    assert not core & ABSENT
    assert core == {
        "aiohttp", "bm25s", "certifi", "ir_datasets", "jinja2", "numpy", "platformdirs", "pydantic",
        "pystemmer", "rich", "scipy", "truststore", "typer", "urllib3",
    }  # fmt: skip


def test_each_package_of_an_extra_is_installed_by_the_pip_line_that_names_it() -> None:
    for module, (_, extra) in EXTRA_PACKAGES.items():
        package = plain(DISTRIBUTIONS.get(module, module))
        assert package in {plain(one) for one in EXTRAS[extra]}
        assert PIP_LINES[extra] == f"pip install 'rankprompt[{extra}]'"
    (exact,) = (
        line for line in (ROOT / "constraints.txt").read_text().splitlines() if "torch==" in line
        if not line.startswith("#")
    )  # fmt: skip
    assert PIP_LINES["torch"] == f"pip install {exact}"


def test_all_has_each_extra_but_those_of_other_environments_and_frameworks() -> None:
    (everything,) = EXTRAS["all"]
    frameworks = {"haystack", "langchain", "llama-index", "mteb", "pyterrier", "ray-serve"}
    others = {"all", "bitsandbytes", "dev", "lucene", "vllm", *frameworks}
    assert everything == f"rankprompt[{','.join(sorted(EXTRAS.keys() - others))}]"


def test_each_verb_shows_its_help() -> None:
    code = """
from rankprompt.cli import main
for verb in sys.argv[1:]:
    sys.argv[1:] = [verb, "--help"]
    try:
        main()
    except SystemExit as stop:
        assert not stop.code, verb
"""
    ran = lean(code, *VERBS)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count("Usage: rankprompt") == len(VERBS)


def test_runs_are_evaluated_compared_inspected_and_exported(run: Path, tmp_path: Path) -> None:
    (scored,) = json.loads(works("evaluate", "--qrels", QRELS, "--json", run))["runs"]
    assert scored["means"]["ndcg@10"] > 0
    better = tmp_path / "better.trec"
    words = ("--queries", QUERIES, "--docs", DOCS, "--run", run)
    works("rerank", *words, "--model", f"oracle:{QRELS}", "--output", better)
    compared = works("compare", "--qrels", QRELS, "--baseline", run, better)
    assert "unlikely to be chance" in compared
    inspected = json.loads(works("inspect", *words, "--json"))
    assert (inspected["documents"], inspected["document_tokens"]) == (240, None)
    assert "sliding" in works("plan", *words, "--model", f"oracle:{QRELS}")
    works("export", *words, "--output", tmp_path / "requests.jsonl")
    assert works("doctor").count(" absent ") >= len(EXTRA_PACKAGES)


def test_a_model_behind_a_server_reranks_and_is_planned(run: Path, tmp_path: Path) -> None:
    output = tmp_path / "better.trec"
    longer = Speaker(lambda first, second: 0.9 if len(first) > len(second) else 0.1)
    with ProtocolServer(longer) as server:
        words = (
            "--queries", QUERIES, "--docs", DOCS, "--run", run, "--model", "openai:m",
            "--base-url", server.url,
        )  # fmt: skip
        assert "heapsort" in works("plan", *words)
        planned = server.calls
        works("rerank", *words, "--output", output)
        assert server.calls > planned
    assert json.loads(output.with_suffix(".json").read_text())["costs"]["prompts"] > 0
    works("evaluate", "--qrels", QRELS, run, output)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "rerank --output {new} {data} --run {run}",
            f"a model in ONNX form needs tokenizers; run: {PIP_LINES['onnx']}\n",
        ),
        (
            "rerank --output {new} {data} --run {run} --model smollm2-135m",
            f"run: {PIP_LINES['torch']} && {PIP_LINES['local']}\n",
        ),
        ("plan {data} --run {run}", f"run: {PIP_LINES['onnx']}\n"),
        (
            "rerank --output {new} {data} --run {run} --method cascade --teacher llm:smollm2-135m",
            f"torch; run: {PIP_LINES['torch']} && {PIP_LINES['local']}\n",
        ),
        ("inspect {data} --run {run} --model org/model", f"&& {PIP_LINES['local']}\n"),
        ("fuse {run} {other} --output {new}",
         f"the fusion of runs needs ranx; run: {PIP_LINES['ranx']}\n"),
        ("report --qrels {qrels} {run} --output {new}",
         f"a plot needs matplotlib; run: {PIP_LINES['report']}\n"),
    ],
)  # fmt: skip
def test_what_is_missing_is_named_in_one_line(
    run: Path, tmp_path: Path, words: str, message: str
) -> None:
    new, other = tmp_path / "new.trec", tmp_path / "other.trec"
    other.write_text(run.read_text())
    data = f"--queries {QUERIES} --docs {DOCS}"
    ran = lean(
        COMMAND, *words.format(new=new, other=other, data=data, run=run, qrels=QRELS).split()
    )
    assert (ran.returncode, ran.stdout) == (2, "")
    *_, line = ran.stderr.splitlines(keepends=True)
    assert line.startswith("rankprompt: ")
    assert message in line
    assert "Traceback" not in ran.stderr
    assert not new.exists()


def test_a_program_gets_the_same_line_as_an_exception() -> None:
    code = """
from rankprompt.errors import RankpromptError
from rankprompt.llm import load_model
try:
    load_model("smollm2-135m")
except RankpromptError as error:
    print(error)
"""
    assert lean(code).stdout.startswith("a model on this machine needs torch; run: pip install ")


def test_an_adapter_names_the_extra_of_its_framework() -> None:
    code = """
from importlib import import_module
from rankprompt.errors import MissingPackageError
for name in sys.argv[1:]:
    try:
        import_module(f"rankprompt.integrations.{name}")
    except MissingPackageError as error:
        print(error)
"""
    adapters = ("langchain", "llama_index", "haystack", "pyterrier")
    lines = lean(code, *adapters).stdout.splitlines()
    assert [line.partition("; run: ")[2] for line in lines] == [
        PIP_LINES[name.replace("_", "-")] for name in adapters
    ]


def test_other_failed_imports_are_left_as_they_are() -> None:
    with pytest.raises(ModuleNotFoundError, match="'no_such_module'"), naming_extras():
        exec("import no_such_module")
    with pytest.raises(MissingPackageError, match="needs ranx"), naming_extras():
        raise ModuleNotFoundError("No module named 'ranx.metrics'", name="ranx.metrics")
