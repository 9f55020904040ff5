import json
from hashlib import blake2b
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankprompt.files import read_run
from rankprompt.files.manifest import format_manifest
from rankprompt.files.scores_file import ScoredDocument, read_scores
from rankprompt.pipeline.run_writer import RunWriter
from rankprompt.rankers.scores import DocumentScore

MANIFEST = format_manifest({"config": {}})


def first_stage(*queries: str) -> dict[str, dict[str, float]]:
    return {query: {f"{query}a": 3.0, f"{query}b": 2.0, f"{query}c": 1.0} for query in queries}


@given(st.permutations("pqrs"), st.sets(st.sampled_from("pqrs")))
def test_queries_are_written_in_the_first_stages_order_whenever_they_are_done(
    order: list[str], reranked: set[str]
) -> None:
    with TemporaryDirectory() as folder, RunWriter(Path(folder) / "run.trec") as writer:
        writer.expect(first_stage("p", "q"), reranked)
        for query in order:
            if query == "r":
                writer.expect(first_stage("r", "s"), reranked)
        for query in order:
            if query in reranked:
                writer.write({query: [f"{query}c", f"{query}a"]}, {})
        assert writer.queries == 4
        writer.commit(MANIFEST)
        written = (Path(folder) / "run.trec").read_text()
    # The reranked two share out their own positions; b keeps the second.
    assert [line.split()[:4] for line in written.splitlines()] == [
        [query, "Q0", f"{query}{name}", str(rank)]
        for query in "pqrs"
        for rank, name in enumerate("cba" if query in reranked else "abc", start=1)
    ]
    assert writer.digest == blake2b(written.encode(), digest_size=16).hexdigest()


def test_a_query_is_written_as_soon_as_those_before_it_are_done(tmp_path: Path) -> None:
    with RunWriter(tmp_path / "run.trec") as writer:
        writer.expect(first_stage("p", "q"), {"p", "q"})
        writer.write({"q": ["qa"]}, {})
        assert writer.queries == 0
        writer.write({"p": ["pb"]}, {})
        assert writer.queries == 2
        writer.expect(first_stage("r"), set())
        assert writer.queries == 3


def test_run_manifest_and_scores_appear_together_or_not_at_all(tmp_path: Path) -> None:
    path, scores = tmp_path / "run.trec", tmp_path / "run.scores"
    path.write_text("an older run\n")

    def interrupted() -> None:
        with RunWriter(path, scores=scores) as writer:
            writer.expect(first_stage("p"), set())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text() == "an older run\n"
    assert {one.name for one in tmp_path.iterdir()} == {"run.trec"}
    with RunWriter(path, scores=scores) as writer:
        writer.expect(first_stage("p"), set())
        writer.commit(MANIFEST)
    assert list(read_run(path)["p"]) == list(read_scores(scores)["p"]) == ["pa", "pb", "pc"]
    assert json.loads((tmp_path / "run.json").read_text())["config"] == {}


SCORES = {"p": {"pc": DocumentScore(0.75, 1.5), "pa": DocumentScore(0.25, float("-inf"))}}


def test_a_run_holds_scores_and_the_table_the_models_own_numbers(tmp_path: Path) -> None:
    path, scores = tmp_path / "run.trec", tmp_path / "run.scores"
    with RunWriter(path, scores=scores) as writer:
        writer.expect(first_stage("p", "q"), {"p"})
        writer.write({"p": ["pc", "pa"]}, SCORES)
        writer.commit(MANIFEST)
    # b was not judged: it keeps its position, and scores as a below it, but for the last decimals.
    assert path.read_text() == (
        "p Q0 pc 1 0.7500007 rankprompt\n"
        "p Q0 pb 2 0.2500013 rankprompt\n"
        "p Q0 pa 3 0.2500002 rankprompt\n"
        "q Q0 qa 1 3e-06 rankprompt\n"
        "q Q0 qb 2 2e-06 rankprompt\n"
        "q Q0 qc 3 1e-06 rankprompt\n"
    )
    table = read_scores(scores)
    assert table["p"] == {
        "pc": ScoredDocument(1, 0.7500007, 1.5),
        "pb": ScoredDocument(2, 0.2500013, None),
        "pa": ScoredDocument(3, 0.2500002, -1e100),
    }
    run = read_run(path)
    for query, documents in table.items():
        assert run[query] == {name: one.score for name, one in documents.items()}


def test_a_threshold_leaves_documents_and_whole_queries_out(tmp_path: Path) -> None:
    def write(threshold: float) -> tuple[dict[str, list[str]], RunWriter]:
        path = tmp_path / f"{threshold}.trec"
        with RunWriter(path, threshold=threshold) as writer:
            writer.expect(first_stage("p", "q"), {"p"})
            writer.write({"p": ["pc", "pa"]}, SCORES)
            writer.commit(MANIFEST)
        text = path.read_text()
        return ({query: list(run) for query, run in read_run(path).items()} if text else {}), writer

    # A score that is the threshold stays, whatever separates it from its neighbours.
    run, writer = write(0.25)
    assert run == {"p": ["pc", "pb", "pa"]}
    assert (writer.none_relevant, writer.not_judged, writer.queries) == ([], ["q"], 2)
    assert write(0.3)[0] == {"p": ["pc"]}
    run, writer = write(0.8)
    assert run == {}
    assert (writer.none_relevant, writer.not_judged) == (["p"], ["q"])
    assert write(0.0)[0] == {"p": ["pc", "pb", "pa"], "q": ["qa", "qb", "qc"]}
