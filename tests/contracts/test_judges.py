"""What every judge of pairs promises."""

from collections.abc import Callable
from contextlib import closing
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankprompt.journal.store import Journal
from rankprompt.judges.pairwise import Judge
from rankprompt.judges.simulated.error_model import parse_error_model
from rankprompt.judges.simulated.pairwise_oracle import PairwiseOracle
from rankprompt.types import PairwiseQuestion, Query
from tests.fakes import FakeModel
from tests.judges.pairwise_judges import ADAPTERS, DOCUMENTS, QUERY, make_judge, reverse

GRADES = {
    query: {document.id: int(document.id[1:]) * 7 % 5 - 1 for document in DOCUMENTS[5:]}
    for query in "qr"
}
JUDGES: dict[str, Callable[[Journal], Judge]] = {
    "oracle": lambda _: PairwiseOracle(GRADES),
    "noisy oracle": lambda _: PairwiseOracle(GRADES, noise=0.4, seed=3),
    "oracle without qrels": lambda _: PairwiseOracle({}),
    **{
        f"{errors}, {order}": lambda _, errors=errors, order=order: PairwiseOracle(  # type: ignore[misc]
            GRADES, errors=parse_error_model(errors), order=order, decide="soft", seed=5
        )
        for errors in ("flip=0.4", "gap,bias=0.2", "errors=0.4/0.1,ties=0.2,circle=0.3")
        for order in ("both", "single")
    },
} | {
    f"{mode}, {order}, {decide}": lambda journal, mode=mode, order=order, decide=decide: make_judge(  # type: ignore[misc]
        journal, FakeModel(), mode, order=order, decide=decide
    )
    for mode in ADAPTERS
    for order in ("both", "single")
    for decide in ("agreement", "soft")
}
QUESTIONS = st.lists(
    st.tuples(
        st.sampled_from([QUERY, Query("r", "other")]),
        st.lists(st.sampled_from(DOCUMENTS[:20]), min_size=2, max_size=2, unique=True),
    ).map(lambda pair: PairwiseQuestion(pair[0], *pair[1])),
    max_size=12,
)


@pytest.mark.parametrize("name", JUDGES)
@settings(max_examples=15)
@given(questions=QUESTIONS)
def test_a_judge_keeps_the_contract(name: str, questions: list[PairwiseQuestion]) -> None:
    with closing(Journal(None)) as journal:
        judge = JUDGES[name](journal)
        preferences = judge(questions)
        assert len(preferences) == len(questions)
        assert all(0 <= preference <= 1 for preference in preferences)
        # Antisymmetric: the preferences of a reversed pair add up to 1.
        reversed_preferences = judge(reverse(questions))
        assert reversed_preferences == pytest.approx([1 - preference for preference in preferences])
    with closing(Journal(None)) as journal:
        # A new judge that is asked the questions singly, from the last to the first, agrees.
        judge = JUDGES[name](journal)
        alone = [judge([question])[0] for question in reversed(questions)]
        assert alone[::-1] == preferences


@pytest.mark.parametrize("name", [name for name in JUDGES if "agreement" in name])
def test_agreement_gives_nothing_but_wins_and_ties(name: str) -> None:
    pairs = [PairwiseQuestion(QUERY, *pair) for pair in combinations(DOCUMENTS[:12], 2)]
    with closing(Journal(None)) as journal:
        preferences = set(JUDGES[name](journal)(pairs))
    assert preferences <= {0.0, 0.5, 1.0}
    assert {0.0, 1.0} < preferences or "single" in name or "likelihood" in name
    assert len(preferences) > 1
