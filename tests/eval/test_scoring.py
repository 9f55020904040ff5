"""What scores hold, whatever order queries, documents and equal scores come in."""

import copy
import math
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from rankprompt.errors import InputError
from rankprompt.eval import DEFAULT_MEASURES, ndcg_at_10, parse_measure, score, trec_order
from rankprompt.eval.limitations import grade_limitations

MRR = [parse_measure("mrr")]
ALL = [parse_measure(text) for text in DEFAULT_MEASURES]

RUN = {"q1": {"a": 3.0, "b": 2.0, "c": 1.0}, "q2": {"a": 1.0, "d": 2.0}}
QRELS = {"q1": {"b": 1, "z": 0}, "q2": {"d": 2, "a": 1}}


def test_values_by_query_and_mean() -> None:
    scores = score(RUN, QRELS, MRR)
    assert scores.by_query == {"mrr": {"q1": 0.5, "q2": 1.0}}
    assert scores.means == {"mrr": 0.75}
    assert (scores.queries, scores.missing, scores.unjudged_queries) == (2, (), ())
    assert list(score(RUN, QRELS, ALL).means) == list(DEFAULT_MEASURES)


def test_excluded_documents_leave_the_run_first() -> None:
    # BRIGHT excludes the pages from which a query was made.
    qrels = {"q1": {"b": 1, "a": -100, "y": -100, "z": 0}, "q2": {"d": 2, "a": 1}}
    without = {"q1": {"b": 2.0, "c": 1.0}, "q2": RUN["q2"]}
    measures = [*ALL, *map(parse_measure, ("bpref", "judged@10"))]
    assert score(RUN, qrels, measures) == score(without, qrels, measures)
    assert score(without, qrels, measures) == score(without, QRELS, measures)
    assert score(RUN, qrels, MRR).by_query == {"mrr": {"q1": 1.0, "q2": 1.0}}
    lone = score({**RUN, "q1": {"a": 1.0}}, qrels, MRR)
    assert (lone.by_query["mrr"]["q1"], lone.missing) == (0.0, ("q1",))
    assert next(grade_limitations(qrels, MRR)).endswith("before it is scored: 2.")


def test_ndcg_at_10_is_a_function_of_the_run() -> None:
    ndcg = score(RUN, QRELS, [parse_measure("ndcg@10")]).means["ndcg@10"]
    assert ndcg_at_10(QRELS)(RUN) == ndcg > 0


def test_values_are_plain_floats_in_the_order_of_the_qrels() -> None:
    values = score(RUN, dict(reversed(QRELS.items())), MRR).by_query["mrr"]
    assert list(values) == ["q2", "q1"]
    assert {type(value) for value in values.values()} == {float}


def test_order_of_queries_and_of_lines_does_not_matter() -> None:
    run = {q: dict(reversed(docs.items())) for q, docs in reversed(RUN.items())}
    qrels = {q: dict(reversed(docs.items())) for q, docs in QRELS.items()}
    assert score(run, qrels, ALL) == score(RUN, QRELS, ALL)


@pytest.mark.parametrize("names", [["a", "b", "c"], ["c", "b", "a"], ["b", "c", "a"]])
def test_ties_go_by_document_id_the_last_first(names: list[str]) -> None:
    assert trec_order(dict.fromkeys(names, 1.0)) == ["c", "b", "a"]
    assert score({"q": dict.fromkeys(names, 1.0)}, {"q": {"a": 1}}, MRR).means == {"mrr": 1 / 3}


def test_scores_equal_in_single_precision_are_tied() -> None:
    assert trec_order({"a": 1.0 + 1e-9, "b": 1.0}) == ["b", "a"]
    assert trec_order({"a": 1e39, "b": 1e40, "c": -1e40}) == ["b", "a", "c"]


def test_long_ties_are_stable() -> None:
    run = {"q": {f"d{i:03}": 0.0 for i in range(300)}}
    assert score(run, {"q": {"d289": 1}}, MRR).means["mrr"] == pytest.approx(1 / 11)


def test_inputs_are_left_as_they_were() -> None:
    run, qrels = {**RUN, "q9": {"a": 1.0}}, {"q0": {"a": 1}, **QRELS}
    before = copy.deepcopy((run, qrels))
    score(run, qrels, ALL)
    assert (run, qrels) == before
    assert [list(docs) for docs in run.values()] == [list(docs) for docs in before[0].values()]


def test_missing_queries_count_zero_and_unjudged_ones_are_left_out() -> None:
    run = {**RUN, "q9": {"a": 1.0}, "q3": {}}
    scores = score(run, {"q0": {"a": 1}, **QRELS, "q3": {"a": 1}}, MRR)
    assert scores.by_query["mrr"] == {"q0": 0.0, "q1": 0.5, "q2": 1.0, "q3": 0.0}
    assert scores.means["mrr"] == pytest.approx(1.5 / 4)
    assert (scores.queries, scores.missing) == (4, ("q0", "q3"))
    assert scores.unjudged_queries == ("q9",)


