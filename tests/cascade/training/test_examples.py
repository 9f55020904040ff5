"""Data for training: what is named, left out or refused, and what is asked once."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
import torch

from rankprompt.cascade import aggregation
from rankprompt.cascade.input_embeddings import Encoder, load_encoder
from rankprompt.cascade.training.examples import distillation_lists, pairs_of, split_queries
from rankprompt.cascade.training.trainable_teacher import weighted_top
from rankprompt.cascade.window_scores import WindowScores
from rankprompt.cascade.windows import WindowConfig
from rankprompt.errors import InputError
from rankprompt.journal.store import Journal
from rankprompt.types import Candidates, Document, Query
from tests.cascade.toy_collection import by_words, collection, count_windows, cutter
from tests.llm import tiny


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return load_encoder(tiny.save(tmp_path_factory.mktemp("encoder"), tiny.bert()))


def test_a_rerun_asks_the_teacher_nothing_twice(encoder: Encoder, tmp_path: Path) -> None:
    asked = 0

    def counting(pairs: Sequence[tuple[str, str]]) -> list[float]:
        nonlocal asked
        asked += len(pairs)
        return by_words(pairs)

    cut = cutter(encoder, WindowConfig(10, 1))
    found = []
    for _ in range(2):
        with closing(Journal(tmp_path / "scores")) as journal:
            scores = WindowScores(journal, counting, "one")
            found.append(distillation_lists(collection()[0], cut, scores))
    assert found[0] == found[1]
    assert asked == count_windows(encoder)
    with closing(Journal(tmp_path / "scores")) as journal:
        other = WindowScores(journal, counting, "another teacher")
        distillation_lists(collection()[0][:1], cut, other)
    assert other.teacher_calls > 0


def test_queries_that_teach_nothing_are_named(caplog: pytest.LogCaptureFixture) -> None:
    candidates, qrels = collection()
    alone = candidates[1]._replace(documents=candidates[1].documents[1:2])
    pairs = pairs_of([candidates[0], alone, candidates[2]], {**qrels, "q0": {"d0": 0}})
    assert {pair.query for pair in pairs} == {"q2"}
    assert "1 queries have no relevant candidate, first: q0: left out" in caplog.text
    assert "1 queries have no candidate that is not relevant, first: q1: left out" in caplog.text
    with pytest.raises(InputError, match="nothing to learn from: no query has both"):
        pairs_of([alone], qrels)


def test_empty_documents_are_counted_and_left_out(
    encoder: Encoder, caplog: pytest.LogCaptureFixture
) -> None:
    cut = cutter(encoder, WindowConfig())
    documents = (Document("empty", ""), Document("full", "The mill."))
    candidates = [Candidates(Query("q", "Which mill?"), documents, (1.0, 1.0))]
    (only,) = distillation_lists(candidates, cut, WindowScores(Journal(None), by_words, ""))
    assert (only.document, only.windows, only.teacher) == ("full", ("The mill.",), (4.0,))
    assert "1 candidates have no window" in caplog.text
    blank = [candidates[0]._replace(documents=documents[:1])]
    with pytest.raises(InputError, match="no candidate's document has a window"):
        distillation_lists(blank, cut, WindowScores(Journal(None), by_words, ""))


def test_splits_are_by_query_and_leave_neither_side_empty() -> None:
    learn, held = split_queries([f"q{i}" for i in range(10)], 0.2, 0)
    assert (len(learn), len(held)) == (8, 2)
    assert not {*learn} & {*held}
    assert split_queries(["a", "b"], 0.01, 0)[1]
    assert split_queries(["a", "b"], 0.99, 0)[0]
    with pytest.raises(InputError, match=r"must be in \(0, 1\)"):
        split_queries(["a", "b"], 1.0, 0)


def test_missing_windows_add_nothing() -> None:
    scores = torch.tensor([[-5.0, -1, 9], [2, 3, 4]])
    mask = torch.tensor([[True, True, False], [True, True, True]])
    weights = torch.tensor([1.0, 0.5, 0.25, 9])
    assert weighted_top(scores, mask, weights).tolist() == [-1 - 2.5, 4 + 1.5 + 0.5]
    for row, there in zip(scores.tolist(), mask.tolist(), strict=True):
        kept = [score for score, one in zip(row, there, strict=True) if one]
        single = weighted_top(torch.tensor([row]), torch.tensor([there]), weights).item()
        assert aggregation.weighted_top(kept, weights.tolist()) == single
