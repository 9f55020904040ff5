import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankprompt.errors import InputError, UnknownNameError
from rankprompt.eval import DEFAULT_MEASURES, GROUPS, Measure, parse_measure, parse_measures

SPELLINGS = {
    "ndcg": ["ndcg", "nDCG", " NDCG ", "ndcg-l1"],
    "ndcg@10": ["ndcg@10", "nDCG@10", "ndcg_cut_10", "ndcg_cut.10", "ndcg_cut@10"],
    "map": ["map", "MAP", "AP", "AP(rel=1)"],
    "map@100": ["map@100", "AP@100", "map_cut_100"],
    "map-l2": ["map-l2", "AP(rel=2)"],
    "map-l2@100": ["map-l2@100", "map@100-l2", "AP(rel=2)@100"],
    "mrr": ["mrr", "MRR", "RR", "recip_rank"],
    "mrr-l2@10": ["mrr-l2@10", "RR(rel=2)@10", "mrr@10-l2"],
    "precision@10": ["P@10", "P_10", "p.10", "precision@10", "Precision@10"],
    "recall": ["recall"],
    "recall@100": ["recall@100", "R@100", "recall_100", "Recall.100", "R(cutoff=100)"],
    "recall-l2@1000": ["R(rel=2)@1000", "recall-l2@1000", "R(rel=2, cutoff=1000)"],
    "rbp.8": ["rbp", "RBP", "rbp.8", "rbp.80", "rbp-p80", "RBP(p=0.8)", "RBP(p=.8, rel=1)"],
    "rbp.95-l2": ["rbp.95-l2", "rbp-l2-p95", "RBP(rel=2,p=0.95)", "RBP(p=0.950)-l2"],
    "bpref": ["bpref", "Bpref"],
    "bpref-l2": ["bpref-l2", "Bpref(rel=2)"],
    "judged@10": ["judged@10", "Judged@10", "judged_10", "Judged(cutoff=10)"],
}


@pytest.mark.parametrize(
    ("text", "name"), [(text, name) for name, texts in SPELLINGS.items() for text in texts]
)
def test_every_spelling_leads_to_the_canonical_name(text: str, name: str) -> None:
    measure = parse_measure(text)
    assert measure.name == name
    assert parse_measure(measure.name) == measure


def test_parts() -> None:
    assert parse_measure("AP(rel=2)@100") == Measure("map", level=2, k=100)
    assert parse_measure("rbp.95-l2") == Measure("rbp", level=2, persistence=0.95)
    assert parse_measure("mrr") == Measure("mrr")


@given(st.integers(1, 999_999), st.integers(1, 5))
def test_every_persistence_has_a_name_that_leads_back(millionths: int, level: int) -> None:
    measure = Measure("rbp", level, persistence=millionths / 1_000_000)
    assert parse_measure(measure.name) == measure


def test_defaults_are_canonical() -> None:
    assert [parse_measure(text).name for text in DEFAULT_MEASURES] == list(DEFAULT_MEASURES)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("ndgc@10", "unknown measure 'ndgc'; did you mean 'ndcg'"),
        ("precison@5", "did you mean 'precision'"),
        ("xyz", "Known: beir, bpref, judged, map, mrr, ndcg, precision, rbp, recall, t2"),
        ("ndcg@ten", "unknown measure 'ndcg@ten'"),
        ("", "unknown measure ''"),
    ],
)
def test_unknown_names_are_answered_with_the_nearest(text: str, problem: str) -> None:
    with pytest.raises(UnknownNameError, match=problem):
        parse_measure(text)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("ndcg@0", "cutoff must be 1 or more, not 0"),
        ("map@-5", "cutoff must be 1 or more, not -5"),
        ("map-l0", "relevance level of 1 or more"),
        ("map-l2@10-l3", "give one relevance level"),
        ("precision", "needs a cutoff, as in precision@10"),
        ("ndcg-l2", "zero the gains below it, trec_eval would not"),
        ("nDCG(rel=2)@10", "zero the gains below it, trec_eval would not"),
        ("nDCG(dcg='exp-log2')@10", "unknown parameter 'dcg'; known: rel, cutoff, p"),
        ("P(judged_only=True)@10", "unknown parameter 'judged_only'"),
        ("AP(rel=x)", "'x' is not a valid relevance level"),
        ("AP(rel=2)-l3", "give one relevance level, not 2 and 3"),
        ("AP(cutoff=5)@10", "give one cutoff, not 10 and 5"),
        ("rbp@8", "rbp takes no cutoff; its persistence is written as in rbp.8"),
        ("bpref@10", "bpref takes no cutoff"),
        ("RBP(p=1.5)", "'1.5' is not a valid persistence"),
        ("rbp.0", "the persistence must be above 0 and below 1"),
        ("map-p80", "only rbp takes a persistence"),
        ("judged", "judged needs a cutoff, as in judged@10"),
        ("judged-l2@10", "a document is judged or not, whatever its grade"),
    ],
)
def test_senseless_measures_are_refused(text: str, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        parse_measure(text)


def test_groups_and_lists_are_read_and_each_measure_stands_once() -> None:
    found = parse_measures(["T2Ranking, nDCG@20", "P@1 mrr@10"])
    assert [one.name for one in found] == [
        "mrr@10", "recall@50", "recall@1000", "ndcg@20", "ndcg@100", "precision@1",
    ]  # fmt: skip
    assert [one.graded for one in found] == [False, False, False, True, True, False]
    inside = parse_measures(["RBP(rel=2, p=0.95),P(rel=2)@5 rbp"])
    assert [one.name for one in inside] == ["rbp.95-l2", "precision-l2@5", "rbp.8"]
    assert [one.name for one in parse_measures([])] == list(DEFAULT_MEASURES)


@pytest.mark.parametrize("name", GROUPS)
def test_every_group_is_canonical(name: str) -> None:
    assert [one.name for one in parse_measures([name])] == list(GROUPS[name])
