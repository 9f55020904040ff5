import pytest

from rankprompt.rankers import prp_graph
from rankprompt.rankers.driver import drive
from rankprompt.rankers.seeded_random import uniform


def soft(first: int, second: int) -> float:
    """The soft preference of a judge that errs at times, consistent in both directions."""
    if first > second:
        return 1 - soft(second, first)
    return 0.3 + 0.6 * uniform(3, str(first), str(second))


def test_rounds_are_disjoint_and_no_pair_meets_twice() -> None:
    rounds: list[list[tuple[int, int]]] = []

    def answer(pairs: list[tuple[int, int]]) -> list[float]:
        rounds.append(list(pairs))
        return [soft(*pair) for pair in pairs]

    drive(prp_graph(range(30)), answer)  # type: ignore[arg-type]
    assert sum(map(len, rounds)) == 20 * 15
    assert 20 <= len(rounds) <= 25
    compared = [frozenset(pair) for pairs in rounds for pair in pairs]
    assert len(set(compared)) == len(compared)
    for pairs in rounds:
        assert len({item for pair in pairs for item in pair}) == 2 * len(pairs)
    # The first round pairs neighbours; the second, winners with winners.
    assert rounds[0] == [(i, i + 1) for i in range(0, 30, 2)]


def test_ranks_are_networkxs_pagerank() -> None:
    networkx = pytest.importorskip("networkx", reason="networkx is not installed")
    graph = networkx.DiGraph()
    graph.add_nodes_from(range(12))

    def answer(pairs: list[tuple[int, int]]) -> list[float]:
        for i, j in pairs:
            graph.add_edge(j, i, weight=soft(i, j))
            graph.add_edge(i, j, weight=1 - soft(i, j))
        return [soft(*pair) for pair in pairs]

    ranking = drive(prp_graph(range(12), budget=30), answer)  # type: ignore[arg-type]
    weights = {i: 1 - 0.01 * i for i in range(12)}
    ranks = networkx.pagerank(graph, personalization=weights, tol=1e-12, max_iter=1000)
    assert ranking == sorted(range(12), key=lambda i: -ranks[i])
    assert ranking != list(range(12))


def test_a_budget_is_kept_to_the_pair() -> None:
    compared = 0

    def answer(pairs: list[tuple[int, int]]) -> list[float]:
        nonlocal compared
        compared += len(pairs)
        return [float(i < j) for i, j in pairs]

    assert sorted(drive(prp_graph(range(10), budget=13), answer)) == list(range(10))  # type: ignore[arg-type]
    assert compared == 13
