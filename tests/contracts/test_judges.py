"""What every judge promises, and what the two judges that ship do beyond that."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import combinations, permutations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankprompt.errors import InputError, ModelError
from rankprompt.journal.cached_model import CachedModel
from rankprompt.journal.store import Journal
from rankprompt.judges import base as judges_base
from rankprompt.judges.adapters.base import PairwiseAdapter
from rankprompt.judges.adapters.pairwise import Choice, Generation, Likelihood
from rankprompt.judges.base import CHUNK
from rankprompt.judges.pairwise import Judge, PairwiseJudge
from rankprompt.judges.simulated.error_model import parse_error_model
from rankprompt.judges.simulated.pairwise_oracle import PairwiseOracle
from rankprompt.prompts.prompt import Prompt, parse_template
from rankprompt.types import Document, PairwiseQuestion, Query
from tests.fakes import PROMPT, FakeModel, Rule, by_hash, shows

LIKELIHOOD = Prompt(
    "l", "likelihood", parse_template("{passage} asks:"), parse_template(" {query}"), ()
)
READINGS: dict[str, PairwiseAdapter] = {
    "scoring": Choice(PROMPT),
    "generation": Generation(PROMPT),
    "likelihood": Likelihood(LIKELIHOOD),
}
QUERY = Query("q", "which one")
DOCUMENTS = [Document(f"d{number}", f"text {number}") for number in range(60)]


@pytest.fixture
def journal() -> Iterator[Journal]:
    with closing(Journal(None)) as opened:
        yield opened


def pairwise(
    journal: Journal, model: FakeModel, mode: str = "scoring", **chosen: Any
) -> PairwiseJudge:
    return PairwiseJudge(CachedModel(model, journal), READINGS[mode], **chosen)


def compare(first: str, second: str, query: Query = QUERY) -> PairwiseQuestion:
    """Of two documents whose texts are their ids."""
    return PairwiseQuestion(query, Document(first, first), Document(second, second))


def mirrored(comparisons: Sequence[PairwiseQuestion]) -> list[PairwiseQuestion]:
    return [PairwiseQuestion(query, second, first) for query, first, second in comparisons]


# The contract

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
    f"{mode}, {order}, {decide}": lambda journal, mode=mode, order=order, decide=decide: pairwise(  # type: ignore[misc]
        journal, FakeModel(), mode, order=order, decide=decide
    )
    for mode in READINGS
    for order in ("both", "single")
    for decide in ("agreement", "soft")
}
COMPARISONS = st.lists(
    st.tuples(
        st.sampled_from([QUERY, Query("r", "other")]),
        st.lists(st.sampled_from(DOCUMENTS[:20]), min_size=2, max_size=2, unique=True),
    ).map(lambda drawn: PairwiseQuestion(drawn[0], *drawn[1])),
    max_size=12,
)


@pytest.mark.parametrize("name", JUDGES)
@settings(max_examples=15)
@given(comparisons=COMPARISONS)
def test_a_judge_keeps_the_contract(name: str, comparisons: list[PairwiseQuestion]) -> None:
    with closing(Journal(None)) as journal:
        judge = JUDGES[name](journal)
        preferences = judge(comparisons)
        assert len(preferences) == len(comparisons)
        assert all(0 <= preference <= 1 for preference in preferences)
        # Antisymmetric: the other way round is the other side of the same answer.
        others = judge(mirrored(comparisons))
        assert others == pytest.approx([1 - preference for preference in preferences])
    with closing(Journal(None)) as journal:
        # One at a time and from the last to the first, by a new judge: the same answers.
        judge = JUDGES[name](journal)
        alone = [judge([comparison])[0] for comparison in reversed(comparisons)]
        assert alone[::-1] == preferences


@pytest.mark.parametrize("name", [name for name in JUDGES if "agreement" in name])
def test_agreement_gives_nothing_but_wins_and_ties(name: str, journal: Journal) -> None:
    pairs = [PairwiseQuestion(QUERY, *pair) for pair in combinations(DOCUMENTS[:12], 2)]
    preferences = set(JUDGES[name](journal)(pairs))
    assert preferences <= {0.0, 0.5, 1.0}
    assert {0.0, 1.0} < preferences or "single" in name or "likelihood" in name
    assert len(preferences) > 1


# The paper's rule and the soft one

A, B = 0.9, 0.2  # the passage shown as A is preferred, or the one shown as B
CASES: list[tuple[float | None, float | None, float, float]] = [
    # x shown as A, x shown as B; agreement on x; the mean for x
    (A, B, 1.0, (0.9 + 0.8) / 2),
    (B, A, 0.0, (0.2 + 0.1) / 2),
    (A, A, 0.5, (0.9 + 0.1) / 2),
    (B, B, 0.5, (0.2 + 0.8) / 2),
    (A, 0.3, 1.0, (0.9 + 0.7) / 2),
    (A, 0.6, 0.5, (0.9 + 0.4) / 2),
    (0.5, B, 0.5, (0.5 + 0.8) / 2),
    (A, 0.5, 0.5, (0.9 + 0.5) / 2),
    (0.5, 0.5, 0.5, 0.5),
    (None, B, 0.5, (0.5 + 0.8) / 2),
    (A, None, 0.5, (0.9 + 0.5) / 2),
    (None, A, 0.5, (0.5 + 0.1) / 2),
    (None, None, 0.5, 0.5),
]


def two_faced(as_a: float | None, as_b: float | None) -> Rule:
    """Answers about x and y; as_b is still what the passage shown as A, y, is given."""
    return shows(lambda first, _: as_a if first == "x" else as_b)


@pytest.mark.parametrize(("as_a", "as_b", "agreed", "mean"), CASES)
def test_both_orders_are_asked_and_concluded_from(
    journal: Journal, as_a: float | None, as_b: float | None, agreed: float, mean: float
) -> None:
    model = FakeModel(two_faced(as_a, as_b))
    pair = [compare("x", "y"), compare("y", "x")]
    hard = pairwise(journal, model, decide="agreement")
    assert hard(pair) == [agreed, 1 - agreed]
    assert pairwise(journal, model, decide="soft")(pair) == pytest.approx([mean, 1 - mean])
    assert len(model.prompts) == 2
    assert hard.diagnostics.unreadable == [as_a, as_b].count(None)


@pytest.mark.parametrize(
    ("as_a", "as_b", "agreed", "mean"),
    [
        (A, B, 1.0, 1.0),
        (B, A, 0.0, 0.0),
        (A, A, 0.5, 0.5),
        (B, B, 0.5, 0.5),
        (A, None, 0.5, 0.75),
        (None, A, 0.5, 0.25),
        (None, None, 0.5, 0.5),
    ],
)
def test_written_answers_are_concluded_from_alike(
    journal: Journal, as_a: float | None, as_b: float | None, agreed: float, mean: float
) -> None:
    model = FakeModel(two_faced(as_a, as_b))
    pair = [compare("x", "y"), compare("y", "x")]
    hard = pairwise(journal, model, "generation", decide="agreement")
    assert hard(pair) == [agreed, 1 - agreed]
    assert pairwise(journal, model, "generation", decide="soft")(pair) == [mean, 1 - mean]
    assert hard.diagnostics.unreadable == [as_a, as_b].count(None)


@pytest.mark.parametrize(
    ("answer", "agreed", "mean"), [(A, 1.0, 0.9), (B, 0.0, 0.2), (0.5, 0.5, 0.5), (None, 0.5, 0.5)]
)
def test_a_single_order_is_taken_at_its_word(
    journal: Journal, answer: float | None, agreed: float, mean: float
) -> None:
    # x gets this answer, on whichever side it is shown.
    other = None if answer is None else 1 - answer
    model = FakeModel(two_faced(answer, other))
    pair = [compare("x", "y"), compare("y", "x")]
    for seed in range(8):
        chosen: dict[str, Any] = {"order": "single", "seed": seed}
        assert pairwise(journal, model, decide="agreement", **chosen)(pair) == [agreed, 1 - agreed]
        soft = pairwise(journal, model, decide="soft", **chosen)(pair)
        assert soft == pytest.approx([mean, 1 - mean])


def test_a_single_order_costs_half_and_is_drawn_evenly(journal: Journal) -> None:
    model = FakeModel(shows(lambda *_: 0.9))
    pairs = [PairwiseQuestion(QUERY, *pair) for pair in combinations(DOCUMENTS, 2)]
    preferences = pairwise(journal, model, order="single")(pairs)
    assert len(model.prompts) == len(pairs)
    # A model that always says A is now noise: each side wins about half.
    assert set(preferences) == {0.0, 1.0}
    assert sum(preferences) / len(pairs) == pytest.approx(0.5, abs=0.06)


def test_a_single_order_is_a_matter_of_seed_query_and_pair_alone(journal: Journal) -> None:
    model = FakeModel(shows(lambda *_: 0.9))
    pairs = [PairwiseQuestion(QUERY, *pair) for pair in combinations(DOCUMENTS[:15], 2)]

    def judged(seed: int, asked: Sequence[PairwiseQuestion]) -> dict[PairwiseQuestion, float]:
        judge = pairwise(journal, model, order="single", seed=seed)
        return dict(zip(asked, judge(asked), strict=True))

    first = judged(1, pairs)
    prompts = len(model.prompts)
    assert judged(1, pairs[::-1]) == first
    assert list(judged(1, mirrored(pairs)).values()) == [1 - one for one in first.values()]
    assert len(model.prompts) == prompts
    assert judged(2, pairs) != first
    other = [PairwiseQuestion(Query("r", QUERY.text), *pair[1:]) for pair in pairs]
    assert list(judged(1, other).values()) != list(first.values())


def test_passages_that_stand_alone_are_asked_about_once_each(journal: Journal) -> None:
    model = FakeModel()
    pairs = [PairwiseQuestion(QUERY, *pair) for pair in permutations(DOCUMENTS[:6], 2)]
    judge = pairwise(journal, model, "likelihood", order="both", decide="soft")
    judge(pairs)
    assert len(model.prompts) == 6
    # No order is shown, so there is none to be biased for, or to contradict.
    found = judge.diagnostics.summary()
    assert found["pairs"] == 15
    assert (found["position_bias"], found["inconsistent"]) == (None, None)
    assert found["intransitive_triples"] == 0
    assert found["triples"] == 20


def test_a_model_that_always_says_a_is_found_out(journal: Journal) -> None:
    judge = pairwise(journal, FakeModel(shows(lambda *_: 0.9)))
    assert (
        judge([PairwiseQuestion(QUERY, *pair) for pair in combinations(DOCUMENTS[:4], 2)])
        == [0.5] * 6
    )
    found = judge.diagnostics.summary()
    assert (found["position_bias"], found["inconsistent"]) == (0.5, 1.0)


# Chunks, and what is asked

LONGER = shows(lambda first, second: 0.5 + (len(first) - len(second)) / 1000)


def test_a_round_of_several_chunks_keeps_its_order_and_reports_its_progress(
    journal: Journal,
) -> None:
    model, judged = FakeModel(LONGER), list[int]()
    texts = ["x" * length for length in range(1, 28)]
    comparisons = [compare(*pair) for pair in permutations(texts, 2)][: 2 * CHUNK + 1]
    judge = pairwise(journal, model, on_judged=judged.append)
    expected = [float(len(first.text) > len(second.text)) for _, first, second in comparisons]
    assert judge(comparisons) == expected
    assert judged == [CHUNK, CHUNK, 1]
    assert judge.asked + judge.cache_hits == len(comparisons)
    assert max(map(len, model.batches)) <= 32
    assert judge([]) == []
    assert judged == [CHUNK, CHUNK, 1]


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_the_size_of_a_chunk_changes_no_answer(
    journal: Journal, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    comparisons = [PairwiseQuestion(QUERY, *pair) for pair in permutations(DOCUMENTS[:6], 2)]
    expected = pairwise(journal, FakeModel(), decide="soft")(comparisons)
    monkeypatch.setattr(judges_base, "CHUNK", size)
    with closing(Journal(None)) as fresh:
        model = FakeModel()
        assert pairwise(fresh, model, decide="soft")(comparisons) == expected
        assert len(model.prompts) == len(set(model.prompts)) == 30


def test_identical_prompts_are_asked_once(journal: Journal) -> None:
    model = FakeModel()
    judge = pairwise(journal, model, decide="soft")
    # The same texts under other ids, and the same pair the other way round.
    same = [
        compare("x", "y"),
        compare("y", "x"),
        PairwiseQuestion(Query("other", QUERY.text), Document("1", "x"), Document("2", "y")),
        compare("x", "y"),
    ]
    first, turned, other, again = judge(same)
    assert first == other == again == pytest.approx(1 - turned)
    assert len(model.prompts) == 2
    # Another query's text makes another prompt.
    judge([compare("x", "y", Query("q2", "another one"))])
    assert len(model.prompts) == 4


def test_what_the_journal_answers_is_counted_apart(journal: Journal) -> None:
    pairs = [PairwiseQuestion(QUERY, *pair) for pair in combinations(DOCUMENTS[:5], 2)]
    first = pairwise(journal, FakeModel())
    expected = first(pairs[:6])
    assert (first.asked, first.cache_hits) == (6, 0)
    model = FakeModel()
    second = pairwise(journal, model)
    assert second(pairs)[:6] == expected
    assert (second.asked, second.cache_hits) == (4, 6)
    assert len(model.prompts) == 8
    second(pairs)
    assert (second.asked, second.cache_hits) == (4, 16)
    assert len(model.prompts) == 8


def test_a_pair_known_in_one_order_only_still_costs_a_prompt(journal: Journal) -> None:
    pairs = [PairwiseQuestion(QUERY, *pair) for pair in combinations(DOCUMENTS[:5], 2)]
    pairwise(journal, FakeModel(), order="single")(pairs)
    model = FakeModel()
    both = pairwise(journal, model)
    both(pairs)
    assert (both.asked, both.cache_hits) == (10, 0)
    assert len(model.prompts) == 10


def test_a_journal_file_answers_the_next_run(tmp_path: Path) -> None:
    pairs = [PairwiseQuestion(QUERY, *pair) for pair in combinations(DOCUMENTS[:5], 2)]
    results = []
    for prompts in (20, 0):
        model = FakeModel()
        with closing(Journal(tmp_path / "answers.journal")) as journal:
            results.append(pairwise(journal, model, decide="soft")(pairs))
        assert len(model.prompts) == prompts
    assert results[0] == results[1]


# Room for passages

LONG = Document("long", " ".join(f"l{number}" for number in range(500)))
SHORT = Document("short", "only three words")


@pytest.mark.parametrize("mode", READINGS)
def test_long_passages_are_cut_and_the_question_survives(journal: Journal, mode: str) -> None:
    model = FakeModel(by_hash, context_length=60)
    judge = pairwise(journal, model, mode)
    judge([PairwiseQuestion(QUERY, LONG, SHORT), PairwiseQuestion(QUERY, SHORT, LONG)])
    judge([PairwiseQuestion(QUERY, SHORT, DOCUMENTS[0])])
    assert judge.truncated == {("q", "long")}
    assert model.prompts
    for request in model.prompts:
        assert model.length(request) <= 60
        if mode == "likelihood":
            assert request.prompt.endswith(" asks:")
            assert request.options == (" which one",)
        else:
            assert request.prompt.startswith("Query: which one\nA: ")
            assert request.prompt.endswith("\nWhich is better?")
            assert "only three words" in request.prompt
    cut = [request.prompt for request in model.prompts if "l0 l1 l2" in request.prompt]
    assert cut
    assert all("l499" not in prompt for prompt in cut)
    # The room is used: no more than the slack and the other passage's share stay empty.
    shares = READINGS[mode].passages
    for prompt in cut:
        assert prompt.count(" l") + 1 >= (60 - 24) // shares


def test_a_longer_query_leaves_less_room(journal: Journal) -> None:
    model = FakeModel(by_hash, context_length=60)
    judge = pairwise(journal, model)
    shown = []
    for words in (1, 21):
        query = Query(f"q{words}", " ".join(["word"] * words))
        judge([PairwiseQuestion(query, LONG, SHORT)])
        shown.append(model.prompts[-1].prompt.count("l"))
    assert shown[0] - shown[1] == 10


def test_passages_are_cut_to_the_tokens_asked_for(journal: Journal) -> None:
    model = FakeModel()
    judge = pairwise(journal, model, passage_tokens=4)
    exact = Document("exact", "four words and end")
    judge([PairwiseQuestion(QUERY, LONG, SHORT), PairwiseQuestion(QUERY, exact, SHORT)])
    assert judge.truncated == {("q", "long")}
    assert sorted(request.prompt for request in model.prompts) == sorted(
        f"Query: which one\nA: {first}\nB: {second}\nWhich is better?"
        for text in ("l0 l1 l2 l3", "four words and end")
        for first, second in [(text, SHORT.text), (SHORT.text, text)]
    )


def test_more_tokens_than_there_is_room_for_are_not_shown(journal: Journal) -> None:
    model = FakeModel(by_hash, context_length=60)
    judge = pairwise(journal, model, passage_tokens=10_000)
    judge([PairwiseQuestion(QUERY, LONG, LONG._replace(id="too"))])
    assert judge.truncated == {("q", "long"), ("q", "too")}
    assert all(model.length(request) <= 60 for request in model.prompts)


def test_a_query_that_fills_the_context_is_told(journal: Journal) -> None:
    model = FakeModel(by_hash, context_length=60)
    judge = pairwise(journal, model)
    query = Query("q77", "word " * 50)
    with pytest.raises(ModelError, match=r"query q77 leaves no room .* of the 60 tokens of fake"):
        judge([PairwiseQuestion(query, SHORT, LONG)])
    assert model.batches == []


@pytest.mark.parametrize(
    ("chosen", "problem"),
    [
        ({"order": "twice"}, "`order` must be both or single, not 'twice'"),
        ({"decide": "hard"}, "`decide` must be agreement or soft, not 'hard'"),
        ({"passage_tokens": 0}, "`passage_tokens` must be at least 1, not 0"),
    ],
)
def test_a_wrong_setting_is_told(journal: Journal, chosen: dict[str, Any], problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        pairwise(journal, FakeModel(), **chosen)


def test_a_failing_model_fails_the_judge_and_what_was_answered_is_kept(journal: Journal) -> None:
    model = FakeModel(batch_size=4)
    answer, calls = model.answer, 0

    def fail(requests: Sequence[object]) -> object:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise ModelError("out of memory")
        return answer(requests)  # type: ignore[arg-type]

    model.answer = fail  # type: ignore[method-assign, assignment]
    pairs = [PairwiseQuestion(QUERY, *pair) for pair in combinations(DOCUMENTS[:5], 2)]
    with pytest.raises(ModelError, match="out of memory"):
        pairwise(journal, model)(pairs)
    again = FakeModel(batch_size=4)
    pairwise(journal, again)(pairs)
    assert len(model.prompts) == 8
    assert len(again.prompts) == 20 - 8


# The oracle

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
    assert [one == 0.5 for one in noisy] == [one == 0.5 for one in exact]
    wrong = sum(one != other for one, other in zip(noisy, exact, strict=True))
    strict = sum(one != 0.5 for one in exact)
    assert wrong / strict == pytest.approx(noise, abs=0.02 * (0 < noise < 1))


def test_the_oracle_s_errors_are_a_matter_of_seed_query_and_pair_alone() -> None:
    grades = {document.id: number for number, document in enumerate(DOCUMENTS[:20])}
    qrels = {"q": grades, "r": grades}
    pairs = [PairwiseQuestion(QUERY, *pair) for pair in combinations(DOCUMENTS[:20], 2)]
    judge = PairwiseOracle(qrels, noise=0.3, seed=1)
    first = judge(pairs)
    assert judge(pairs) == first
    assert PairwiseOracle(qrels, noise=0.3, seed=1)(pairs[::-1]) == first[::-1]
    assert judge(mirrored(pairs)) == [1 - one for one in first]
    assert PairwiseOracle(qrels, noise=0.3, seed=2)(pairs) != first
    assert judge([PairwiseQuestion(Query("r", ""), *pair[1:]) for pair in pairs]) != first


@pytest.mark.parametrize("noise", [-0.1, 1.1, float("nan"), float("inf")])
def test_noise_is_a_probability(noise: float) -> None:
    with pytest.raises(InputError, match="noise must be a probability"):
        PairwiseOracle({}, noise=noise)


def test_the_oracle_reports_its_progress_and_its_circles() -> None:
    judged: list[int] = []
    grades = {document.id: number for number, document in enumerate(DOCUMENTS[:20])}
    judge = PairwiseOracle({"q": grades}, noise=0.3, on_judged=judged.append)
    judge([PairwiseQuestion(QUERY, *pair) for pair in combinations(DOCUMENTS[:20], 2)])
    assert judged == [190]
    found = judge.diagnostics.summary()
    assert found["triples"] == 20 * 19 * 18 // 6
    assert found["intransitive_triples"]
