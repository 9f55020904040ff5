from itertools import combinations

import pytest

from rankprompt.errors import InputError
from rankprompt.judges.simulated.pairwise_oracle import PairwiseOracle
from rankprompt.types import Document, PairwiseQuestion, Query
from tests.judges.pairwise_judges import DOCUMENTS, QUERY, compare, reverse

QRELS = {"q": {"best": 3, "good": 1, "fair": 1, "none": 0, "spam": -1}}


@pytest.mark.parametrize(
    ("first", "second", "preference"),
    [
        ("best", "good", 1.0),
        ("good", "best", 0.0),
        ("good", "fair", 0.5),
        ("good", "unjudged", 1.0),
        ("unjudged", "none", 0.5),
        ("unjudged", "unseen", 0.5),
        ("unjudged", "spam", 1.0),
    ],
)
def test_the_oracle_reads_the_qrels(first: str, second: str, preference: float) -> None:
    judge = PairwiseOracle(QRELS)
    assert judge([compare(first, second)]) == [preference]
    assert judge([compare(first, second, Query("unknown", ""))]) == [0.5]
    assert judge.asked == 2
    assert judge.diagnostics.summary()["position_bias"] is None


@pytest.mark.parametrize("noise", [0.0, 0.05, 0.3, 1.0])
def test_the_oracle_errs_as_often_as_asked_and_never_about_a_tie(noise: float) -> None:
    documents = [Document(f"d{number}", "") for number in range(100)]
    grades = {document.id: int(document.id[1:]) % 10 for document in documents}
    judge = PairwiseOracle({"q": grades}, noise=noise, seed=5)
    pairs = [PairwiseQuestion(QUERY, *pair) for pair in combinations(documents, 2)]
    exact = PairwiseOracle({"q": grades})(pairs)
    noisy = judge(pairs)
    assert [preference == 0.5 for preference in noisy] == [
        preference == 0.5 for preference in exact
    ]
    wrong = sum(answer != truth for answer, truth in zip(noisy, exact, strict=True))
    strict = sum(preference != 0.5 for preference in exact)
    assert wrong / strict == pytest.approx(noise, abs=0.02 * (0 < noise < 1))


def test_the_oracle_s_errors_are_a_matter_of_seed_query_and_pair_alone() -> None:
    grades = {document.id: number for number, document in enumerate(DOCUMENTS[:20])}
    qrels = {"q": grades, "r": grades}
    pairs = [PairwiseQuestion(QUERY, *pair) for pair in combinations(DOCUMENTS[:20], 2)]
    judge = PairwiseOracle(qrels, noise=0.3, seed=1)
    first = judge(pairs)
    assert judge(pairs) == first
    assert PairwiseOracle(qrels, noise=0.3, seed=1)(pairs[::-1]) == first[::-1]
    assert judge(reverse(pairs)) == [1 - preference for preference in first]
    assert PairwiseOracle(qrels, noise=0.3, seed=2)(pairs) != first
    assert judge([PairwiseQuestion(Query("r", ""), *pair[1:]) for pair in pairs]) != first


@pytest.mark.parametrize("noise", [-0.1, 1.1, float("nan"), float("inf")])
def test_noise_is_a_probability(noise: float) -> None:
    with pytest.raises(InputError, match="`noise` must be a probability"):
        PairwiseOracle({}, noise=noise)


def test_the_oracle_reports_its_progress_and_its_circles() -> None:
    judged: list[int] = []
    grades = {document.id: number for number, document in enumerate(DOCUMENTS[:20])}
    judge = PairwiseOracle({"q": grades}, noise=0.3, on_judged=judged.append)
    judge([PairwiseQuestion(QUERY, *pair) for pair in combinations(DOCUMENTS[:20], 2)])
    assert judged == [190]
    summary = judge.diagnostics.summary()
    assert summary["triples"] == 20 * 19 * 18 // 6
    assert summary["intransitive_triples"]
