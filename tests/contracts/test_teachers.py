"""What every teacher promises: scores that depend on a pair alone, whatever the texts."""

import asyncio
import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from rankprompt.cascade.teachers import MINILM, ModelTeacher, load_teacher
from rankprompt.errors import ModelError
from rankprompt.journal.cached_model import CachedModel, ConcurrentCachedModel
from rankprompt.journal.store import Journal
from rankprompt.llm import load_server
from rankprompt.prompts.prompt import RELEVANCE
from tests.cascade.toy_models import save_cross_encoder
from tests.fakes import FakeModel
from tests.servers.classifier import save_classifier
from tests.servers.protocol import ProtocolServer
from tests.servers.reranker import Reranker

ODD = ["", " \n ", "x", "the mill " * 50_000, "\u9e64\U0001f426", "\x00"]
RUNNERS, SERVER = ExitStack(), ProtocolServer(Reranker())
PAIRS = [("the mill", text) for text in [*ODD, "An old mill stands.", "Boats in the harbour."]]


def cross_encoder(folder: Path) -> ModelTeacher:
    if not (folder / "config.json").exists():
        save_cross_encoder(folder, num_hidden_layers=2, max_position_embeddings=64)
    return load_teacher(str(folder))


def minilm(_: Path) -> ModelTeacher:
    pytest.importorskip("onnxruntime")
    try:
        return load_teacher(MINILM)
    except ModelError as error:
        pytest.skip(str(error))


def language_model(prompt: str) -> Callable[[Path], ModelTeacher]:
    def load(_: Path) -> ModelTeacher:
        answering = CachedModel(FakeModel(), Journal(None))
        return load_teacher("llm:fake", prompt=prompt, model=answering)

    return load


def served_reranker(folder: Path) -> ModelTeacher:
    """A reranker behind HTTP, for which texts are cut at what its tokenizer says."""
    tokenizer = str(save_classifier(folder / "tokenizer"))
    server = load_server("rerank:m", base_url=SERVER.url, tokenizer=tokenizer)
    runner = RUNNERS.enter_context(asyncio.Runner())
    RUNNERS.callback(lambda: runner.run(server.close()))
    model = ConcurrentCachedModel(server, Journal(None))
    return load_teacher("rerank:m", prompt=RELEVANCE, model=model, runner=runner)


TEACHERS = {
    "cross-encoder": cross_encoder,
    MINILM: minilm,
    "relevance-yes-no": language_model("relevance-yes-no"),
    "query-likelihood": language_model("query-likelihood"),
    "rerank": served_reranker,
}


@pytest.fixture(autouse=True, scope="module")
def server() -> Iterator[None]:
    """Runs the server."""
    with SERVER, RUNNERS:
        yield


@pytest.mark.parametrize("name", TEACHERS)
def test_a_teacher_keeps_the_contract(name: str, tmp_path: Path) -> None:
    teacher = TEACHERS[name](tmp_path)
    assert teacher([]) == []
    assert teacher.tokens == 0
    scores = teacher(PAIRS)
    assert teacher.tokens > len(PAIRS)
    assert teacher.windows_cut == 1
    assert len(scores) == len(PAIRS)
    assert all(map(math.isfinite, scores))
    assert scores[-1] != scores[-2]
    assert not teacher.cuts("the mill")
    # A score depends on neither the others in a batch nor their order, nor on what was before.
    again = TEACHERS[name](tmp_path)
    assert again.fingerprint == teacher.fingerprint
    assert again(PAIRS[::-1])[::-1] == pytest.approx(scores, abs=1e-5)
    assert [teacher([pair])[0] for pair in PAIRS] == pytest.approx(scores, abs=1e-5)


def test_no_two_teachers_have_one_fingerprint(tmp_path: Path) -> None:
    found = {load(tmp_path).fingerprint for name, load in TEACHERS.items() if name != MINILM}
    assert len(found) == len(TEACHERS) - 1