def test_query_without_a_relevant_document_counts_zero() -> None:
    scores = score({**RUN, "q3": {"a": 1.0}}, {**QRELS, "q3": {"a": 0}}, ALL)
    assert {values["q3"] for values in scores.by_query.values()} == {0.0}
    assert scores.means["mrr"] == pytest.approx(0.5)
    assert scores.missing == ()
    nothing = score({"q": {"a": 1.0}}, {"q": {}}, ALL)
    assert set(nothing.means.values()) == {0.0}


def test_negative_grades_count_as_zero() -> None:
    run, qrels = {"q": {"a": 2.0, "b": 1.0}}, {"q": {"a": -2, "b": 1}}
    assert score(run, qrels, ALL) == score(run, {"q": {"a": 0, "b": 1}}, ALL)


def test_bpref_counts_the_judged_alone() -> None:
    bpref = [parse_measure("bpref"), parse_measure("bpref-l2")]
    run = {"q": {name: -float(rank) for rank, name in enumerate("nu-arb")}}
    qrels = {"q": {"n": 0, "-": -1, "a": 2, "r": 1, "b": 2, "absent": 3, "m": 0}}
    # Of four relevant, three are found, each behind n, one of two judged not relevant.
    assert score(run, qrels, bpref).means == pytest.approx({
        "bpref": 3 * (1 - 1 / 2) / 4,
        # At level 2, r is not relevant: a stands behind one of three, b behind two.
        "bpref-l2": ((1 - 1 / 3) + (1 - 2 / 3)) / 3,
    })  # fmt: skip
    # Where nothing is judged not relevant, it is the recall.
    assert score(run, {"q": {"a": 1, "absent": 1}}, bpref[:1]).means == {"bpref": 0.5}


def test_judged_is_the_share_of_the_top_that_has_a_grade() -> None:
    run = {"q1": {"a": 3.0, "b": 2.0, "c": 1.0, "d": 0.0}, "q2": {"a": 1.0}}
    qrels = {"q1": {"a": -1, "c": 0, "d": 1}, "q2": {"a": 0}, "q3": {"a": 1}}
    found = score(run, qrels, [parse_measure("judged@3")])
    assert found.by_query["judged@3"] == {"q1": pytest.approx(2 / 3), "q2": 1.0, "q3": 0.0}


def test_rbp_reads_relevant_or_not() -> None:
    run = {"q": {"a": 3.0, "b": 2.0, "c": 1.0}}
    measures = [parse_measure(name) for name in ("rbp", "rbp.5-l2", "ndcg")]
    found = score(run, {"q": {"a": 1, "c": 3}}, measures).means
    assert found["rbp.8"] == pytest.approx(0.2 * (1 + 0.8**2))
    assert found["rbp.5-l2"] == pytest.approx(0.5 * 0.5**2)
    assert found["ndcg"] == pytest.approx((1 + 3 / 2) / (3 + 1 / math.log2(3)))


def test_queries_may_come_one_at_a_time() -> None:
    rng = random.Random(1)
    names = [f"d{number}" for number in range(90)]
    run = {
        f"q{n}": {name: rng.random() for name in rng.sample(names, rng.randint(1, 90))}
        for n in range(60)
    }
    qrels = {f"q{n}": {name: rng.randint(0, 2) for name in rng.sample(names, 9)} for n in range(70)}
    wanted = [*ALL, *(parse_measure(name) for name in ("bpref", "judged@5", "rbp"))]
    whole = score(run, qrels, wanted)
    assert score(iter(run.items()), qrels, wanted) == whole


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_scores_that_are_not_finite_are_refused(bad: float) -> None:
    with pytest.raises(InputError, match=f"query 'q': the score of document 'b' is {bad}"):
        score({"q": {"a": 1.0, "b": bad}}, {"q": {"a": 1}}, MRR)


def test_empty_input_is_refused() -> None:
    with pytest.raises(InputError, match="the run is empty"):
        score({}, QRELS, MRR)
    with pytest.raises(InputError, match="the run is empty"):
        score({"q1": {}}, QRELS, MRR)
    with pytest.raises(InputError, match="the qrels are empty"):
        score(RUN, {}, MRR)
    with pytest.raises(InputError, match="no measure"):
        score(RUN, QRELS, [])


def test_ids_that_do_not_match_are_shown() -> None:
    with pytest.raises(InputError, match=r"none is in both \(run: 'q1', 'q2'; qrels: '1'\)"):
        score(RUN, {"1": {"b": 1}}, MRR)


def test_threads_may_score_at_once() -> None:
    run = {f"q{i}": {f"d{j}": float(j) for j in range(50)} for i in range(50)}
    qrels = {f"q{i}": {"d7": 1} for i in range(50)}
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: score(run, qrels, MRR).means["mrr"], range(40)))
    assert found == pytest.approx([1 / 43] * 40)


def test_scoring_imports_nothing_heavy() -> None:
    script = (
        "import sys\n"
        "from rankprompt.eval import parse_measures, score\n"
        "score({'q': {'a': 1.0}}, {'q': {'a': 1}}, parse_measures(['ndcg map rbp bpref']))\n"
        "print(sys.modules.keys() & {'ranx', 'numba', 'numpy', 'scipy'})\n"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert found.stdout.strip() == "set()", found.stderr
