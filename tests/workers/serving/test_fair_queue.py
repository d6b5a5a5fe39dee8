"""Fair queue: requesters take turns, however much one of them asks for."""

from workers.serving.fair_queue import FairQueue


def test_askers_take_turns_and_each_is_served_in_its_own_order() -> None:
    queue: FairQueue[str] = FairQueue()
    for number in range(4):
        queue.put("loud", f"a{number}")
    queue.put("quiet", "b0")
    queue.put("other", "c0")
    queue.put("other", "c1")
    found = []
    while queue:
        found.append(queue.take())
    assert found == ["a0", "b0", "c0", "a1", "c1", "a2", "a3"]


def test_whoever_comes_while_a_thousand_wait_is_next_but_one() -> None:
    queue: FairQueue[int] = FairQueue()
    for number in range(1000):
        queue.put("loud", number)
    queue.take()
    queue.put("quiet", -1)
    assert [queue.take(), queue.take()] == [1, -1]


def test_nothing_is_kept_of_whoever_waits_for_nothing() -> None:
    queue: FairQueue[int] = FairQueue()
    for number in range(1000):
        queue.put(f"requester-{number}", number)
        queue.take()
    assert not queue
    assert queue.turns() == []
