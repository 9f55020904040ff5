"""One model in several threads: its tokenizer beside its answers, and weights loaded once."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Lock
from typing import Any

import pytest
from transformers import ByT5Tokenizer

from rankprompt.llm import load_model
from rankprompt.llm.base import Request
from rankprompt.llm.encoder_networks import Network, load_network
from rankprompt.llm.local.lazy import LazyModel
from rankprompt.llm.local.model import LocalModel
from rankprompt.llm.rerankers.cross_encoder import CrossEncoderModel
from tests.llm import tiny
from tests.llm.rerankers.classifiers import save_classifier, save_onnx
from tests.llm.threads import answers_of, check_threads
from tests.llm.tiny_rerankers import save_reranker

QUESTIONS = [
    Request(f"{text} Which passage is more relevant? Passage", (" A", " B"), chat=chat)
    for text in tiny.SENTENCES[:3]
    for chat in (False, True)
]
WRITTEN = [Request("The harbour is", max_tokens=6), Request("An old mill", max_tokens=4)]
PAIRS = [
    Request(query, passage=passage)
    for query in ("the mill", " ".join(tiny.SENTENCES * 9))
    for passage in [*tiny.SENTENCES, "", "boats"]
]


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RANKPROMPT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def load(folder: Path) -> Any:
    return load_model(str(folder), dtype="float32", device="cpu", threads=1)


def with_truncation(folder: Path) -> Path:
    """A llama whose tokenizer's file asks for truncation and padding, as many do."""
    words = tiny.tokenizer(template=tiny.TEMPLATE)
    words.backend_tokenizer.enable_truncation(5)
    words.backend_tokenizer.enable_padding(length=9)
    return tiny.save(folder, tiny.llama(), words)


def with_python_tokenizer(folder: Path) -> Path:
    make: Any = ByT5Tokenizer
    return tiny.save(folder, tiny.t5(), make())


@pytest.mark.parametrize(
    ("save", "kind"),
    [
        (with_truncation, LocalModel),
        (with_truncation, LazyModel),
        (with_python_tokenizer, LocalModel),
        (lambda folder: save_reranker(folder, "qwen3"), LazyModel),
    ],
)
def test_texts_are_counted_and_cut_while_a_language_model_answers(
    tmp_path: Path, save: Callable[[Path], Path], kind: type
) -> None:
    folder = save(tmp_path / "model")
    alone = load(folder)
    model = load(folder)
    if kind is LocalModel:
        alone, model = model, alone
    assert isinstance(model, kind)
    check_threads(model, alone, QUESTIONS)
    if save is not with_python_tokenizer:  # whose vocabulary is smaller than the model's
        check_threads(model, alone, WRITTEN)


@pytest.mark.parametrize("save", [save_classifier, save_onnx])
def test_texts_are_counted_and_cut_while_a_cross_encoder_answers(
    tmp_path: Path, save: Callable[[Path], Path]
) -> None:
    folder = save(tmp_path)
    model, alone = load(folder), load(folder)
    assert isinstance(model, CrossEncoderModel)
    check_threads(model, alone, PAIRS)
    assert model.queries_cut == alone.queries_cut == 1


def test_threads_that_ask_first_together_load_the_weights_once(tmp_path: Path) -> None:
    folder = tiny.save(tmp_path / "model", tiny.llama(), tiny.tokenizer(template=tiny.TEMPLATE))
    first: LocalModel = load(folder)
    facts = first.facts()
    assert facts
    loads, counting, together = [0], Lock(), Barrier(8)

    def load_weights() -> LocalModel:
        with counting:
            loads[0] += 1
        return first

    lazy = LazyModel("tiny", facts, load_weights=load_weights, discard=lambda: None)

    def ask(thread: int) -> object:
        together.wait()
        return lazy.plan(QUESTIONS) if thread % 2 else lazy.length(QUESTIONS[1])

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(8))) == [
            first.plan(QUESTIONS) if thread % 2 else first.length(QUESTIONS[1])
            for thread in range(8)
        ]
    assert loads == [1]


def test_threads_run_a_network_at_once_and_load_it_once(tmp_path: Path) -> None:
    whole = load(save_onnx(tmp_path))
    expected = answers_of(whole, PAIRS)
    loads, together = [0], Barrier(8)
    made = load_network(tmp_path, "classifier", truncates=False, lazy=True)

    def slow() -> Any:
        loads[0] += 1
        return made.load()

    network = Network(
        tmp_path, made.tokenizer, longest=made.longest, fingerprint="f", pad=0, load=slow, threads=2
    )

    def score(_: int) -> list[Any]:
        together.wait()
        return answers_of(CrossEncoderModel(network, name="tiny"), PAIRS)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(score, range(8))) == [expected] * 8
    assert loads == [1]


@pytest.mark.model
def test_the_embedded_models_are_read_by_threads_while_they_answer() -> None:
    for name, requests in (("smollm2-135m", QUESTIONS[:1]), ("ms-marco-minilm-l12", PAIRS[:6])):
        model = load_model(name, threads=1)
        check_threads(model, model, requests)
