"""Queries that a model writes: a server in this process whose answers depend on the passage."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rankprompt.distil.config import ASKED, GenerationConfig
from rankprompt.distil.generated_queries import GeneratedQueries, generate_queries
from rankprompt.errors import InputError, ModelError
from rankprompt.files import read_qrels, read_queries
from rankprompt.pipeline.config_keywords import config_from_options
from tests.llm import tiny
from tests.servers.protocol import ProtocolServer

_PASSAGE = re.compile(r"mill (\d+)")


class Writer:
    """Writes a query for each passage; every third answer is none."""

    def __init__(self) -> None:
        self.prompts: list[str] = []

    def __call__(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        assert path.endswith("/chat/completions"), "most servers offer nothing but chats"
        prompt = body["messages"][-1]["content"]
        self.prompts.append(prompt)
        number = int(_PASSAGE.findall(prompt)[-1])
        text = f'who built mill {number}?"' if number % 3 else "What does the passage say?"
        return {
            "choices": [{"message": {"content": text}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 9, "completion_tokens": 5},
        }


@pytest.fixture
def writer() -> Writer:
    return Writer()


@pytest.fixture
def url(writer: Writer) -> Iterator[str]:
    with ProtocolServer(writer) as server:
        yield server.url


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    path = tmp_path / "docs.jsonl"
    texts = [f"The story of mill {number}, which stands\nby the river." for number in range(30)]
    lines = [json.dumps({"id": f"d{number}", "text": text}) for number, text in enumerate(texts)]
    path.write_text("\n".join([*lines, json.dumps({"id": "blank", "text": " "})]) + "\n")
    return path


def generate(docs: Path, number: int, qrels: Path | None = None, **more: Any) -> GeneratedQueries:
    asked = config_from_options(ASKED, {"docs": docs, "output": docs.parent / "q.tsv", **more})
    return generate_queries(GenerationConfig(asked, number, qrels))


def test_each_passage_gets_a_query_and_others_take_the_place_of_those_that_do_not(
    docs: Path, url: str, writer: Writer
) -> None:
    qrels = docs.parent / "qrels.trec"
    made = generate(docs, 12, qrels, model="openai:m", base_url=(url,))
    assert len(made.queries) == 12
    assert made.passages == len(writer.prompts) == 12 + sum(made.dropped.values())
    assert set(made.dropped) == {"refer to the passage"}
    assert read_queries(docs.parent / "q.tsv") == made.queries
    for name, text in made.queries.items():
        assert text == f"who built mill {name.removeprefix('d').removesuffix('-q')}?"
    assert read_qrels(qrels) == {name: {name.removesuffix("-q"): 1} for name in made.queries}
    # A passage stands on one line, without a demonstration.
    assert all(prompt.count("which stands by the river.") == 1 for prompt in writer.prompts)
    assert all(prompt.count("The question that this text") == 1 for prompt in writer.prompts)


def test_the_seed_draws_and_another_draws_others(docs: Path, url: str) -> None:
    server: dict[str, Any] = {"model": "openai:m", "base_url": (url,)}
    first = generate(docs, 5, **server)
    assert generate(docs, 5, output=docs.parent / "again.tsv", **server).queries == first.queries
    other = generate(docs, 5, output=docs.parent / "other.tsv", seed=1, **server)
    assert other.queries.keys() != first.queries.keys()
    # More documents leave the order of the others as it is.
    with docs.open("a") as file:
        file.write(json.dumps({"id": "d31", "text": "The story of mill 31."}) + "\n")
    more = generate(docs, 5, output=docs.parent / "more.tsv", **server).queries
    assert len(more.keys() & first.queries.keys()) >= 4


def test_the_journal_answers_what_was_asked_before(docs: Path, url: str, writer: Writer) -> None:
    server: dict[str, Any] = {"model": "openai:m", "base_url": (url,)}
    generate(docs, 5, **server, max_prompts=3)
    assert len(writer.prompts) == 3
    whole = generate(docs, 12, **server)
    asked = len(writer.prompts)
    assert asked == whole.passages
    assert generate(docs, 12, **server).queries == whole.queries
    assert len(writer.prompts) == asked


def test_too_few_passages_are_told(docs: Path, url: str, caplog: pytest.LogCaptureFixture) -> None:
    made = generate(docs, 100, model="openai:m", base_url=(url,))
    assert (len(made.queries), made.passages) == (20, 30)
    assert "the documents have no more passages: 20 queries" in caplog.text


def test_a_model_that_writes_no_queries_is_stopped(tmp_path: Path) -> None:
    docs = tmp_path / "docs.jsonl"
    texts = [json.dumps({"id": f"d{number}", "text": f"mill {number}"}) for number in range(300)]
    docs.write_text("\n".join(texts) + "\n")

    def repeat(*_: object) -> dict[str, Any]:
        return {"choices": [{"message": {"content": "mill"}, "finish_reason": "stop"}]}

    with (
        ProtocolServer(repeat) as server,
        pytest.raises(ModelError, match=r"1 of the first 64 answers are queries \(63 repeat"),
    ):
        generate(docs, 200, model="openai:m", base_url=(server.url,))
    assert not (tmp_path / "q.tsv").exists()


def test_a_local_model_reads_as_much_of_a_passage_as_is_said(tmp_path: Path) -> None:
    """A tiny model with random weights writes nonsense, which is refused, and asked only once."""
    folder = tiny.save(tmp_path / "llama", tiny.llama(max_position_embeddings=512))
    docs = tmp_path / "docs.jsonl"
    docs.write_text(json.dumps({"id": "d1", "text": "mill " * 900}) + "\n")
    with pytest.raises(ModelError, match=r"no answer is a query \(1 "):
        generate(docs, 1, model=str(folder), passage_tokens=5)
    short = tiny.save(tmp_path / "short", tiny.llama(max_position_embeddings=64))
    with pytest.raises(ModelError, match="no room for a passage"):
        generate(docs, 1, model=str(short))


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"model": "ms-marco-minilm-l12"}, "a reranker writes no queries"),
        ({"model": "oracle:qrels.trec"}, "an oracle writes no queries"),
        ({"prompt": "prp"}, "`prompt` prp: queries are written after a prompt of kind likelihood"),
        ({"dataset": "beir:x"}, "give `docs`, or a `dataset`"),
        ({"split": "dev"}, "`split` goes with `dataset`"),
        ({"output": None}, "give `output`"),
        ({"passage_tokens": 0}, "`passage_tokens` must be at least 1"),
        ({"max_cost": 1.0}, "`max_cost` needs the prices"),
    ],
)
def test_what_cannot_work_is_refused_before_it_costs(
    docs: Path, more: dict[str, Any], told: str
) -> None:
    with pytest.raises(InputError, match=re.escape(told)):
        generate(docs, 5, **more)


def test_the_number_is_one_or_more() -> None:
    with pytest.raises(InputError, match="`number` must be at least 1, not 0"):
        GenerationConfig(number=0)
