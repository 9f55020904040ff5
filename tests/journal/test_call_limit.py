"""The limit of the calls in flight, before simulated servers and real event loops."""

import asyncio
import heapq
import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankprompt.journal.call_limit import CallLimit, Climb, first_calls, most_calls

Begin = Callable[[float, int], float]
"""When a call ends that begins at a time, with as many in flight as it makes."""


def simulate(climb: Climb, ends: Begin, calls: int, *, asked: int = 10_000) -> tuple[float, int]:
    """Makes calls as fast as the limit allows; returns the seconds and the limits' largest.

    Args:
        climb: the limit.
        ends: the server.
        calls: how many are made.
        asked: how many are wanted at a time.
    """
    now, largest = 0.0, 0
    running: list[tuple[float, int, float, int]] = []
    for number in range(calls):
        while len(running) >= min(climb.limit, asked):
            now, _, began, measured = heapq.heappop(running)
            climb.end(measured, now - began)
        measured = climb.begin(asked)
        largest = max(largest, climb.limit)
        heapq.heappush(running, (ends(now, len(running) + 1), number, now, measured))
    return max(running)[0], largest


def queue(slots: int, seconds: float, spread: float, seed: int) -> Begin:
    """A server with so many slots, before which calls wait in the order in which they come."""
    free, draw = [0.0] * slots, random.Random(seed)

    def ends(now: float, _: int) -> float:
        start = max(now, heapq.heappop(free))
        done = start + seconds * draw.uniform(1 - spread, 1 + spread)
        heapq.heappush(free, done)
        return done

    return ends


def batching(alone: float, each: float, spread: float, seed: int) -> Begin:
    """A server that computes all calls together: each makes all of them a little slower."""
    draw = random.Random(seed)
    return lambda now, in_flight: (
        now + (alone + each * in_flight) * draw.uniform(1 - spread, 1 + spread)
    )


@settings(max_examples=12, deadline=None)
@given(
    slots=st.integers(1, 300),
    seconds=st.floats(0.001, 10),
    spread=st.floats(0, 0.5),
    seed=st.integers(0, 999),
)
def test_the_slots_of_a_server_are_filled_and_few_calls_wait(
    slots: int, seconds: float, spread: float, seed: int
) -> None:
    climb, ends = Climb(), queue(slots, seconds, spread, seed)
    simulate(climb, ends, 150 * max(slots, 16))
    assert 0.6 * slots <= climb.limit <= max(2.5 * slots, slots + 4)


@settings(max_examples=12, deadline=None)
@given(share=st.floats(0.002, 0.05), spread=st.floats(0, 0.5), seed=st.integers(0, 999))
def test_a_batching_server_gives_most_of_what_it_can(
    share: float, spread: float, seed: int
) -> None:
    climb = Climb()
    simulate(climb, batching(1.0, share, spread, seed), 20_000)
    # Of the 1 / share answers a second that it can give.
    assert climb.limit / (1 + share * climb.limit) * share >= 0.5
    assert climb.limit <= min(1024, 12 / share)


@given(most=st.integers(1, 300), asked=st.integers(1, 300))
@settings(max_examples=30, deadline=None)
def test_the_limit_stays_in_its_bounds_and_does_not_rise_without_demand(
    most: int, asked: int
) -> None:
    climb = Climb(start=min(16, most), most=most)
    _, largest = simulate(climb, lambda now, _: now + 1, 5000, asked=asked)
    assert 1 <= climb.limit <= largest <= most
    assert largest <= max(16, 2.5 * asked)


def test_a_server_that_slows_down_is_asked_less() -> None:
    climb = Climb()
    simulate(climb, queue(256, 1.0, 0.1, 0), 12_000)
    before = climb.limit
    simulate(climb, queue(16, 1.0, 0.1, 0), 12_000)
    assert before >= 150
    assert climb.limit <= 40


def test_calls_that_fail_say_nothing_of_the_time() -> None:
    climb = Climb(start=4)
    for _ in range(200):
        climb.end(climb.begin(4), None)
    assert climb.limit == 4


def test_no_more_calls_are_in_flight_than_the_limit() -> None:
    async def go(concurrency: int | str, calls: int) -> tuple[int, CallLimit]:
        limit, now, most = CallLimit(concurrency), 0, 0

        async def call() -> None:
            nonlocal now, most
            async with limit.turn():
                now += 1
                most = max(most, now)
                await asyncio.sleep(0.002)
                now -= 1

        await asyncio.gather(*(call() for _ in range(calls)))
        return most, limit

    most, fixed = asyncio.run(go(7, 100))
    assert (most, fixed.reached) == (7, None)
    most, auto = asyncio.run(go("auto", 1000))
    assert auto.reached is not None
    assert 16 < most <= 1024


def test_places_are_given_back_where_calls_fail_or_are_cancelled() -> None:
    async def go() -> None:
        limit = CallLimit(2)

        async def fail() -> None:
            async with limit.turn():
                await asyncio.sleep(0)
                raise ValueError

        for _ in range(5):
            with pytest.raises(ValueError, match=r"^$"):
                await fail()
        waiting = [asyncio.create_task(hold(limit)) for _ in range(6)]
        await asyncio.sleep(0.01)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        async with asyncio.timeout(1), limit.turn(), limit.turn():
            pass

    async def hold(limit: CallLimit) -> None:
        async with limit.turn():
            await asyncio.sleep(60)

    asyncio.run(go())


def test_a_number_is_its_own_bound() -> None:
    assert (first_calls(9), most_calls(9)) == (9, 9)
    assert first_calls("auto") < most_calls("auto")
