from collections.abc import Sequence
from itertools import pairwise

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rankprompt.llm.base import Request
from rankprompt.llm.local.model import LocalModel
from tests.llm.local.small_models import OPTIONS, SCORED, WRITTEN, ids

asked = st.builds(
    Request,
    prompt=st.integers(0, 60).map(lambda n: " A" * n),
    options=st.sampled_from([(), *OPTIONS]),
    max_tokens=st.just(0),
    breaks=st.just(()),
).flatmap(
    lambda one: (
        st.just(one) if one.options else st.integers(1, 9).map(lambda n: one._replace(max_tokens=n))
    )
)


@given(st.lists(asked, max_size=25))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_plan_holds_each_request_once_and_keeps_to_the_budget(
    planner: LocalModel, requests: list[Request]
) -> None:
    batches = planner.plan(requests)
    assert sorted(i for batch in batches for i in batch) == list(range(len(requests)))
    assert planner.plan(list(requests)) == batches
    for batch in batches:
        assert len({bool(requests[i].options) for i in batch}) == 1
        if len(batch) > 1:
            assert padded([requests[i] for i in batch]) <= 200


def padded(requests: Sequence[Request]) -> int:
    """The places of a batch, counted by hand: a row for each stem, all of the longest's width."""
    rows, width, written = 0, 0, max(request.max_tokens for request in requests)
    for request in requests:
        stems = {tuple(ids(option)[:-1]) for option in request.options} or {()}
        rows += len(stems)
        width = max(width, *(len(ids(request.prompt)) + len(stem) for stem in stems))
    return rows * (width + written)


def test_what_is_planned_is_what_is_run(planner: LocalModel) -> None:
    requests = SCORED + WRITTEN
    for batch in planner.plan(requests):
        chosen = [requests[i] for i in batch]
        answers, usage = planner.answer(chosen)
        assert len(answers) == len(batch)
        if chosen[0].options:
            assert sum(usage) == padded(chosen)


def test_a_batch_is_filled(planner: LocalModel) -> None:
    requests = [Request(" A" * 20, (" A", " B"))] * 25
    assert [len(batch) for batch in planner.plan(requests)] == [10, 10, 5]


def test_room_to_write_is_planned_for(planner: LocalModel) -> None:
    requests = [Request(" A" * 50, max_tokens=1)] * 2 + [Request(" A" * 49, max_tokens=60)]
    assert planner.plan(requests) == [[0, 1], [2]]
    assert planner.plan(requests[1:]) == [[0], [1]]


def test_lengths_alike_are_planned_together(planner: LocalModel) -> None:
    requests = [Request(" A" * (1 if i % 2 else 100), (" B",)) for i in range(10)]
    assert planner.plan(requests) == [[0, 2], [4, 6], [8], [1, 3, 5, 7, 9]]


@given(st.lists(st.integers(1, 60), min_size=1, max_size=40))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_batch_wastes_little_on_padding(planner: LocalModel, lengths: list[int]) -> None:
    requests = [Request(" A" * length, (" B",)) for length in lengths]
    batches = [[lengths[i] for i in batch] for batch in planner.plan(requests)]
    for batch in batches:
        assert sum(max(batch) - one for one in batch) <= 50
    # No batch ends without need: the next request would have been too much.
    for batch, after in pairwise(batches):
        wasted = sum(batch[0] - one for one in (*batch, after[0]))
        assert wasted > 50 or (len(batch) + 1) * (batch[0] + 1) > 200
