"""Every exact method reaches the ceiling of TREC DL 2019 with a perfect judge."""

from collections.abc import Mapping, Sequence
from math import log2
from pathlib import Path
from statistics import mean

import pytest

from rankprompt.files import read_qrels, read_run
from rankprompt.rankers import METHODS, RankerSettings
from rankprompt.rankers.driver import drive


def ndcg(grades: Sequence[int], ideal: Sequence[int]) -> float:
    def gain(ordered: Sequence[int]) -> float:
        return sum(grade / log2(rank + 2) for rank, grade in enumerate(ordered[:10]))

    return gain(grades) / gain(sorted(ideal, reverse=True))


@pytest.mark.parametrize(
    ("name", "comparisons"),
    [
        ("allpair", 4950),
        ("sliding", 945),
        ("pipelined", 945),
        ("heapsort", 235),
        ("quickselect", 198),
    ],
)
def test_every_exact_method_reaches_the_ceiling_of_dl19_at_its_known_price(
    data: Path, name: str, comparisons: int
) -> None:
    run, qrels = read_run(data / "dl19" / "run.bm25.trec"), read_qrels(data / "dl19/qrels.trec")
    compared = 0
    values = []
    for query, scores in run.items():
        grades = qrels[query]

        def answer(
            pairs: Sequence[tuple[str, str]], grades: Mapping[str, int] = grades
        ) -> list[float]:
            nonlocal compared
            compared += len(pairs)
            gaps = [grades.get(first, 0) - grades.get(second, 0) for first, second in pairs]
            return [0.5 if gap == 0 else float(gap > 0) for gap in gaps]

        ranking = drive(METHODS[name].bind(RankerSettings(10, 10, False))(list(scores)), answer)
        values.append(
            ndcg([grades.get(document, 0) for document in ranking], list(grades.values()))
        )
    assert mean(values) == pytest.approx(0.892, abs=0.0005)
    assert compared / len(run) == pytest.approx(comparisons, abs=0.5)
