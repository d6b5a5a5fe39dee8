"""The judge of the serving trial finds what is wrong, and nothing else."""

from dataclasses import replace

from tests.support.drivers.serve_verdict import Asked, Move, judged

MOVES = [
    Move(number=1, begun=0.0, done=0.1, told=True),
    Move(number=2, begun=1.0, done=1.1, told=True),
    Move(number=3, begun=10.0, done=10.1, told=True),
    Move(number=1, begun=20.0, done=20.1, told=False),
]


def answer(at: float, number: int, **facts: object) -> Asked:
    entry = Asked(
        client=0, image=0, pin=None, sent=at, received=at + 0.05, status=200, number=number
    )
    return replace(entry, **facts)  # type: ignore[arg-type]


def wrong(*entries: Asked) -> int:
    return len(judged(entries, MOVES, {}).wrong)


def test_what_is_in_production_is_right() -> None:
    assert wrong(answer(0.5, 1), answer(5, 2), answer(15, 3), answer(30, 1)) == 0


def test_the_old_version_is_right_for_a_moment() -> None:
    assert wrong(answer(10.3, 2)) == 0
    assert wrong(answer(10.5, 2)) == 1


def test_an_answer_may_be_newer_than_its_request() -> None:
    assert wrong(answer(9.9, 3, received=10.05)) == 0
    assert wrong(answer(9.9, 3, received=9.95)) == 1


def test_the_version_before_the_last_is_wrong() -> None:
    assert wrong(answer(10.3, 1), answer(20.2, 2)) == 2


def test_whoever_is_not_told_has_time_to_look() -> None:
    assert wrong(answer(21.9, 3)) == 0
    assert wrong(answer(22.2, 3)) == 1


def test_pins_mixtures_and_failures_are_told_apart() -> None:
    found = judged(
        [
            answer(5, 1, pin=1),
            answer(5, 2, pin=1),
            answer(5, 2, right=False),
            answer(6, 2, status=0),
            answer(18, 3, status=503),
        ],
        MOVES,
        {"replica": [17.0]},
    )
    assert (found.wrong_pins, found.mixed, found.wrong) == (1, 1, [])
    assert found.failed == {0: 1, 503: 1}
    assert [entry.status for entry in found.unexplained] == [0]
    assert found.kills == {"replica": 1}


def test_a_pin_that_nobody_has_met_may_fail_while_the_store_is_away() -> None:
    failures = [answer(5, 1, pin=1, status=503), answer(5, 2, status=503)]
    found = judged(failures, MOVES, {}, away=[(4.0, 6.0)])
    assert (found.failed_pins_away, found.unexplained) == (1, failures[1:])


def test_the_last_old_answer_is_measured_by_move() -> None:
    found = judged([answer(10.3, 2), answer(10.2, 2), answer(21.1, 3)], MOVES, {})
    assert [round(lag, 3) for lag in found.lags] == [0.2]
    assert [round(lag, 3) for lag in found.missed_lags] == [1.0]


def test_a_client_that_sees_the_old_version_again_is_counted() -> None:
    entries = [answer(10.12, 3), answer(10.2, 2), answer(10.3, 3)]
    assert judged(entries, MOVES, {}).returned == 1
    others = [replace(entries[0], client=1), entries[1], entries[2]]
    assert judged(others, MOVES, {}).returned == 0


def test_a_client_may_see_the_old_version_again_after_a_move_that_nobody_was_told_of() -> None:
    entries = [answer(20.12, 1), answer(20.2, 3)]
    found = judged(entries, MOVES, {})
    assert (found.returned, found.missed_returned) == (0, 1)
