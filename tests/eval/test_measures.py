import pytest

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
    "recall@100": ["recall@100", "R@100", "recall_100", "Recall.100"],
}


@pytest.mark.parametrize(
    ("text", "name"), [(text, name) for name, texts in SPELLINGS.items() for text in texts]
)
def test_every_spelling_leads_to_the_canonical_name(text: str, name: str) -> None:
    measure = parse_measure(text)
    assert measure.name == name
    assert parse_measure(measure.name) == parse_measure(measure.ranx) == measure


def test_parts_and_ranx_name() -> None:
    assert parse_measure("AP(rel=2)@100") == Measure("map", level=2, k=100)
    assert parse_measure("map-l2@100").ranx == "map@100-l2"
    assert parse_measure("mrr").ranx == "mrr"


def test_defaults_are_canonical() -> None:
    assert [parse_measure(text).name for text in DEFAULT_MEASURES] == list(DEFAULT_MEASURES)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("ndgc@10", "unknown measure 'ndgc'; did you mean 'ndcg'"),
        ("precison@5", "did you mean 'precision'"),
        ("xyz", "Known: beir, map, mrr, ndcg, precision, recall, t2ranking, trec-dl"),
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
    assert [one.name for one in parse_measures([])] == list(DEFAULT_MEASURES)


@pytest.mark.parametrize("name", GROUPS)
def test_every_group_is_canonical(name: str) -> None:
    assert [one.name for one in parse_measures([name])] == list(GROUPS[name])
