"""What plans are made of: a configuration on the sample collection, and a model."""

import pytest

from rankprompt.datasets.sample import sample
from rankprompt.files import read_documents, read_qrels, read_queries, write_run
from rankprompt.llm.base import Answer, Request
from rankprompt.pipeline.config import RerankConfig
from rankprompt.retrieval import bm25
from tests.configs import configure
from tests.fakes import FakeModel, by_hash, shows

CHOICE = 'kind = "choice"\noptions = [" Passage A", " Passage B"]\n' + (
    'text = "Query: {query}\\nA: {first}\\nB: {second}\\nWhich is better?"\n'
)


@pytest.fixture(scope="module")
def english(tmp_path_factory: pytest.TempPathFactory) -> RerankConfig:
    """The first queries of the sample, with the candidates that BM25 finds."""
    folder, source = tmp_path_factory.mktemp("english"), sample("en")
    run = bm25(read_queries(source / "queries.tsv"), read_documents(source / "docs.jsonl"))
    write_run(folder / "run.trec", {name: list(of) for name, of in run.items()}, tag="bm25")
    (folder / "choice.toml").write_text(CHOICE)
    return configure(
        run=folder / "run.trec",
        queries=source / "queries.tsv",
        docs=source / "docs.jsonl",
        output=folder / "out.trec",
        model=f"oracle:{source / 'qrels.trec'}",
        depth=20,
        limit=3,
    )


def start(text: str) -> str:
    """What tells a passage, even when it is cut."""
    return " ".join(text.split()[:9])


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> FakeModel:
    """A model that judges as the sample's grades do, wherever one is loaded."""
    source = sample("en")
    texts = read_documents(source / "docs.jsonl")
    grades = {
        start(texts[name].text): grade
        for judged in read_qrels(source / "qrels.trec").values()
        for name, grade in judged.items()
    }
    choose = shows(lambda a, b: 0.5 + 0.1 * (grades[start(a)] - grades[start(b)]))

    def answer(request: Request) -> Answer:
        return choose(request) if "Which is better?" in request.prompt else by_hash(request)

    fake = FakeModel(answer)
    monkeypatch.setattr("rankprompt.pipeline.model_access.load_model", lambda *_, **__: fake)
    return fake
