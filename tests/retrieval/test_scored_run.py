from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankprompt.errors import InputError
from rankprompt.files import read_run
from rankprompt.retrieval.scored_run import format_scores


def test_a_line_is_trec_form() -> None:
    assert format_scores("q", {"d1": 3.25, "d2": 1e-7}, "bm25") == (
        "q Q0 d1 1 3.25 bm25\nq Q0 d2 2 1e-07 bm25\n"
    )
    assert format_scores("q", {}, "bm25") == ""


@given(st.lists(st.floats(-1e6, 1e6) | st.sampled_from([0.0, 1.0, 1 + 1e-12]), max_size=20))
def test_scores_fall_in_single_precision_and_stay_what_they_were(scores: list[float]) -> None:
    ranked = {f"d{number}": one for number, one in enumerate(sorted(scores, reverse=True))}
    written = [np.float32(line.split()[4]) for line in format_scores("q", ranked, "t").splitlines()]
    assert all(one > other for one, other in pairwise(written))
    assert written == pytest.approx(list(ranked.values()), rel=1e-5, abs=1e-40)


def test_it_is_read_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "run.trec"
    path.write_text(format_scores("q", {"b": 1.0, "a": 1.0, "c": 1.0}, "t"))
    assert list(read_run(path)["q"]) == ["b", "a", "c"]


@pytest.mark.parametrize(("query", "document"), [("a b", "d"), ("q", "d\u00a0e"), ("", "d")])
def test_an_id_that_breaks_the_columns_is_told(query: str, document: str) -> None:
    with pytest.raises(InputError, match="one word without spaces"):
        format_scores(query, {document: 1.0}, "t")
