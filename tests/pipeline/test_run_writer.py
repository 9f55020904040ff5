from hypothesis import given
from hypothesis import strategies as st

from rankprompt.files import format_run
from rankprompt.pipeline.run_writer import GrowingRun


def first_stage(*queries: str) -> dict[str, dict[str, float]]:
    return {query: {f"{query}a": 3.0, f"{query}b": 2.0, f"{query}c": 1.0} for query in queries}


@given(st.permutations("pqrs"), st.sets(st.sampled_from("pqrs")))
def test_queries_are_written_in_the_first_stages_order_whenever_they_are_done(
    order: list[str], reranked: set[str]
) -> None:
    pieces: list[str] = []
    run = GrowingRun(pieces.append, "tag")
    run.expect(first_stage("p", "q"), reranked)
    for query in order:
        if query == "r":
            run.expect(first_stage("r", "s"), reranked)
    for query in order:
        if query in reranked:
            run.keep({query: [f"{query}c", f"{query}a"]})
    # The reranked two share out their own places; b keeps the second.
    expected = {
        query: [f"{query}{name}" for name in ("cba" if query in reranked else "abc")]
        for query in "pqrs"
    }
    assert "".join(pieces) == format_run(expected, "tag")
    assert run.queries == 4


def test_a_query_is_written_as_soon_as_those_before_it_are_done() -> None:
    pieces: list[str] = []
    run = GrowingRun(pieces.append, "tag")
    run.expect(first_stage("p", "q"), {"p", "q"})
    run.keep({"q": ["qa"]})
    assert (pieces, run.queries) == ([], 0)
    run.keep({"p": ["pb"]})
    assert run.queries == 2
    run.expect(first_stage("r"), set())
    assert run.queries == 3
