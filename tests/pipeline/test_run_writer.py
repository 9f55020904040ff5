import json
from hashlib import blake2b
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankprompt.files import format_run
from rankprompt.files.manifest import format_manifest
from rankprompt.pipeline.run_writer import TAG, RunWriter

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
                writer.write({query: [f"{query}c", f"{query}a"]})
        assert writer.queries == 4
        writer.commit(MANIFEST)
        written = (Path(folder) / "run.trec").read_text()
    # The reranked two share out their own positions; b keeps the second.
    expected = {
        query: [f"{query}{name}" for name in ("cba" if query in reranked else "abc")]
        for query in "pqrs"
    }
    assert written == format_run(expected, TAG)
    assert writer.digest == blake2b(written.encode(), digest_size=16).hexdigest()


def test_a_query_is_written_as_soon_as_those_before_it_are_done(tmp_path: Path) -> None:
    with RunWriter(tmp_path / "run.trec") as writer:
        writer.expect(first_stage("p", "q"), {"p", "q"})
        writer.write({"q": ["qa"]})
        assert writer.queries == 0
        writer.write({"p": ["pb"]})
        assert writer.queries == 2
        writer.expect(first_stage("r"), set())
        assert writer.queries == 3


def test_run_and_manifest_appear_together_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "run.trec"
    path.write_text("an older run\n")

    def interrupted() -> None:
        with RunWriter(path) as writer:
            writer.expect(first_stage("p"), set())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text() == "an older run\n"
    assert {one.name for one in tmp_path.iterdir()} == {"run.trec"}
    with RunWriter(path) as writer:
        writer.expect(first_stage("p"), set())
        writer.commit(MANIFEST)
    assert path.read_text() == format_run({"p": ["pa", "pb", "pc"]}, TAG)
    assert json.loads((tmp_path / "run.json").read_text())["config"] == {}
