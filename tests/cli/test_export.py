"""``rankprompt export``."""

from pathlib import Path

from rankprompt.datasets import open_collection
from rankprompt.files import read_qrels, read_queries, read_run
from tests.cli.conftest import Collection, Command


def test_requests_read_back_equal(command: Command, collection: Collection, tmp_path: Path) -> None:
    files = ["--queries", collection.queries, "--docs", collection.docs]
    for name in ("requests.jsonl", "requests.json"):
        ran = command("export", *files, "--run", collection.run, "--output", tmp_path / name)
        assert (ran.code, ran.err) == (0, f"rankprompt: {tmp_path / name}: 2 requests\n")
        found = open_collection(f"requests:{tmp_path / name}")
        assert found.run() == read_run(collection.run)
        assert found.queries() == read_queries(collection.queries)
    ran = command(
        "export", *files, "--run", collection.run, "--depth", 1, "--output", tmp_path / "one.jsonl"
    )
    assert ran.code == 0
    top = open_collection(f"requests:{tmp_path / 'one.jsonl'}").run() or {}
    assert {query: len(scores) for query, scores in top.items()} == {"q1": 1, "q2": 1}


def test_a_run_goes_from_requests_to_a_reranked_run(
    command: Command, collection: Collection, tmp_path: Path
) -> None:
    files = ["--queries", collection.queries, "--docs", collection.docs]
    command("export", *files, "--run", collection.run, "--output", tmp_path / "r.jsonl")
    ran = command(
        "rerank", "--dataset", f"requests:{tmp_path / 'r.jsonl'}", "--quiet",
        "--model", f"oracle:{collection.qrels}", "--output", tmp_path / "better.trec",
    )  # fmt: skip
    assert (ran.code, ran.err) == (0, "")
    command(*collection.rerank("--quiet"))
    assert (tmp_path / "better.trec").read_bytes() == collection.output.read_bytes()


def test_a_beir_folder_reads_back_equal(
    command: Command, collection: Collection, tmp_path: Path
) -> None:
    files = ["--queries", collection.queries, "--docs", collection.docs]
    words = [*files, "--qrels", collection.qrels, "--output", tmp_path / "beir"]
    assert command("export", *words).code == 0
    found = open_collection(f"beir:{tmp_path / 'beir'}")
    assert found.qrels() == read_qrels(collection.qrels)
    assert found.queries() == read_queries(collection.queries)
    ran = command("evaluate", "--dataset", tmp_path / "beir", collection.run, "--measures", "beir")
    assert ran.code == 0
    assert ran.out.split()[:3] == ["run", "ndcg@10", "recall@100"]


def test_what_is_missing_is_one_line(command: Command, collection: Collection) -> None:
    files = ["--queries", collection.queries, "--docs", collection.docs]
    ran = command("export", *files, "--output", "x.jsonl")
    assert (ran.code, ran.err) == (
        2,
        f"rankprompt: {collection.docs} comes without candidates; give --run\n",
    )
    ran = command("export", *files, "--output", "folder")
    assert ran.code == 2
    assert "has no relevance grades; give --qrels" in ran.err
